//! Schedule: carries tuition runs on, a page of bills at a time, each bill in a transaction of its own. A run that dies
//! goes on behind its last page; who was adjusted by then is due nothing more, so nobody is billed twice.

use std::time::Duration;

use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, Stored, deadline};

use crate::Ctx;
use crate::domain::TermBill;
use crate::store::{self, Cause, Opened, TuitionRun};
use crate::term_desk::{Adjusted, TermDesk, issue_adjustment, sums_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    /// Students that were calculated by this tick.
    pub students: u64,
    pub finished_runs: u32,
}

/// Bills after which the progress is written down.
const PAGE: u32 = 50;
const PAGES_MAX: u32 = 400;
/// A page may take this long.
const PAGE_TIME: Duration = Duration::from_secs(15);

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let runs = ctx.table.query(&store::tuition_runs_under_way(), &PageRequest::default()).await?;
    let mut pages = 0;
    for listed in runs.records {
        let Some(mut run) = ctx.table.get(&store::tuition_run_key(listed.value.id)).await? else {
            continue;
        };
        while run.value.finished_at.is_none() {
            if pages == PAGES_MAX || deadline::left() < PAGE_TIME {
                return Ok(reply);
            }
            pages += 1;
            reply.students += advance(ctx, &mut run, tick).await?;
        }
        reply.finished_runs += 1;
    }
    Ok(reply)
}

/// One page of bills; answers how many there were.
async fn advance(ctx: &Ctx, run: &mut Stored<TuitionRun>, tick: &Tick) -> Result<u64, Failure> {
    let page = PageRequest { after: run.value.after.clone(), limit: PAGE };
    let bills = ctx.table.query(&store::term_bills(run.value.term), &page).await?;
    let count = bills.records.len() as u64;
    for bill in bills.records {
        let value = &bill.value;
        let adjusted = run_step(async || {
            store::in_line_for_a_number(async || adjust(ctx, value, run.value.dry_run, tick).await)
                .await
        });
        match adjusted.await {
            Ok(None) => {}
            Ok(Some(Adjusted { billed, credited })) => {
                run.value.add(billed.currency, billed.minor, credited.minor)?;
            }
            Err(Failure::Fault(fault)) if fault.retryable => return Err(fault.into()),
            Err(failure) => {
                run.value.failed += 1;
                tracing::error!(
                    correlation_id = tick.correlation_id,
                    student = %value.student,
                    error = ?failure,
                    "a bill could not be calculated"
                );
            }
        }
    }
    run.value.students += count;
    run.value.after = bills.next;
    if run.value.after.is_none() {
        run.value.finished_at = Some(tick.now);
    }
    let mut transaction = ctx.table.transaction();
    transaction.update(run);
    transaction.commit().await?;
    run.version += 1;
    Ok(count)
}

/// What the bill was adjusted by, or would be; none where it is what is due.
async fn adjust(
    ctx: &Ctx,
    listed: &TermBill,
    dry_run: bool,
    tick: &Tick,
) -> Result<Option<Adjusted>, Failure> {
    let mut desk = TermDesk::read(ctx, listed.student, listed.term, None, &[]).await?;
    let Some(bill) = desk.standing_bill().map(Opened::from) else { return Ok(None) };
    let adjustment = bill.value.adjustment(&desk.rules, &desk.population)?;
    if adjustment.is_empty() {
        return Ok(None);
    }
    if dry_run {
        return Ok(Some(sums_of(&adjustment, bill.value.currency)?));
    }
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let mut transaction = ctx.table.transaction();
    let when = (ctx.institution().date(cause.now), cause);
    let adjusted = issue_adjustment(ctx, &mut transaction, bill, adjustment, when).await?;
    transaction.commit().await?;
    Ok(Some(adjusted))
}

#[cfg(test)]
mod tests {
    use kernel::{Id, TermId};

    use events::{ChargeReversed, ChargeSettled, Event};

    use super::super::{
        await_settlement, on_charge_settled, read_tuition_run, reverse_charge, start_tuition_run,
    };
    use super::*;
    use crate::domain::{Account, Charge, ChargeState, Invoice, InvoiceState, TuitionRule};
    use crate::fixtures::{
        account, bundle, charge, check_ledger, code, count, ctx, francs, give, set_rules,
        unapplied_cash, wait_step, with_step_functions,
    };

    fn tick() -> Tick {
        Tick { now: testkit::now(), correlation_id: "test".into() }
    }

    async fn start(ctx: &Ctx, dry_run: bool) -> start_tuition_run::Reply {
        let term = TermId::derived_from("2027S");
        let call = testkit::call(start_tuition_run::Command { term, dry_run });
        start_tuition_run::handle(ctx, &call).await.expect("begins")
    }

    async fn read(ctx: &Ctx, run: &start_tuition_run::Reply) -> start_tuition_run::Reply {
        let call = testkit::call(read_tuition_run::Command { tuition_run: run.id });
        read_tuition_run::handle(ctx, &call).await.expect("reads")
    }

    async fn two_students(ctx: &Ctx) {
        charge(ctx, "ada", "one").await;
        charge(ctx, "bob", "two").await;
        set_rules(ctx, TuitionRule::Flat { amount: francs(200_000) }).await;
    }

    #[tokio::test]
    async fn a_bill_is_brought_to_what_is_due_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                charge(&ctx, "ada", "one").await;
                set_rules(&ctx, TuitionRule::Flat { amount: francs(200_000) }).await;
                start(&ctx, false).await
            },
            async |table, _| handle(&ctx(table), &tick()).await.map(drop),
            async |table, run| {
                let ctx = ctx(table);
                let owed = account(&ctx, "ada").await.balance(Account::Receivable);
                assert_eq!(owed, francs(200_000));
                let read = read(&ctx, run).await;
                assert_eq!((read.students, read.failed), (1, 0));
                assert_eq!(read.finished_at, Some(testkit::now()));
                assert_eq!(check_ledger(&ctx).await, 3, "a charge, an invoice and a note");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_second_run_bills_nobody_again() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        two_students(&ctx).await;
        for adjusted in [2, 0] {
            let run = start(&ctx, false).await;
            handle(&ctx, &tick()).await.expect("runs");
            let read = read(&ctx, &run).await;
            assert_eq!((read.students, read.adjusted), (2, adjusted));
        }
        assert_eq!(check_ledger(&ctx).await, 6, "a charge, an invoice and a note each");
    }

    #[tokio::test]
    async fn a_dry_run_says_what_it_would_come_to_and_writes_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        two_students(&ctx).await;
        let run = start(&ctx, true).await;
        let reply = handle(&ctx, &tick()).await.expect("runs");
        assert_eq!(reply, Reply { students: 2, finished_runs: 1 });
        let read = read(&ctx, &run).await;
        assert_eq!((read.adjusted, read.totals[0].billed), (2, 400_000));
        assert_eq!(read.totals[0].credited, 300_000);
        assert_eq!(check_ledger(&ctx).await, 2);
    }

    /// "ada" is charged, the saga waits, and a run brings the bill to this rule.
    async fn repriced_while_a_saga_waits(ctx: &Ctx, rule: TuitionRule) {
        charge(ctx, "ada", "one").await;
        await_settlement::handle(ctx, &wait_step("one", "token")).await.expect("waits");
        set_rules(ctx, rule).await;
        start(ctx, false).await;
        handle(ctx, &tick()).await.expect("runs");
    }

    async fn charge_of(ctx: &Ctx, name: &str) -> Charge {
        let key = store::charge_key(Charge::id_of(bundle(name)));
        ctx.table.get(&key).await.expect("reads").expect("it was charged").value
    }

    async fn settled_event(ctx: &Ctx, name: &str) -> shell::Delivery {
        let charge = charge_of(ctx, name).await;
        let posted = charge.posted.expect("it was posted");
        let event = ChargeSettled {
            charge: charge.id,
            bundle: charge.bundle,
            student: posted.student,
            invoice: posted.invoice,
        };
        testkit::delivery("on-charge-settled", event)
    }

    #[tokio::test]
    async fn a_saga_that_waits_goes_on_when_the_new_price_is_paid() {
        let test = testkit::TestTable::new().await;
        let sfn = testkit::StepFunctions::start().await;
        let ctx = with_step_functions(&ctx(&test.table), &sfn, &test.engine);
        repriced_while_a_saga_waits(&ctx, TuitionRule::Flat { amount: francs(200_000) }).await;
        assert_eq!(charge_of(&ctx, "one").await.state, ChargeState::Posted, "it is not reversed");
        give(&ctx, "ada", 150_000).await;
        assert_eq!(count(&ctx, ChargeSettled::NAME).await, 0, "that is the old price");
        give(&ctx, "ada", 50_000).await;
        assert_eq!(charge_of(&ctx, "one").await.state, ChargeState::Settled);
        assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
        let settled = settled_event(&ctx, "one").await;
        on_charge_settled::handle(&ctx, &settled).await.expect("told");
        assert_eq!(sfn.calls("SendTaskSuccess").len(), 1, "whoever waited is told");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn a_new_price_that_is_paid_already_settles_at_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        repriced_while_a_saga_waits(&ctx, TuitionRule::PerCredit { amount: francs(0) }).await;
        let charge = charge_of(&ctx, "one").await;
        assert_eq!(charge.state, ChargeState::Settled, "it costs nothing now");
        assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
        assert!(charge.waiting.is_some(), "who waits is told by that event");
    }

    #[tokio::test]
    async fn an_undo_takes_back_what_a_run_put_in_place_whatever_happens_on_the_wire() {
        let undo = || testkit::step(reverse_charge::Command { bundle: bundle("one") });
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let flat = TuitionRule::Flat { amount: francs(200_000) };
                repriced_while_a_saga_waits(&ctx, flat).await;
                give(&ctx, "ada", 30_000).await;
            },
            async |table, ()| reverse_charge::handle(&ctx(table), &undo()).await.map(drop),
            async |table, ()| {
                let ctx = ctx(table);
                let account = account(&ctx, "ada").await;
                assert_eq!(account.balance(Account::Receivable), francs(0));
                assert_eq!(account.balance(Account::Revenue), francs(0));
                assert_eq!(unapplied_cash(&ctx, "ada").await, 30_000, "what was paid is theirs");
                let all = store::invoices(testkit::person("ada"));
                let all = ctx.table.query::<Invoice>(&all, &PageRequest::default()).await;
                let all = all.expect("reads").records;
                assert_eq!(all.len(), 2);
                assert!(all.iter().all(|one| one.value.state() == InvoiceState::Credited));
                assert_eq!(charge_of(&ctx, "one").await.state, ChargeState::Reversed);
                assert_eq!(count(&ctx, ChargeReversed::NAME).await, 2, "by the run and the undo");
                assert_eq!(count(&ctx, ChargeSettled::NAME).await, 0);
                let again = start(&ctx, false).await;
                handle(&ctx, &tick()).await.expect("runs");
                assert_eq!(read(&ctx, &again).await.adjusted, 0, "nothing is due any more");
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_undo_leaves_what_a_run_put_in_place_for_other_bundles() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "two").await;
        repriced_while_a_saga_waits(&ctx, TuitionRule::Flat { amount: francs(200_000) }).await;
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("undone");
        let owed = account(&ctx, "ada").await.balance(Account::Receivable);
        assert_eq!(owed, francs(200_000), "whoever is registered for anything pays as much");
        assert_eq!(charge_of(&ctx, "one").await.state, ChargeState::Reversed);
        give(&ctx, "ada", 200_000).await;
        assert_eq!(charge_of(&ctx, "two").await.state, ChargeState::Settled);
        assert_eq!(charge_of(&ctx, "one").await.state, ChargeState::Reversed);
        assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
    }

    #[tokio::test]
    async fn one_run_of_a_term_is_under_way_at_a_time_and_an_empty_term_is_done_at_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let run = start(&ctx, false).await;
        let term = TermId::derived_from("2027S");
        let call = testkit::call(start_tuition_run::Command { term, dry_run: true });
        let second = start_tuition_run::handle(&ctx, &call).await;
        assert_eq!(code(second), "TUITION_RUN_UNDER_WAY");
        handle(&ctx, &tick()).await.expect("nothing to do");
        assert_eq!(read(&ctx, &run).await.students, 0);
        let nowhere = read_tuition_run::Command { tuition_run: Id::derived_from("nowhere") };
        let nowhere = read_tuition_run::handle(&ctx, &testkit::call(nowhere)).await;
        assert_eq!(code(nowhere), "TUITION_RUN_UNKNOWN");
    }
}
