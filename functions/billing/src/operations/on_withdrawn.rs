//! Event: a registration was withdrawn with a W, or a student has withdrawn from a whole term. What the term's calendar
//! gives back of what that saves is taken back as for a drop; of a whole term it is computed once, for all of it.

use events::{Event, RegistrationWithdrawn, TermWithdrawn};
use shell::{Delivery, Failure};

use super::on_registration_dropped::Leaving;
use crate::Ctx;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    if delivery.envelope.name == TermWithdrawn::NAME {
        let event: TermWithdrawn = delivery.event()?;
        let registrations: Vec<_> =
            event.registrations.iter().map(|ended| ended.registration).collect();
        let TermWithdrawn { student, term, withdrawn_at: at, .. } = event;
        let registrations = &registrations;
        let leaving = Leaving { student, term, registrations, at, is_cancelled: false };
        return leaving.take_back(ctx, delivery).await;
    }
    let event: RegistrationWithdrawn = delivery.event()?;
    // It is told of with its term.
    if event.term_withdrawal.is_some() {
        return Ok(());
    }
    let RegistrationWithdrawn { student, term, registration, withdrawn_at: at, .. } = event;
    let registrations = &[registration];
    Leaving { student, term, registrations, at, is_cancelled: false }.take_back(ctx, delivery).await
}

#[cfg(test)]
mod tests {
    use events::{ChargeReversed, DropReason, EndedRegistration, GivenUp, RegistrationDropped};
    use kernel::Id;

    use super::super::on_registration_dropped;
    use super::*;
    use crate::domain::InvoiceState;
    use crate::fixtures::{
        charge, check_ledger, count, ctx, dropped, francs, invoice, registration,
    };

    fn withdrawn(number: u32) -> Delivery {
        let event: RegistrationDropped = dropped("ada", "one", number).event().expect("reads");
        let RegistrationDropped { bundle, student, term, dropped_at, .. } = event;
        let withdrawn = RegistrationWithdrawn {
            registration: registration("one", number),
            bundle,
            student,
            term,
            withdrawn_at: dropped_at,
            ..RegistrationWithdrawn::example()
        };
        let mut delivery = testkit::delivery("on-withdrawn", withdrawn);
        delivery.envelope.id = format!("withdrawn-{number}");
        delivery
    }

    fn from_the_term() -> Delivery {
        let event: RegistrationWithdrawn = withdrawn(1).event().expect("reads");
        let RegistrationWithdrawn { student, term, withdrawn_at, .. } = event;
        let ended = |number| EndedRegistration {
            registration: registration("one", number),
            section: Id::derived_from("example"),
            section_code: "MATH101-A".into(),
            course_title: "Calculus I".into(),
            ended: GivenUp::Withdrawn,
        };
        let registrations = vec![ended(1), ended(2), ended(3)];
        let example = TermWithdrawn::example();
        let event = TermWithdrawn { student, term, withdrawn_at, registrations, ..example };
        testkit::delivery("on-withdrawn", event)
    }

    #[tokio::test]
    async fn a_withdrawn_registration_is_credited_as_a_dropped_one_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| charge(&ctx(table), "ada", "one").await,
            async |table, _| handle(&ctx(table), &withdrawn(1)).await,
            async |table, charge| {
                let ctx = ctx(table);
                handle(&ctx, &withdrawn(1)).await.expect("a duplicate changes nothing");
                let invoice = invoice(&ctx, charge).await;
                assert_eq!(invoice.credits().len(), 1);
                assert_eq!(invoice.open(), francs(50_000), "2 credits are left");
                assert_eq!(check_ledger(&ctx).await, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_whole_term_is_credited_at_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| charge(&ctx(table), "ada", "one").await,
            async |table, _| handle(&ctx(table), &from_the_term()).await,
            async |table, charge| {
                let ctx = ctx(table);
                let mut part: RegistrationDropped =
                    dropped("ada", "one", 2).event().expect("reads");
                part.reason = DropReason::TermWithdrawn;
                let part = testkit::delivery("on-registration-dropped", part);
                on_registration_dropped::handle(&ctx, &part)
                    .await
                    .expect("it was told of with its term");
                let invoice = invoice(&ctx, charge).await;
                assert_eq!(invoice.state(), InvoiceState::Credited);
                assert_eq!(count(&ctx, ChargeReversed::NAME).await, 1);
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn parts_of_a_term_that_is_withdrawn_from_are_not_credited_by_themselves() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let charge = charge(&ctx, "ada", "one").await;
        let open = invoice(&ctx, &charge).await.open();
        let mut part: RegistrationWithdrawn = withdrawn(1).event().expect("reads");
        part.term_withdrawal = Some(Id::derived_from("example"));
        handle(&ctx, &testkit::delivery("on-withdrawn", part)).await.expect("passed over");
        assert_eq!(invoice(&ctx, &charge).await.open(), open);
    }
}
