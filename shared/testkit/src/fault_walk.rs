//! The walk through every fault at every call of a write path: whatever happens on the wire, asking again ends well.

use shell::Failure;
use table::Table;

use crate::{Fault, Faults, TestTable};

/// Runs `act` once for each kind of fault at each of its calls, both as a hiccup and as a lasting one, each time on
/// what `setup` left in the table; where it fails, it is asked again as a caller would. `check` then looks at what
/// stands there.
pub async fn under_every_fault<S>(
    setup: impl AsyncFn(&Table) -> S,
    act: impl AsyncFn(&Table, &S) -> Result<(), Failure>,
    check: impl AsyncFn(&Table, &S),
) {
    let (test, state) = fresh(&setup).await;
    let before = test.engine.snapshot();
    for case in cases(calls_of(&test, &state, &act).await) {
        test.engine.restore(&before);
        meet(case, &test, &state, &act, &check).await;
    }
}

/// As [`under_every_fault`], where `act` changes more than the table, such as a payment provider: all of it is set up
/// anew each time.
pub async fn under_every_fault_anew<S>(
    setup: impl AsyncFn(&Table) -> S,
    act: impl AsyncFn(&Table, &S) -> Result<(), Failure>,
    check: impl AsyncFn(&Table, &S),
) {
    let (test, state) = fresh(&setup).await;
    for case in cases(calls_of(&test, &state, &act).await) {
        let (test, state) = fresh(&setup).await;
        meet(case, &test, &state, &act, &check).await;
    }
}

async fn fresh<S>(setup: &impl AsyncFn(&Table) -> S) -> (TestTable, S) {
    let test = TestTable::new().await;
    let state = setup(&test.table).await;
    (test, state)
}

/// A fault, and the call that meets it.
struct Case {
    fault: Fault,
    nth: u64,
    faults: Faults,
}

fn cases(calls: u64) -> impl Iterator<Item = Case> {
    assert!(calls > 0, "the write path makes no call");
    let of = move |fault| {
        (0..calls).flat_map(move |nth| {
            [Faults::once(nth, fault), Faults::lasting(nth, fault)].map(|faults| Case {
                fault,
                nth,
                faults,
            })
        })
    };
    Fault::ALL.into_iter().flat_map(of)
}

async fn meet<S>(
    Case { fault, nth, faults }: Case,
    test: &TestTable,
    state: &S,
    act: &impl AsyncFn(&Table, &S) -> Result<(), Failure>,
    check: &impl AsyncFn(&Table, &S),
) {
    test.engine.set_faults(faults);
    if let Err(failure) = accepted(act(&test.table, state).await) {
        assert!(is_worth_asking_again(&failure), "{fault:?} at call {nth}: {failure:?}");
        test.engine.set_faults(Faults::none());
        let again = accepted(act(&test.table, state).await);
        assert!(again.is_ok(), "asked again after {fault:?} at call {nth}: {again:?}");
    }
    test.engine.set_faults(Faults::none());
    check(&test.table, state).await;
}

async fn calls_of<S>(
    test: &TestTable,
    state: &S,
    act: &impl AsyncFn(&Table, &S) -> Result<(), Failure>,
) -> u64 {
    drop(test.engine.take_calls());
    let result = act(&test.table, state).await;
    assert!(result.is_ok(), "it fails without any fault: {result:?}");
    test.engine.take_calls().values().sum()
}

/// "Done before" is what the shell answers with the first reply.
fn accepted(result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(Failure::DoneBefore) => Ok(()),
        other => other,
    }
}

fn is_worth_asking_again(failure: &Failure) -> bool {
    match failure {
        Failure::Conflict { .. } => true,
        Failure::Fault(fault) => fault.retryable,
        Failure::Refused(_) | Failure::DoneBefore => false,
    }
}
