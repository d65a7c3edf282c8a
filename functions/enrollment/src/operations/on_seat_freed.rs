//! A seat of a section with a waitlist is free, or may be: whoever is first in line and can take it has it.

use events::SeatFreed;
use shell::{Delivery, Failure};

use super::cause_of;
use crate::Ctx;
use crate::line::serving;

/// A line is gone through in pieces: each invocation asks some, and tells where the next one goes on.
const STEPS_MAX: u32 = 1_000;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: SeatFreed = delivery.event()?;
    let cause = cause_of(delivery);
    let goes_on = serving::serve_line(ctx, event.section, event.after, cause).await?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    if let Some(after) = goes_on.filter(|_| event.step < STEPS_MAX) {
        let step = event.step + 1;
        let next = SeatFreed { step, after: Some(after), ..event };
        transaction.event(next, 1, cause.now, cause.correlation_id);
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{WaitlistMode, WaitlistState};
    use testkit::person;

    use super::super::join_waitlist::tests::{dropped, entry, full, join, registered, serve};
    use super::*;
    use crate::fixtures::{offer, offer_again, seats_agree, section, taken, told};

    #[tokio::test]
    async fn a_seat_is_given_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                let section = offer(table, "a", full(WaitlistMode::Automatic, 1)).await;
                let bob = registered(&ctx, "bob", section).await;
                let entries = [join(&ctx, "cyd", section).await, join(&ctx, "dan", section).await];
                dropped(&ctx, "bob", bob).await;
                let event = told::<SeatFreed>(table).await.remove(0);
                (testkit::delivery("on-seat-freed", event), entries)
            },
            async |table, (delivery, _)| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, (_, [cyd, dan])| {
                let ctx = Ctx::new(table.clone());
                assert_eq!(entry(&ctx, *cyd).await.state, WaitlistState::Registered);
                assert_eq!(entry(&ctx, *dan).await.state, WaitlistState::Waiting);
                assert_eq!(taken(table, section("a")).await, 1);
                seats_agree(table, section("a"), &["bob", "cyd", "dan"].map(person)).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn many_seats_make_as_many_offers_in_the_order_of_the_line() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let many = |capacity| {
            move |event: &mut events::SectionOffered| {
                full(WaitlistMode::Confirmation, capacity)(event);
                event.waitlist.capacity = 100;
            }
        };
        let section = offer(&test.table, "a", many(0)).await;
        let mut entries = Vec::new();
        for number in 0..60 {
            entries.push(join(&ctx, &format!("student-{number}"), section).await);
        }
        offer_again(&test.table, "a", 2, many(40)).await;
        serve(&ctx).await;
        for (at, id) in entries.iter().enumerate() {
            let expected = if at < 40 { WaitlistState::Offered } else { WaitlistState::Waiting };
            assert_eq!(entry(&ctx, *id).await.state, expected, "place {at}");
        }
        assert_eq!(taken(&test.table, section).await, 40);
    }
}
