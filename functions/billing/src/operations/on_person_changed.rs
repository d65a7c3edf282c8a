//! Event: a person was registered, or their profile changed. Billing keeps what they were called, and since when.

use events::{Event, PersonChanged, PersonRegistered};
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::Names;
use crate::store::{self, Opened};

/// A person who is registered has the first version of a profile.
const FIRST_PROFILE_VERSION: u64 = 1;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let (person, name, version) = if delivery.envelope.name == PersonRegistered::NAME {
        let PersonRegistered { person, name, .. } = delivery.event()?;
        (person, name, FIRST_PROFILE_VERSION)
    } else {
        let PersonChanged { person, name, profile_version, .. } = delivery.event()?;
        (person, name, profile_version)
    };
    let stored = ctx.table.get(&store::names_key(person)).await?;
    let mut names = Opened::of(stored, || Names::of(person));
    if !names.value.take(version, name, delivery.envelope.occurred_at) {
        return Ok(());
    }
    let mut transaction = ctx.table.transaction();
    names.write(&mut transaction);
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use kernel::PersonName;

    use super::*;
    use crate::fixtures::ctx;

    fn changed(family: &str, profile_version: u64) -> Delivery {
        let name = PersonName { given: "Amélie".into(), family: family.into() };
        let person = testkit::person("ada");
        let event = PersonChanged { person, name, profile_version, ..PersonChanged::example() };
        let mut delivery = testkit::delivery("on-person-changed", event);
        delivery.envelope.id = format!("{}:{person}:{profile_version}", PersonChanged::NAME);
        delivery
    }

    async fn names(ctx: &Ctx) -> table::Stored<Names> {
        let key = store::names_key(testkit::person("ada"));
        ctx.table.get(&key).await.expect("reads").expect("she is known")
    }

    #[tokio::test]
    async fn a_name_is_kept_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| changed("Ngono", 2),
            async |table, delivery| handle(&ctx(table), delivery).await,
            async |table, delivery| {
                let ctx = ctx(table);
                handle(&ctx, delivery).await.expect("a duplicate is taken");
                let names = names(&ctx).await;
                assert_eq!(names.version, 1);
                let name = names.value.at(testkit::now()).map(PersonName::full);
                assert_eq!(name.as_deref(), Some("Amélie Ngono"));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_change_of_something_else_writes_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let person = testkit::person("ada");
        let name = PersonName { given: "Amélie".into(), family: "Ngono".into() };
        let event = PersonRegistered { person, name, ..PersonRegistered::example() };
        let registered = testkit::delivery("on-person-changed", event);
        for delivery in [registered, changed("Ngono", 2)] {
            handle(&ctx, &delivery).await.expect("taken in");
        }
        assert_eq!(names(&ctx).await.version, 1);
        handle(&ctx, &changed("Mbarga", 3)).await.expect("taken in");
        assert_eq!(names(&ctx).await.version, 2);
    }
}
