//! Schedule: looks at every account once a day, since days pass without anything being booked: what becomes overdue
//! then holds its student. A round that dies goes on behind its last page.

use std::time::Duration;

use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, deadline};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::StudentAccount;
use crate::store::{self, BalanceRound, Cause, Opened};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    /// Accounts that this tick looked at.
    pub accounts: u64,
    /// Those whose students are held from now on, or no longer.
    pub changed: u64,
}

/// Accounts after which the progress is written down.
const PAGE: u32 = 100;
const PAGES_MAX: u32 = 400;
/// A page may take this long.
const PAGE_TIME: Duration = Duration::from_secs(15);

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let today = ctx.institution().date(tick.now);
    let policy = ctx.table.get(&store::policy_key()).await?;
    let policy = policy.map(|stored| stored.value).unwrap_or_default();
    let stored = ctx.table.get(&store::balance_round_key()).await?;
    let mut round = Opened::of(stored, || BalanceRound { day: today, after: None, is_over: false });
    if round.value.day < today {
        round.value = BalanceRound { day: today, after: None, is_over: false };
    }
    let mut reply = Reply::default();
    for _ in 0..PAGES_MAX {
        if round.value.is_over || deadline::left() < PAGE_TIME {
            break;
        }
        let page = PageRequest { after: round.value.after.clone(), limit: PAGE };
        let accounts = ctx.table.query(&store::accounts(), &page).await?;
        for account in &accounts.records {
            reply.accounts += 1;
            let (holds, _) = policy.holds(&account.value, today);
            if holds != account.value.is_held() {
                run_step(async || judge(ctx, &account.value, tick).await).await?;
                reply.changed += 1;
            }
        }
        round.value.after = accounts.next;
        round.value.is_over = round.value.after.is_none();
        let mut transaction = ctx.table.transaction();
        round.write(&mut transaction);
        transaction.commit().await?;
        round.read_version = Some(round.next_version());
    }
    Ok(reply)
}

async fn judge(ctx: &Ctx, account: &StudentAccount, tick: &Tick) -> Result<(), Failure> {
    let wanted = Wanted { now: tick.now, series: &[], invoices: &[] };
    let mut books = Bookkeeping::open(ctx, account.student, account.currency, wanted).await?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    books.write(&mut transaction, &[], cause);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{BalanceHoldLifted, BalanceHoldPlaced, Event};

    use super::super::set_policy;
    use super::*;
    use crate::domain::{BillingPolicy, HoldRule};
    use crate::fixtures::{account, charge, check_ledger, count, ctx, francs, give, give_at};

    fn tick(days: i64) -> Tick {
        let now = testkit::now() + jiff::SignedDuration::from_hours(24 * days);
        Tick { now, correlation_id: "test".into() }
    }

    async fn hold_from(ctx: &Ctx, minor: i64, after_days: u16) {
        let holds = vec![HoldRule { from: francs(minor), after_days }];
        let policy = BillingPolicy { holds, ..BillingPolicy::default() };
        let call = testkit::call(set_policy::Command { policy });
        set_policy::handle(ctx, &call).await.expect("the policy is set");
    }

    #[tokio::test]
    async fn what_becomes_overdue_holds_its_student_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                hold_from(&ctx, 100_000, 0).await;
                charge(&ctx, "ada", "one").await;
            },
            async |table, ()| handle(&ctx(table), &tick(8)).await.map(drop),
            async |table, ()| {
                let ctx = ctx(table);
                handle(&ctx, &tick(8)).await.expect("a second look changes nothing");
                assert!(account(&ctx, "ada").await.is_held());
                assert_eq!(count(&ctx, BalanceHoldPlaced::NAME).await, 1);
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_payment_that_makes_the_balance_small_enough_lets_go_in_its_own_transaction() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        hold_from(&ctx, 100_000, 0).await;
        charge(&ctx, "ada", "one").await;
        assert_eq!(handle(&ctx, &tick(7)).await.expect("looks").changed, 0, "due today");
        assert_eq!(handle(&ctx, &tick(8)).await.expect("looks").changed, 1);
        give_at(&ctx, "ada", 50_000, tick(8).now).await;
        assert!(account(&ctx, "ada").await.is_held(), "a hundred thousand are overdue");
        give_at(&ctx, "ada", 1, tick(8).now).await;
        assert!(!account(&ctx, "ada").await.is_held());
        assert_eq!(count(&ctx, BalanceHoldLifted::NAME).await, 1);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn without_a_policy_and_within_its_days_nothing_holds() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        assert_eq!(handle(&ctx, &tick(30)).await.expect("looks").changed, 0);
        hold_from(&ctx, 1, 30).await;
        assert_eq!(handle(&ctx, &tick(37)).await.expect("looks").changed, 0);
        assert_eq!(handle(&ctx, &tick(38)).await.expect("looks").changed, 1);
        give(&ctx, "ada", 150_000).await;
        assert!(!account(&ctx, "ada").await.is_held());
    }
}
