//! A registration was given up, or its section cancelled: the student is told, so that a drop which was not theirs does
//! not go unseen.

use events::{DropReason, RegistrationDropped};
use kernel::{Id, MessageId, PersonId};
use shell::{Delivery, Failure, Fault};

use crate::Ctx;
use crate::domain::{Content, Item, Message};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: RegistrationDropped = delivery.event()?;
    // Told of with the whole term.
    if event.reason == DropReason::TermWithdrawn {
        return Ok(());
    }
    let id = message_id(&event);
    let RegistrationDropped { student, section_code, course_title, term_code, reason, .. } = event;
    let items = vec![Item { section_code, course_title }];
    let content = |given_name| Content::Dropped { given_name, term_code, items, reason };
    tell_student(ctx, delivery, (id, student), content).await
}

/// Queues a message to a student once; what they are called is known here alone.
pub(super) async fn tell_student(
    ctx: &Ctx,
    delivery: &Delivery,
    (id, student): (MessageId, PersonId),
    content: impl FnOnce(String) -> Content,
) -> Result<(), Failure> {
    let (message_key, contact_key) = (store::message_key(id), store::contact_key(student));
    let mut batch = ctx.table.get_batch(vec![(&message_key).into(), (&contact_key).into()]).await?;
    if batch.take(&message_key)?.is_some() {
        return Ok(());
    }
    let contact = batch.take(&contact_key)?.ok_or_else(|| {
        Fault::outside("the student cannot be written to", "their contact has not arrived yet")
    })?;
    let content = content(contact.value.name.given.clone());
    let message = Message::to_contact(id, &contact.value, content, delivery.now);
    let mut transaction = ctx.table.transaction();
    store::queue(&mut transaction, &message, &delivery.envelope.correlation_id);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

/// A registration is dropped once.
fn message_id(event: &RegistrationDropped) -> MessageId {
    MessageId::derived_from(&format!("{}#dropped", event.registration))
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;
    use crate::domain::tests::contact;

    fn dropped() -> Delivery {
        testkit::delivery("on-registration-dropped", RegistrationDropped::example())
    }

    async fn know_the_student(table: &table::Table) {
        let mut transaction = table.transaction();
        transaction.create(&contact(RegistrationDropped::example().student, 1));
        transaction.commit().await.expect("a contact is stored");
    }

    #[tokio::test]
    async fn a_drop_is_told_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| know_the_student(table).await,
            async |table, ()| handle(&Ctx { table: table.clone() }, &dropped()).await,
            async |table, ()| {
                let ctx = Ctx { table: table.clone() };
                let mut again = dropped();
                again.envelope.id.push_str("-again");
                handle(&ctx, &again).await.expect("telling twice changes nothing");
                let event = RegistrationDropped::example();
                let message = table.get(&store::message_key(message_id(&event))).await;
                let message = message.expect("reads").expect("a message").value;
                let Content::Dropped { term_code, items, .. } = message.content else {
                    panic!("another message: {:?}", message.content)
                };
                assert_eq!(term_code, event.term_code);
                assert_eq!(items[0].course_title, event.course_title);
                assert_eq!(testkit::published(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_student_whose_contact_is_late_is_told_when_the_event_comes_again() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let failure = handle(&ctx, &dropped()).await;
        assert!(matches!(failure, Err(Failure::Fault(fault)) if fault.retryable));
        know_the_student(&test.table).await;
        handle(&ctx, &dropped()).await.expect("now it is queued");
    }
}
