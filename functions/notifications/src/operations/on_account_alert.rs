//! Queues the message that tells somebody what happened to their account, so that they notice what was not them.

use events::{
    DeviceAdded, Event, PasswordChanged, RefreshTokenReused, RoleAssigned, SecondFactorConfirmed,
    SecondFactorRemoved, SecondFactorReset,
};
use kernel::{MessageId, PersonId};
use shell::{Delivery, Failure, Fault, Role};

use crate::Ctx;
use crate::domain::{Content, Kind, Message};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let Some((person, content)) = alert_of(delivery)? else { return Ok(()) };
    let id: MessageId = delivery.derived_id();
    let (contact, queued) = (store::contact_key(person), store::message_key(id));
    let mut batch = ctx.table.get_batch(vec![(&contact).into(), (&queued).into()]).await?;
    if batch.take(&queued)?.is_some() {
        return Ok(());
    }
    let Some(contact) = batch.take(&contact)? else {
        // Somebody who has no address is nobody's to write to; somebody who has just got one hears of it otherwise.
        if content.kind() == Kind::RoleGiven {
            return Ok(());
        }
        // The event that tells who they are is on its way.
        return Err(Fault::outside("nobody has told us of this person yet", "no contact").into());
    };
    let message = Message::to_contact(id, &contact.value, content, delivery.now);
    let mut transaction = ctx.table.transaction();
    store::queue(&mut transaction, &message, &delivery.envelope.correlation_id);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

fn alert_of(delivery: &Delivery) -> Result<Option<(PersonId, Content)>, Failure> {
    let alert = match delivery.envelope.name.as_str() {
        RefreshTokenReused::NAME => {
            let RefreshTokenReused { person, reused_at, .. } = delivery.event()?;
            (person, Content::SessionRevoked { happened_at: reused_at })
        }
        DeviceAdded::NAME => {
            let DeviceAdded { person, added_at, .. } = delivery.event()?;
            (person, Content::NewDevice { happened_at: added_at })
        }
        PasswordChanged::NAME => {
            let PasswordChanged { person, changed_at, .. } = delivery.event()?;
            (person, Content::PasswordChanged { happened_at: changed_at })
        }
        SecondFactorConfirmed::NAME => {
            let SecondFactorConfirmed { person, confirmed_at, .. } = delivery.event()?;
            (person, Content::SecondFactorConfirmed { happened_at: confirmed_at })
        }
        SecondFactorRemoved::NAME => {
            let SecondFactorRemoved { person, removed_at, .. } = delivery.event()?;
            (person, Content::SecondFactorRemoved { happened_at: removed_at })
        }
        SecondFactorReset::NAME => {
            let SecondFactorReset { person, reset_at, .. } = delivery.event()?;
            (person, Content::SecondFactorReset { happened_at: reset_at })
        }
        RoleAssigned::NAME => return Ok(alert_of_role(delivery.event()?, delivery)),
        other => return Err(Fault::defect(format!("{other} is no alert")).into()),
    };
    Ok(Some(alert))
}

/// A role of the staff is news to its holder, once it counts: it is told again then. What comes with an import by the
/// thousand is none.
fn alert_of_role(event: RoleAssigned, delivery: &Delivery) -> Option<(PersonId, Content)> {
    let RoleAssigned { person, role, department, assigned_by, valid_from, .. } = event;
    let happened_at = delivery.envelope.occurred_at;
    let is_to_come = valid_from.is_some_and(|from| from > happened_at);
    let is_imported = role == Role::Teacher.name() && assigned_by.is_none();
    if role == Role::Student.name() || is_imported || is_to_come {
        return None;
    }
    Some((person, Content::RoleGiven { role, department, happened_at }))
}

#[cfg(test)]
mod tests {
    use events::{MessageQueued, PersonRegistered};
    use table::Table;

    use super::super::on_person_changed;
    use super::*;

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
            (
                testkit::delivery(consumer, SecondFactorConfirmed::example()),
                Kind::SecondFactorConfirmed,
            ),
            (
                testkit::delivery(consumer, SecondFactorRemoved::example()),
                Kind::SecondFactorRemoved,
            ),
            (testkit::delivery(consumer, SecondFactorReset::example()), Kind::SecondFactorReset),
            (testkit::delivery(consumer, RoleAssigned::example()), Kind::RoleGiven),
        ] {
            handle(&ctx, &delivery).await.expect("it is taken in");
            let key = store::message_key(delivery.derived_id());
            let message = test.table.get(&key).await.expect("reads").expect("a message");
            assert_eq!(message.value.content.kind(), kind);
        }
    }

    #[tokio::test]
    async fn a_students_role_and_an_import_of_teachers_are_no_news_and_nobody_without_address_waits()
     {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let told = |role: Role, assigned_by| {
            let event =
                RoleAssigned { role: role.name().into(), assigned_by, ..RoleAssigned::example() };
            testkit::delivery("on-account-alert", event)
        };
        let somebody = Some(testkit::person("hr"));
        let unknown = told(Role::Bursar, somebody);
        handle(&ctx, &unknown).await.expect("there is no address to write to");
        known(&test.table).await;
        for (role, by) in [(Role::Student, somebody), (Role::Student, None), (Role::Teacher, None)]
        {
            handle(&ctx, &told(role, by)).await.expect("it is no news");
        }
        let mut to_come = told(Role::Bursar, somebody);
        to_come.envelope.data["valid_from"] = "2099-01-01T00:00:00Z".into();
        handle(&ctx, &to_come).await.expect("it is no news yet");
        assert_eq!(testkit::published(&test.table).await.len(), 0);
        handle(&ctx, &told(Role::Teacher, somebody)).await.expect("it is taken in");
        assert_eq!(testkit::published(&test.table).await.len(), 1);
    }

    #[tokio::test]
    async fn an_event_of_another_kind_is_a_defect() {
        let test = testkit::TestTable::new().await;
        let delivery = testkit::delivery("on-account-alert", MessageQueued::example());
        let result = handle(&Ctx { table: test.table.clone() }, &delivery).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if !fault.retryable));
    }
}
