//! A registration is dropped, withdrawn from or released: whatever was let in because its course was under way is
//! judged again.

use events::{Event, RegistrationDropped, RegistrationReleased, RegistrationWithdrawn};
use kernel::PersonId;
use shell::{Delivery, Failure};

use super::cause_of;
use crate::{Ctx, provisional};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    let (student, cause) = (student(delivery)?, cause_of(delivery));
    provisional::judge_without(ctx, &mut transaction, student, cause).await?;
    Ok(transaction.commit().await?)
}

fn student(delivery: &Delivery) -> Result<PersonId, Failure> {
    Ok(match delivery.envelope.name.as_str() {
        RegistrationDropped::NAME => delivery.event::<RegistrationDropped>()?.student,
        RegistrationWithdrawn::NAME => delivery.event::<RegistrationWithdrawn>()?.student,
        _ => delivery.event::<RegistrationReleased>()?.student,
    })
}

#[cfg(test)]
mod tests {
    use events::{PrerequisiteBroken, ReleaseReason, SectionOffered};
    use kernel::{CourseId, Id, RegistrationId};
    use shell::Call;
    use table::Table;
    use testkit::TestTable;

    use super::super::sweep_broken_prerequisites::tests::{
        provisional, registration, student_term,
    };
    use super::super::{
        OfBundle, begin_undo, drop_registration, release_seats, swap_registration,
        withdraw_registration,
    };
    use super::*;
    use crate::fixtures::{deliver_all, of_bundle, offer, told};

    /// Delivers whatever was told of ends, as the bus would.
    async fn judge(table: &Table) {
        let consumer = ("on-registration-given-up", testkit::now());
        deliver_all::<RegistrationDropped>(table, consumer, handle).await;
        deliver_all::<RegistrationWithdrawn>(table, consumer, handle).await;
        deliver_all::<RegistrationReleased>(table, consumer, handle).await;
    }

    async fn drop_it(ctx: &Ctx, registration: RegistrationId) {
        let call = testkit::call(drop_registration::Command { registration });
        drop_registration::handle(ctx, &call).await.expect("dropped");
    }

    #[tokio::test]
    async fn what_rests_on_a_course_that_is_given_up_is_told_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let [base, next] = provisional(table).await;
                drop_it(&Ctx::new(table.clone()), base).await;
                let dropped: Vec<RegistrationDropped> = told(table).await;
                (testkit::delivery("on-registration-given-up", dropped[0].clone()), next)
            },
            async |table, (delivery, _)| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, (delivery, next)| {
                let again = handle(&Ctx::new(table.clone()), delivery).await;
                assert!(matches!(again, Err(Failure::DoneBefore)), "told twice: {again:?}");
                let told: Vec<PrerequisiteBroken> = told(table).await;
                assert_eq!(told.len(), 1);
                assert_eq!(
                    (told[0].registration, &*told[0].missing[0]),
                    (*next, "course(BASE, C)")
                );
                assert!(registration(table, *next).await.provisional, "it may still be mended");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn so_is_what_rests_on_a_course_that_is_withdrawn_from() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [base, _] = provisional(&test.table).await;
        let command = withdraw_registration::Command {
            registration: base,
            last_attended_on: None,
            reason: None,
        };
        let now = "2027-03-15T10:00:00Z".parse().expect("a timestamp");
        let other = offer(&test.table, "other", |_| ()).await;
        super::super::join_waitlist::tests::registered(&ctx, "ada", other).await;
        let call = Call { now, ..testkit::call(command) };
        withdraw_registration::handle(&ctx, &call).await.expect("withdrawn");
        judge(&test.table).await;
        assert_eq!(told::<PrerequisiteBroken>(&test.table).await.len(), 1);
    }

    #[tokio::test]
    async fn nothing_is_told_where_nothing_rests_on_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [_, next] = provisional(&test.table).await;
        let other = offer(&test.table, "other", |_| ()).await;
        let other = super::super::join_waitlist::tests::registered(&ctx, "ada", other).await;
        drop_it(&ctx, other).await;
        judge(&test.table).await;
        assert_eq!(told::<PrerequisiteBroken>(&test.table).await, []);
        assert!(student_term(&test.table).await.entries[0].provisional);
        assert!(registration(&test.table, next).await.provisional);
    }

    #[tokio::test]
    async fn a_course_that_is_taken_in_another_section_instead_carries_it_until_that_seat_goes() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [base, _] = provisional(&test.table).await;
        let instead = offer(&test.table, "instead", |event: &mut SectionOffered| {
            event.course.code = "BASE".into();
            event.course.id = CourseId::derived_from("base");
        })
        .await;
        let command = swap_registration::Command {
            registration: base,
            sections: vec![instead],
            with_linked: false,
        };
        let held = swap_registration::handle(&ctx, &testkit::call(command)).await.expect("swapped");
        judge(&test.table).await;
        assert_eq!(told::<PrerequisiteBroken>(&test.table).await, []);
        let OfBundle { submission, bundle, attempt } = of_bundle(&held).command;
        let reason = ReleaseReason::PaymentTimedOut;
        let undo = begin_undo::Command { submission, bundle, attempt, reason };
        begin_undo::handle(&ctx, &testkit::step(undo)).await.expect("begins");
        release_seats::handle(&ctx, &of_bundle(&held)).await.expect("released");
        judge(&test.table).await;
        assert_eq!(told::<PrerequisiteBroken>(&test.table).await.len(), 1);
    }
}
