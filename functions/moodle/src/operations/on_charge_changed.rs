//! Event: something was charged, settled or taken back, or a plan of instalments began or ended. Cohorts that follow
//! what a student owes are looked at.

use events::{
    ChargePosted, ChargeReversed, ChargeSettled, Event, PaymentPlanBegun, PaymentPlanCancelled,
};
use kernel::PersonId;
use shell::{Delivery, Failure};

use super::{chosen, follows_balance, take_in, user_in};
use crate::Ctx;
use crate::domain::{Balance, Charges};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let (student, learn) = news(delivery)?;
    let known = ctx.table.get(&store::charges_key(student)).await?;
    let read_version = known.as_ref().map(|known| known.version);
    let mut charges =
        known.map_or_else(|| Charges::none(student, delivery.now), |known| known.value);
    let before = charges.balance();
    learn(&mut charges);
    if before != Balance::Clear && !charges.is_owing() {
        charges.end_plans();
    }
    charges.changed_at = delivery.now;
    let ids = if charges.balance() == before {
        Vec::new()
    } else {
        let sites = store::all_sites(&ctx.table).await?;
        user_in(&chosen(&sites, follows_balance), student)
    };
    take_in(ctx, delivery, &charges, read_version, &ids).await
}

type Learn = Box<dyn FnOnce(&mut Charges)>;

fn news(delivery: &Delivery) -> Result<(PersonId, Learn), Failure> {
    Ok(match delivery.envelope.name.as_str() {
        ChargePosted::NAME => {
            let ChargePosted { student, charge, amount, .. } = delivery.event()?;
            let learn = move |known: &mut Charges| {
                known.charges.entry(charge).or_default().posted = Some(amount);
            };
            (student, Box::new(learn))
        }
        ChargeReversed::NAME => {
            let ChargeReversed { student, charge, credit_note_number, amount, .. } =
                delivery.event()?;
            let learn = move |known: &mut Charges| {
                known
                    .charges
                    .entry(charge)
                    .or_default()
                    .reversals
                    .insert(credit_note_number, amount);
            };
            (student, Box::new(learn))
        }
        PaymentPlanBegun::NAME => {
            let PaymentPlanBegun { student, plan, .. } = delivery.event()?;
            (student, Box::new(move |known| known.begin_plan(plan)))
        }
        PaymentPlanCancelled::NAME => {
            let PaymentPlanCancelled { student, plan, .. } = delivery.event()?;
            (student, Box::new(move |known| known.end_plan(plan)))
        }
        _ => {
            let ChargeSettled { student, charge, .. } = delivery.event()?;
            let learn = move |known: &mut Charges| {
                known.charges.entry(charge).or_default().is_settled = true;
            };
            (student, Box::new(learn))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, marked};

    async fn is_owing(ctx: &Ctx) -> bool {
        let student = ChargePosted::example().student;
        let known = ctx.table.get(&store::charges_key(student)).await.expect("reads");
        known.is_some_and(|known| known.value.is_owing())
    }

    #[tokio::test]
    async fn what_is_charged_is_owed_until_it_is_settled_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_finance_site(&ctx, "http://127.0.0.1:9").await;
                testkit::delivery("on-charge-changed", ChargePosted::example())
            },
            async |table, delivery| handle(&fixtures::ctx(table), delivery).await,
            async |table, _| {
                let ctx = fixtures::ctx(table);
                assert!(is_owing(&ctx).await);
                let student = ChargePosted::example().student;
                assert_eq!(marked(&ctx, "finance").await, [format!("user {student}")]);
                let settled = testkit::delivery("on-charge-changed", ChargeSettled::example());
                handle(&ctx, &settled).await.expect("taken in");
                assert!(!is_owing(&ctx).await);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_pays_by_a_plan_is_in_its_cohort_until_it_is_cancelled_or_paid_off() {
        let student = ChargePosted::example().student;
        let balance = async |ctx: &Ctx| {
            let known = ctx.table.get(&store::charges_key(student)).await.expect("reads");
            known.map_or(Balance::Clear, |known| known.value.balance())
        };
        let begun = PaymentPlanBegun { student, ..PaymentPlanBegun::example() };
        let cancelled = PaymentPlanCancelled { student, ..PaymentPlanCancelled::example() };
        let posted = || testkit::delivery("on-charge-changed", ChargePosted::example());
        let begun = || testkit::delivery("on-charge-changed", begun.clone());
        let cancelled = || testkit::delivery("on-charge-changed", cancelled.clone());
        let settled = || {
            let ChargePosted { charge, .. } = ChargePosted::example();
            let event = ChargeSettled { student, charge, ..ChargeSettled::example() };
            testkit::delivery("on-charge-changed", event)
        };
        for (news, expected) in [
            (vec![posted(), begun()], Balance::Plan),
            (vec![begun(), posted()], Balance::Plan),
            (vec![posted(), begun(), cancelled()], Balance::Owing),
            (vec![posted(), cancelled(), begun()], Balance::Owing),
            (vec![posted(), begun(), settled()], Balance::Clear),
        ] {
            let test = testkit::TestTable::new().await;
            let ctx = fixtures::ctx(&test.table);
            for delivery in &news {
                handle(&ctx, delivery).await.expect("taken in");
            }
            assert_eq!(balance(&ctx).await, expected);
        }
    }
}
