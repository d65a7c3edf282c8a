//! Keeps the contact of a person: what identity last told of their name, address and language.

use events::{Event, PersonChanged, PersonRegistered};
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::Contact;
use crate::store;

/// A person who is registered has the first version of a profile.
const FIRST_PROFILE_VERSION: u64 = 1;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let contact = contact_of(delivery)?;
    let known = ctx.table.get(&store::contact_key(contact.person)).await?;
    if !contact.supersedes(known.as_ref().map(|known| &known.value)) {
        return Ok(());
    }
    let mut transaction = ctx.table.transaction();
    transaction.put(&contact, known.map(|known| known.version));
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

fn contact_of(delivery: &Delivery) -> Result<Contact, Failure> {
    if delivery.envelope.name == PersonRegistered::NAME {
        let PersonRegistered { person, name, email, locale } = delivery.event()?;
        return Ok(Contact { person, name, email, locale, profile_version: FIRST_PROFILE_VERSION });
    }
    let PersonChanged { person, name, email, locale, profile_version } = delivery.event()?;
    Ok(Contact { person, name, email, locale, profile_version })
}

#[cfg(test)]
mod tests {
    use events::MessageQueued;
    use table::{Stored, Table};

    use super::*;
    use crate::domain::tests::contact;

    fn registered() -> Delivery {
        let Contact { person, name, email, locale, .. } = contact(testkit::person("ada"), 1);
        testkit::delivery("on-person-changed", PersonRegistered { person, name, email, locale })
    }

    fn changed(profile_version: u64) -> Delivery {
        let Contact { person, name, email, locale, profile_version } =
            contact(testkit::person("ada"), profile_version);
        let event = PersonChanged { person, name, email, locale, profile_version };
        let mut delivery = testkit::delivery("on-person-changed", event);
        delivery.envelope.id = format!("{}:{person}:{profile_version}", PersonChanged::NAME);
        delivery
    }

    async fn ada(table: &Table) -> Stored<Contact> {
        let key = store::contact_key(testkit::person("ada"));
        table.get(&key).await.expect("reads").expect("a contact")
    }

    #[tokio::test]
    async fn a_person_becomes_a_contact_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| registered(),
            async |table, delivery| handle(&Ctx { table: table.clone() }, delivery).await,
            async |table, _| {
                let stored = ada(table).await;
                assert_eq!((stored.version, stored.value), (1, contact(testkit::person("ada"), 1)));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_changed_profile_replaces_the_contact_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                handle(&Ctx { table: table.clone() }, &registered()).await.expect("a contact");
                changed(2)
            },
            async |table, delivery| handle(&Ctx { table: table.clone() }, delivery).await,
            async |table, _| {
                let stored = ada(table).await;
                assert_eq!((stored.version, stored.value), (2, contact(testkit::person("ada"), 2)));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn late_and_repeated_news_change_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        for delivery in [changed(3), registered(), changed(2), changed(3)] {
            handle(&ctx, &delivery).await.expect("it is taken in");
            let stored = ada(&test.table).await;
            assert_eq!((stored.version, stored.value.profile_version), (1, 3));
        }
        handle(&ctx, &changed(4)).await.expect("it is taken in");
        assert_eq!(ada(&test.table).await.value, contact(testkit::person("ada"), 4));
    }

    #[tokio::test]
    async fn an_event_of_another_kind_is_a_defect() {
        let test = testkit::TestTable::new().await;
        let delivery = testkit::delivery("on-person-changed", MessageQueued::example());
        let result = handle(&Ctx { table: test.table.clone() }, &delivery).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if !fault.retryable));
    }
}
