//! Schedule: lets what sponsors have paid pay for the invoices of their statements, what is due longest first; then
//! what they have not paid in time falls back to the students, where the contract says so. What was done is not done
//! again, and a row that cannot be returned stops no other.

use std::time::Duration;

use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, deadline};

use crate::Ctx;
use crate::domain::{Decided, SponsorContract};
use crate::sponsoring;
use crate::store::{self, Cause};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    /// Pages of invoices to which sponsors' money was given.
    pub paid_pages: u64,
    /// Invoices of which the sponsor's part fell back.
    pub returned: u64,
    pub failed: u64,
}

/// Pages of contracts, and of the invoices of each, in one run; the next run goes on.
const PAGES_MAX: u32 = 50;
/// A page may take this long.
const PAGE_TIME: Duration = Duration::from_secs(10);

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let contracts = ctx.table.query(&store::sponsor_contracts(), &page).await?;
        for contract in contracts.records {
            let code = &contract.value.code;
            for _ in 0..PAGES_MAX {
                if deadline::left() < PAGE_TIME
                    || !run_step(async || sponsoring::pay_invoices(ctx, code).await).await?
                {
                    break;
                }
                reply.paid_pages += 1;
            }
            return_unpaid(ctx, &contract.value, tick, &mut reply).await?;
        }
        page.after = contracts.next;
        if page.after.is_none() {
            break;
        }
    }
    Ok(reply)
}

async fn return_unpaid(
    ctx: &Ctx,
    contract: &SponsorContract,
    tick: &Tick,
    reply: &mut Reply,
) -> Result<(), Failure> {
    let today = ctx.institution().date(tick.now);
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let rows = ctx.table.query(&store::open_sponsored_invoices(&contract.code), &page).await?;
        for row in rows.records {
            if !contract.terms.falls_back(row.value.due, today) || deadline::left() < PAGE_TIME {
                return Ok(());
            }
            let reason = format!("{} has not paid.", contract.terms.sponsor);
            let decided = Decided { by: contract.set_by, at: tick.now, reason };
            let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
            let row = &row.value;
            let returned = run_step(async || {
                let mut transaction = ctx.table.transaction();
                let decided = decided.clone();
                sponsoring::give_back(ctx, &mut transaction, row, decided, cause).await?;
                Ok(transaction.commit().await?)
            });
            match returned.await {
                Ok(()) => reply.returned += 1,
                Err(failure) => {
                    reply.failed += 1;
                    tracing::error!(
                        correlation_id = tick.correlation_id,
                        student = %row.student,
                        invoice = %row.invoice,
                        error = ?failure,
                        "what a sponsor has not paid could not fall back"
                    );
                }
            }
        }
        page.after = rows.next;
        if page.after.is_none() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{Event, InvoiceDeferred};

    use super::super::record_sponsor_payment::{self, tests::money};
    use super::super::set_sponsor_contract::tests::ministry;
    use super::super::sponsor_student::tests::{agree, owed, put_student_under, statement};
    use super::super::{list_sponsor_contracts, on_registration_dropped};
    use super::*;
    use crate::domain::SponsorTerms;
    use crate::fixtures::{charge, check_ledger, count, ctx, dropped};

    fn tick(days: i64) -> Tick {
        let now = testkit::now() + jiff::SignedDuration::from_hours(24 * days);
        Tick { now, correlation_id: "test".into() }
    }

    async fn contract(ctx: &Ctx) -> SponsorContract {
        let list = testkit::call(list_sponsor_contracts::Command {});
        let listed = list_sponsor_contracts::handle(ctx, &list).await.expect("lists");
        listed.items[0].contract.clone()
    }

    /// Two students under a contract whose unpaid parts fall back when ten days have passed.
    async fn begin(ctx: &Ctx) {
        let terms = SponsorTerms { falls_back_after_days: Some(10), ..ministry().terms };
        agree(ctx, terms).await;
        for student in ["ada", "bob"] {
            put_student_under(ctx, student).await;
            charge(ctx, student, student).await;
        }
    }

    /// A look that left something to the next tick is not done yet.
    fn whole(reply: Reply) -> Result<(), Failure> {
        match reply.failed {
            0 => Ok(()),
            _ => Err(shell::Fault::outside("the next tick looks again", "one fault").into()),
        }
    }

    #[tokio::test]
    async fn a_sponsor_s_money_pays_and_the_rest_falls_back_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                begin(&ctx).await;
                let paid = money(120_000, "TX 77");
                record_sponsor_payment::handle(&ctx, &paid).await.expect("booked");
            },
            // Due on the seventh day, it falls back when ten more have passed.
            async |table, ()| whole(handle(&ctx(table), &tick(18)).await?),
            async |table, ()| {
                let ctx = ctx(table);
                handle(&ctx, &tick(18)).await.expect("a second look changes nothing");
                let mut rows = statement(&ctx).await;
                rows.sort_unstable();
                assert_eq!(rows, [(30_000, 30_000), (90_000, 90_000)]);
                let (ada, bob) = (owed(&ctx, "ada").await, owed(&ctx, "bob").await);
                let mut owed = [ada, bob];
                owed.sort_unstable();
                assert_eq!(owed, [(60_000, 90_000), (120_000, 30_000)]);
                assert_eq!(count(&ctx, InvoiceDeferred::NAME).await, 1, "the student is told");
                let contract = contract(&ctx).await;
                assert_eq!((contract.pledged, contract.unallocated), (120_000, 0));
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nothing_falls_back_before_its_day_nor_where_only_the_bursar_decides() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        begin(&ctx).await;
        assert_eq!(handle(&ctx, &tick(17)).await.expect("looks"), Reply::default());
        agree(&ctx, ministry().terms).await;
        assert_eq!(handle(&ctx, &tick(300)).await.expect("looks"), Reply::default());
        assert_eq!(statement(&ctx).await, [(90_000, 0), (90_000, 0)]);
    }

    #[tokio::test]
    async fn what_was_paid_for_a_seat_that_is_dropped_pays_for_another() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        begin(&ctx).await;
        let paid = money(180_000, "TX 77");
        record_sponsor_payment::handle(&ctx, &paid).await.expect("booked");
        handle(&ctx, &tick(1)).await.expect("pays");
        assert_eq!(statement(&ctx).await, [(90_000, 90_000), (90_000, 90_000)]);
        on_registration_dropped::handle(&ctx, &dropped("ada", "ada", 1)).await.expect("credited");
        assert_eq!(contract(&ctx).await.unallocated, 60_000);
        put_student_under(&ctx, "eve").await;
        charge(&ctx, "eve", "eve").await;
        handle(&ctx, &tick(1)).await.expect("pays");
        let mut rows = statement(&ctx).await;
        rows.sort_unstable();
        assert_eq!(rows, [(30_000, 30_000), (90_000, 60_000), (90_000, 90_000)]);
        check_ledger(&ctx).await;
    }
}
