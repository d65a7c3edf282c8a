//! Event: something was charged, settled or taken back. Cohorts that follow what a student owes are looked at.

use std::collections::BTreeMap;

use events::{ChargePosted, ChargeReversed, ChargeSettled, Event};
use kernel::{ChargeId, PersonId};
use shell::{Delivery, Failure};

use super::{chosen, follows_balance, take_in, user_in};
use crate::Ctx;
use crate::domain::{Charge, Charges};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let (student, charge, learn) = news(delivery)?;
    let known = ctx.table.get(&store::charges_key(student)).await?;
    let read_version = known.as_ref().map(|known| known.version);
    let none = || Charges { student, charges: BTreeMap::new(), changed_at: delivery.now };
    let mut charges = known.map_or_else(none, |known| known.value);
    let was_owing = charges.is_owing();
    learn(charges.charges.entry(charge).or_default());
    charges.changed_at = delivery.now;
    let ids = if charges.is_owing() == was_owing {
        Vec::new()
    } else {
        let sites = store::all_sites(&ctx.table).await?;
        user_in(&chosen(&sites, follows_balance), student)
    };
    take_in(ctx, delivery, &charges, read_version, &ids).await
}

type Learn = Box<dyn FnOnce(&mut Charge)>;

fn news(delivery: &Delivery) -> Result<(PersonId, ChargeId, Learn), Failure> {
    Ok(match delivery.envelope.name.as_str() {
        ChargePosted::NAME => {
            let ChargePosted { student, charge, amount, .. } = delivery.event()?;
            (student, charge, Box::new(move |known| known.posted = Some(amount)))
        }
        ChargeReversed::NAME => {
            let ChargeReversed { student, charge, credit_note_number, amount, .. } =
                delivery.event()?;
            let learn = move |known: &mut Charge| {
                known.reversals.insert(credit_note_number, amount);
            };
            (student, charge, Box::new(learn))
        }
        _ => {
            let ChargeSettled { student, charge, .. } = delivery.event()?;
            (student, charge, Box::new(|known| known.is_settled = true))
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
}
