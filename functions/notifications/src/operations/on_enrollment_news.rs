//! What happens to a student in enrollment without their doing, or with more than one registration at once: a seat
//! comes by the waitlist, an offer expires, a list is closed, a term is withdrawn from, a prerequisite does not hold.

use events::{
    Event, PrerequisiteBroken, RegistrationWithdrawn, TermWithdrawn, WaitlistChanged, WaitlistState,
};
use kernel::{Id, MessageId};
use shell::{Delivery, Failure};

use super::on_registration_dropped::tell_student;
use crate::Ctx;
use crate::domain::{Content, Item};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    match delivery.envelope.name.as_str() {
        WaitlistChanged::NAME => waitlist(ctx, delivery).await,
        RegistrationWithdrawn::NAME => withdrawn(ctx, delivery).await,
        TermWithdrawn::NAME => term_withdrawn(ctx, delivery).await,
        _ => prerequisite_broken(ctx, delivery).await,
    }
}

async fn waitlist(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: WaitlistChanged = delivery.event()?;
    let (state, offered_until) = (event.state, event.offered_until);
    match state {
        WaitlistState::Offered
        | WaitlistState::Registered
        | WaitlistState::OfferExpired
        | WaitlistState::Closed => {}
        // The student's own doing.
        WaitlistState::Waiting | WaitlistState::Declined | WaitlistState::Left => return Ok(()),
    }
    // An entry comes to each of these states once.
    let id = MessageId::derived_from(&format!("{}#{state:?}", event.entry));
    let WaitlistChanged { student, section_code, course_title, term_code, .. } = event;
    let items = vec![Item { section_code, course_title }];
    let content =
        |given_name| Content::Waitlist { given_name, term_code, items, state, offered_until };
    tell_student(ctx, delivery, (id, student), content).await
}

async fn withdrawn(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: RegistrationWithdrawn = delivery.event()?;
    // Told of with the whole term.
    if event.term_withdrawal.is_some() {
        return Ok(());
    }
    let id = MessageId::derived_from(&format!("{}#withdrawn", event.registration));
    let RegistrationWithdrawn { student, section_code, course_title, term_code, .. } = event;
    let (items, whole_term) = (vec![Item { section_code, course_title }], false);
    let content = |given_name| Content::Withdrawn { given_name, term_code, items, whole_term };
    tell_student(ctx, delivery, (id, student), content).await
}

async fn term_withdrawn(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: TermWithdrawn = delivery.event()?;
    let id = MessageId::derived_from(&event.withdrawal.to_string());
    let TermWithdrawn { student, term_code, registrations, .. } = event;
    let item = |ended: events::EndedRegistration| Item {
        section_code: ended.section_code,
        course_title: ended.course_title,
    };
    let (items, whole_term) = (registrations.into_iter().map(item).collect(), true);
    let content = |given_name| Content::Withdrawn { given_name, term_code, items, whole_term };
    tell_student(ctx, delivery, (id, student), content).await
}

async fn prerequisite_broken(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: PrerequisiteBroken = delivery.event()?;
    // It may be mended, and broken once more.
    let id = MessageId::derived_from(&delivery.envelope.id);
    let PrerequisiteBroken { student, section_code, course_title, term_code, drop_on, .. } = event;
    let (items, missing) = (vec![Item { section_code, course_title }], event.missing.join(" + "));
    let content =
        |given_name| Content::PrerequisiteBroken { given_name, term_code, items, missing, drop_on };
    tell_student(ctx, delivery, (id, student), content).await
}

#[cfg(test)]
mod tests {
    use kernel::TermWithdrawalId;
    use table::{PageRequest, Table};

    use super::*;
    use crate::domain::tests::contact;
    use crate::store;

    async fn know_the_student(table: &Table) {
        let mut transaction = table.transaction();
        transaction.create(&contact(WaitlistChanged::example().student, 1));
        transaction.commit().await.expect("a contact is stored");
    }

    async fn told(table: &Table) -> Vec<Content> {
        let student = WaitlistChanged::example().student;
        let page = table.query(&store::messages_of(student), &PageRequest::default()).await;
        page.expect("lists").records.into_iter().map(|stored| stored.value.content).collect()
    }

    #[tokio::test]
    async fn a_held_seat_is_told_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| know_the_student(table).await,
            async |table, ()| {
                let offered = testkit::delivery("on-enrollment-news", WaitlistChanged::example());
                handle(&Ctx { table: table.clone() }, &offered).await
            },
            async |table, ()| {
                let told = told(table).await;
                let [Content::Waitlist { state, offered_until, .. }] = &told[..] else {
                    panic!("{told:?}")
                };
                assert_eq!(*state, WaitlistState::Offered);
                assert_eq!(*offered_until, WaitlistChanged::example().offered_until);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_is_told_what_they_did_themselves_nor_a_part_beside_the_whole() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        know_the_student(&test.table).await;
        for state in [WaitlistState::Waiting, WaitlistState::Declined, WaitlistState::Left] {
            let own = WaitlistChanged { state, ..WaitlistChanged::example() };
            handle(&ctx, &testkit::delivery("on-enrollment-news", own)).await.expect("passed over");
        }
        let term_withdrawal = Some(TermWithdrawalId::derived_from("example"));
        let part = RegistrationWithdrawn { term_withdrawal, ..RegistrationWithdrawn::example() };
        handle(&ctx, &testkit::delivery("on-enrollment-news", part)).await.expect("passed over");
        assert_eq!(told(&test.table).await, []);
        let whole = testkit::delivery("on-enrollment-news", TermWithdrawn::example());
        handle(&ctx, &whole).await.expect("told");
        let alone = testkit::delivery("on-enrollment-news", RegistrationWithdrawn::example());
        handle(&ctx, &alone).await.expect("told");
        let broken = testkit::delivery("on-enrollment-news", PrerequisiteBroken::example());
        handle(&ctx, &broken).await.expect("told");
        assert_eq!(told(&test.table).await.len(), 3);
    }
}
