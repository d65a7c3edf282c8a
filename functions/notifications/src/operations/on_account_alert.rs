//! Queues the message that tells somebody what happened to their account, so that they notice what was not them.

use events::{DeviceAdded, Event, PasswordChanged, RefreshTokenReused, SecondFactorReset};
use kernel::{MessageId, PersonId};
use shell::{Delivery, Failure, Fault};

use crate::Ctx;
use crate::domain::{Content, Message};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let (person, content) = alert_of(delivery)?;
    let id: MessageId = delivery.derived_id();
    let (contact, queued) = (store::contact_key(person), store::message_key(id));
    let mut batch = ctx.table.get_batch(vec![(&contact).into(), (&queued).into()]).await?;
    if batch.take(&queued)?.is_some() {
        return Ok(());
    }
    let Some(contact) = batch.take(&contact)? else {
        // The event that tells who they are is on its way.
        return Err(Fault::outside("nobody has told us of this person yet", "no contact").into());
    };
    let message = Message::to_contact(id, &contact.value, content, delivery.now);
    let mut transaction = ctx.table.transaction();
    store::queue(&mut transaction, &message, &delivery.envelope.correlation_id);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

fn alert_of(delivery: &Delivery) -> Result<(PersonId, Content), Failure> {
    match delivery.envelope.name.as_str() {
        RefreshTokenReused::NAME => {
            let RefreshTokenReused { person, reused_at, .. } = delivery.event()?;
            Ok((person, Content::SessionRevoked { happened_at: reused_at }))
        }
        DeviceAdded::NAME => {
            let DeviceAdded { person, added_at, .. } = delivery.event()?;
            Ok((person, Content::NewDevice { happened_at: added_at }))
        }
        PasswordChanged::NAME => {
            let PasswordChanged { person, changed_at, .. } = delivery.event()?;
            Ok((person, Content::PasswordChanged { happened_at: changed_at }))
        }
        SecondFactorReset::NAME => {
            let SecondFactorReset { person, reset_at, .. } = delivery.event()?;
            Ok((person, Content::SecondFactorReset { happened_at: reset_at }))
        }
        other => Err(Fault::defect(format!("{other} is no alert")).into()),
    }
}

#[cfg(test)]
mod tests {
    use events::{MessageQueued, PersonRegistered};
    use table::Table;

    use super::super::on_person_changed;
    use super::*;
    use crate::domain::Kind;

    fn alert() -> Delivery {
        testkit::delivery("on-account-alert", RefreshTokenReused::example())
    }

    async fn known(table: &Table) {
        let told = testkit::delivery("on-person-changed", PersonRegistered::example());
        on_person_changed::handle(&Ctx { table: table.clone() }, &told).await.expect("known");
    }

    #[tokio::test]
    async fn an_alert_queues_one_message_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                known(table).await;
                alert()
            },
            async |table, delivery| handle(&Ctx { table: table.clone() }, delivery).await,
            async |table, delivery| {
                let key = store::message_key(delivery.derived_id());
                let message = table.get(&key).await.expect("reads").expect("a message").value;
                let person = PersonRegistered::example();
                assert_eq!((message.to, message.locale), (person.email, person.locale));
                let happened_at = RefreshTokenReused::example().reused_at;
                assert_eq!(message.content, Content::SessionRevoked { happened_at });
                let events = testkit::published(table).await;
                assert_eq!(events.len(), 1);
                assert_eq!(events[0].name, MessageQueued::NAME);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_alert_that_overtakes_its_person_comes_again() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let early = handle(&ctx, &alert()).await;
        assert!(matches!(early, Err(Failure::Fault(fault)) if fault.retryable));
        known(&test.table).await;
        handle(&ctx, &alert()).await.expect("it is taken in");
        handle(&ctx, &alert()).await.expect("once more changes nothing");
        assert_eq!(testkit::published(&test.table).await.len(), 1);
    }

    #[tokio::test]
    async fn each_event_has_a_message_of_its_own() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        known(&test.table).await;
        let consumer = "on-account-alert";
        for (delivery, kind) in [
            (testkit::delivery(consumer, DeviceAdded::example()), Kind::NewDevice),
            (testkit::delivery(consumer, PasswordChanged::example()), Kind::PasswordChanged),
            (testkit::delivery(consumer, SecondFactorReset::example()), Kind::SecondFactorReset),
        ] {
            handle(&ctx, &delivery).await.expect("it is taken in");
            let key = store::message_key(delivery.derived_id());
            let message = test.table.get(&key).await.expect("reads").expect("a message");
            assert_eq!(message.value.content.kind(), kind);
        }
    }

    #[tokio::test]
    async fn an_event_of_another_kind_is_a_defect() {
        let test = testkit::TestTable::new().await;
        let delivery = testkit::delivery("on-account-alert", MessageQueued::example());
        let result = handle(&Ctx { table: test.table.clone() }, &delivery).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if !fault.retryable));
    }
}
