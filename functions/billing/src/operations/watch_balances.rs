//! Schedule: looks at every account once a day, since days pass without anything being booked: what becomes overdue
//! then holds its student, is reminded of, or costs a fee, as the policy says. A round that dies goes on behind its
//! last page; an account that cannot be read or judged is told of, and stops no other.

use std::time::Duration;

use kernel::PersonId;
use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, deadline};

use crate::Ctx;
use crate::dunning;
use crate::store::{self, BalanceRound, Cause, Opened};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    /// Accounts that this tick looked at.
    pub accounts: u64,
    /// Those whose students are held from now on, or no longer.
    pub changed: u64,
    /// Steps that were taken about what is overdue.
    pub steps: u64,
    /// Those that could not be read or judged.
    pub failed: u64,
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
    let mut round = Opened::of(stored, || BalanceRound::of(today));
    if round.value.day < today {
        round.value = BalanceRound::of(today);
    }
    let mut reply = Reply::default();
    for _ in 0..PAGES_MAX {
        if round.value.is_over || deadline::left() < PAGE_TIME {
            break;
        }
        let page = PageRequest { after: round.value.after.clone(), limit: PAGE };
        let (accounts, unreadable) = ctx.table.query_readable(&store::accounts(), &page).await?;
        for failure in unreadable {
            reply.failed += 1;
            tell_failed(tick, None, &failure.into());
        }
        let mut failed = 0;
        for account in &accounts.records {
            reply.accounts += 1;
            let (holds, _) = policy.holds(&account.value, today);
            let is_news = holds != account.value.is_held();
            if !is_news && account.value.due_steps(&policy, today).is_empty() {
                continue;
            }
            let of = (account.value.student, account.value.currency);
            let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
            match run_step(async || dunning::look_at(ctx, of, cause).await).await {
                Ok(steps) => {
                    reply.changed += u64::from(is_news);
                    reply.steps += u64::try_from(steps).expect("few");
                }
                Err(failure) => {
                    failed += 1;
                    tell_failed(tick, Some(account.value.student), &failure);
                }
            }
        }
        reply.failed += failed;
        let is_last = accounts.next.is_none();
        round.value.advance(accounts.next, failed);
        let mut transaction = ctx.table.transaction();
        round.write(&mut transaction);
        transaction.commit().await?;
        round.read_version = Some(round.next_version());
        if is_last {
            break;
        }
    }
    Ok(reply)
}

fn tell_failed(tick: &Tick, student: Option<PersonId>, failure: &Failure) {
    tracing::error!(
        correlation_id = tick.correlation_id,
        student = student.map(|student| student.to_string()),
        error = ?failure,
        "an account could not be looked at"
    );
}

#[cfg(test)]
pub(super) mod tests {
    use events::{BalanceHoldLifted, BalanceHoldPlaced, DunningStepTaken, Event};

    use super::super::{begin_payment_plan, cancel_payment_plan, defer_invoice, set_policy};
    use super::*;
    use crate::domain::{Account, BillingPolicy, DunningAction, DunningStep, HoldRule};
    use crate::fixtures::{
        account, charge, check_ledger, count, ctx, francs, give, give_at, order,
    };

    pub fn tick(days: i64) -> Tick {
        let now = testkit::now() + jiff::SignedDuration::from_hours(24 * days);
        Tick { now, correlation_id: "test".into() }
    }

    /// A look that left accounts to the next tick is not done yet.
    fn whole(reply: Reply) -> Result<(), Failure> {
        match reply.failed {
            0 => Ok(()),
            _ => Err(shell::Fault::outside("the next tick looks again", "one fault").into()),
        }
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
            async |table, ()| whole(handle(&ctx(table), &tick(8)).await?),
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
    async fn an_account_that_cannot_be_read_stops_no_other() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        hold_from(&ctx, 1, 0).await;
        for student in ["ada", "bob", "eve"] {
            charge(&ctx, student, student).await;
        }
        let mut transaction = ctx.table.transaction();
        transaction.overwrite(&Spoilt { student: testkit::person("bob") });
        transaction.commit().await.expect("somebody writes past the code");
        let reply = handle(&ctx, &tick(8)).await.expect("looks at the others");
        assert_eq!(reply, Reply { accounts: 2, changed: 2, steps: 0, failed: 1 });
    }

    /// Lies where an account lies and is none.
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Spoilt {
        student: PersonId,
    }

    impl table::Record for Spoilt {
        const KIND: &'static str = "spoilt";
        const SCHEMA: u32 = 1;

        fn key(&self) -> table::Key<Self> {
            table::Key::new(format!("STUDENT#{}", self.student), "ACCOUNT#XAF")
        }

        fn index_key(&self) -> Option<(String, String)> {
            Some(("ACCOUNTS".to_owned(), format!("{}#XAF", self.student)))
        }
    }

    /// A reminder after 5 days, a fee of 5,000 after 10, a hold after 20.
    pub async fn dun(ctx: &Ctx) {
        let step = |code: &str, after_days, action| DunningStep {
            code: code.into(),
            after_days,
            from: francs(1_000),
            action,
        };
        let dunning = vec![
            step("reminder", 5, DunningAction::Reminder),
            step("late-fee", 10, DunningAction::LateFee { amount: francs(5_000) }),
            step("hold", 20, DunningAction::Hold),
        ];
        let policy = BillingPolicy { dunning, ..BillingPolicy::default() };
        let call = testkit::call(set_policy::Command { policy });
        set_policy::handle(ctx, &call).await.expect("the policy is set");
    }

    #[tokio::test]
    async fn what_is_overdue_is_dunned_in_steps_and_no_step_is_taken_twice() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        dun(&ctx).await;
        charge(&ctx, "ada", "one").await;
        let mut taken = Vec::new();
        // It is due on the seventh day.
        for day in [7, 11, 12, 13, 16, 17, 26, 27, 28, 60] {
            for _ in 0..2 {
                let reply = handle(&ctx, &tick(day)).await.expect("looks");
                if reply.steps > 0 {
                    taken.push((day, reply.steps));
                }
            }
        }
        assert_eq!(taken, [(12, 1), (17, 1), (27, 1)]);
        assert_eq!(count(&ctx, DunningStepTaken::NAME).await, 3);
        let books = account(&ctx, "ada").await;
        assert_eq!(books.balance(Account::Receivable), francs(155_000), "a fee, and none of it");
        assert!(books.is_held());
        assert_eq!(count(&ctx, BalanceHoldPlaced::NAME).await, 1);
        give_at(&ctx, "ada", 150_000, tick(61).now).await;
        assert!(!account(&ctx, "ada").await.is_held(), "what the step was about is paid");
        check_ledger(&ctx).await;
    }

    async fn look_until(ctx: &Ctx, days: std::ops::RangeInclusive<i64>) {
        for day in days {
            handle(ctx, &tick(day)).await.expect("looks");
        }
    }

    async fn owed(ctx: &Ctx) -> i64 {
        account(ctx, "ada").await.balance(Account::Receivable).minor
    }

    #[tokio::test]
    async fn what_was_late_once_and_is_deferred_costs_no_second_fee() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        dun(&ctx).await;
        let invoice = charge(&ctx, "ada", "one").await.invoice;
        look_until(&ctx, 8..=18).await;
        assert_eq!((owed(&ctx).await, count(&ctx, DunningStepTaken::NAME).await), (155_000, 2));
        let until = "2027-03-01".parse().expect("a date");
        let reason = "The scholarship is late.".into();
        let mut defer = testkit::call(defer_invoice::Command { invoice, until, reason });
        defer.now = tick(18).now;
        defer_invoice::handle(&ctx, &defer).await.expect("deferred");
        // The 1st of March is the 45th day.
        look_until(&ctx, 19..=64).await;
        assert_eq!(owed(&ctx).await, 155_000);
        assert_eq!(count(&ctx, DunningStepTaken::NAME).await, 3, "a reminder of the new day");
        look_until(&ctx, 65..=66).await;
        assert!(account(&ctx, "ada").await.is_held(), "the step behind the fee is taken");
        let mut other = testkit::step(order("ada", "two"));
        other.now = tick(66).now;
        let other = super::super::charge::handle(&ctx, &other).await.expect("charged");
        let other = other.amount.minor;
        look_until(&ctx, 67..=90).await;
        assert_eq!(owed(&ctx).await, 155_000 + other + 5_000, "what was not late yet is");
    }

    #[tokio::test]
    async fn what_was_late_before_a_plan_or_under_it_costs_no_second_fee() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        dun(&ctx).await;
        begin_payment_plan::tests::offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        look_until(&ctx, 8..=18).await;
        assert_eq!(owed(&ctx).await, 155_000);
        let mut assigned = begin_payment_plan::tests::choose();
        assigned.command.student = Some(testkit::person("ada"));
        assigned.reach = vec![(shell::Scope::All, None)];
        assigned.now = tick(18).now;
        begin_payment_plan::handle(&ctx, &assigned).await.expect("the bursar may");
        look_until(&ctx, 19..=60).await;
        assert_eq!(owed(&ctx).await, 155_000);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn each_instalment_is_late_for_itself_and_the_end_of_its_plan_costs_no_fee_more() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        dun(&ctx).await;
        begin_payment_plan::tests::offer(&ctx, true).await;
        charge(&ctx, "ada", "one").await;
        let chosen = begin_payment_plan::tests::choose();
        let payment_plan = begin_payment_plan::handle(&ctx, &chosen).await.expect("begins").id;
        look_until(&ctx, 6..=30).await;
        assert_eq!(owed(&ctx).await, 160_000);
        let mut cancel = testkit::call(cancel_payment_plan::Command {
            payment_plan,
            student: testkit::person("ada"),
            currency: francs(0).currency,
            reason: "Not kept.".into(),
        });
        cancel.now = tick(30).now;
        cancel_payment_plan::handle(&ctx, &cancel).await.expect("cancelled");
        look_until(&ctx, 31..=60).await;
        assert_eq!(owed(&ctx).await, 160_000);
    }

    #[tokio::test]
    async fn a_late_fee_is_billed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                dun(&ctx).await;
                charge(&ctx, "ada", "one").await;
                handle(&ctx, &tick(12)).await.expect("reminds");
            },
            async |table, ()| whole(handle(&ctx(table), &tick(17)).await?),
            async |table, ()| {
                let ctx = ctx(table);
                handle(&ctx, &tick(17)).await.expect("a second look changes nothing");
                let owed = account(&ctx, "ada").await.balance(Account::Receivable);
                assert_eq!(owed, francs(155_000));
                assert_eq!(count(&ctx, DunningStepTaken::NAME).await, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_missed_steps_is_not_overrun_by_them() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        dun(&ctx).await;
        let mut days = Vec::new();
        for day in 100..104 {
            days.push(handle(&ctx, &tick(day)).await.expect("looks").steps);
        }
        assert_eq!(days, [1, 1, 1, 0], "one a day");
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
