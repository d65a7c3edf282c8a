//! The walk through every fault at every call of a write path: whatever happens on the wire, asking again ends well.

use shell::Failure;
use table::Table;

use crate::{Fault, Faults, TestTable};

/// Runs `act` once for each kind of fault at each of its calls, both as a hiccup and as a lasting one, each time on what
/// `setup` left; where it fails, it is asked again as a caller would. `check` then looks at what stands in the table.
/// What `setup` answers is the same each time: nothing that `act` changes may be kept in it.
pub async fn under_every_fault<S>(
    setup: impl AsyncFn(&Table) -> S,
    act: impl AsyncFn(&Table, &S) -> Result<(), Failure>,
    check: impl AsyncFn(&Table, &S),
) {
    let test = TestTable::new().await;
    let state = setup(&test.table).await;
    let before = test.engine.snapshot();
    let calls = calls_of(&test, &state, &act).await;
    assert!(calls > 0, "the write path makes no call");
    for fault in Fault::ALL {
        for nth in 0..calls {
            for faults in [Faults::once(nth, fault), Faults::lasting(nth, fault)] {
                test.engine.restore(&before);
                test.engine.set_faults(faults.clone());
                if let Err(failure) = accepted(act(&test.table, &state).await) {
                    assert!(
                        is_worth_asking_again(&failure),
                        "{fault:?} at call {nth}: {failure:?}"
                    );
                    test.engine.set_faults(Faults::none());
                    let again = accepted(act(&test.table, &state).await);
                    assert!(again.is_ok(), "asked again after {fault:?} at call {nth}: {again:?}");
                }
                test.engine.set_faults(Faults::none());
                check(&test.table, &state).await;
            }
        }
    }
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
