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
    let adjusted = issue_adjustment(ctx, &mut transaction, bill, adjustment, cause).await?;
    transaction.commit().await?;
    Ok(Some(adjusted))
}

#[cfg(test)]
mod tests {
    use kernel::{Id, TermId};

    use super::super::{read_tuition_run, start_tuition_run};
    use super::*;
    use crate::domain::{Account, TuitionRule};
    use crate::fixtures::{account, charge, check_ledger, code, ctx, francs, set_rules};

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
