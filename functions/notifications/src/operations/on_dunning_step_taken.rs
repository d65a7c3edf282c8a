//! Something that a student owes is overdue, and a step was taken about it: the student is told.

use events::DunningStepTaken;
use kernel::MessageId;
use shell::{Delivery, Failure, Fault};

use crate::Ctx;
use crate::domain::{Content, Message};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: DunningStepTaken = delivery.event()?;
    let id: MessageId = delivery.derived_id();
    let (message_key, contact_key) = (store::message_key(id), store::contact_key(event.student));
    let mut batch = ctx.table.get_batch(vec![(&message_key).into(), (&contact_key).into()]).await?;
    if batch.take(&message_key)?.is_some() {
        return Ok(());
    }
    let contact = batch.take(&contact_key)?.ok_or_else(|| {
        Fault::outside("the student cannot be written to", "their contact has not arrived yet")
    })?;
    let DunningStepTaken { measure, due, overdue, fee, term_code, .. } = event;
    let content = Content::PaymentOverdue {
        given_name: contact.value.name.given.clone(),
        term_code,
        measure,
        due,
        overdue: overdue.to_string(),
        fee: fee.map(|fee| fee.to_string()),
    };
    let message = Message::to_contact(id, &contact.value, content, delivery.now);
    let mut transaction = ctx.table.transaction();
    store::queue(&mut transaction, &message, &delivery.envelope.correlation_id);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;
    use crate::domain::tests::contact;

    fn told() -> Delivery {
        testkit::delivery("on-dunning-step-taken", DunningStepTaken::example())
    }

    async fn know_the_student(table: &table::Table) {
        let mut transaction = table.transaction();
        transaction.create(&contact(DunningStepTaken::example().student, 1));
        transaction.commit().await.expect("a contact is stored");
    }

    #[tokio::test]
    async fn what_is_overdue_is_told_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| know_the_student(table).await,
            async |table, ()| handle(&Ctx { table: table.clone() }, &told()).await,
            async |table, ()| {
                let key = store::message_key(told().derived_id());
                let message = table.get(&key).await.expect("reads").expect("a message").value;
                let Content::PaymentOverdue { overdue, fee, .. } = message.content else {
                    panic!("another message: {:?}", message.content)
                };
                assert_eq!(overdue, DunningStepTaken::example().overdue.to_string());
                assert!(fee.is_some());
                assert_eq!(testkit::published(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_student_whose_contact_is_late_is_told_when_the_event_comes_again() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let failure = handle(&ctx, &told()).await;
        assert!(matches!(failure, Err(Failure::Fault(fault)) if fault.retryable));
        know_the_student(&test.table).await;
        handle(&ctx, &told()).await.expect("now it is queued");
    }
}
