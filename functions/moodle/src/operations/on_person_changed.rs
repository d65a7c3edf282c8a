//! Event: somebody registered or changed their name or address. Their accounts are looked at.

use events::{Event, PersonChanged, PersonRegistered};
use shell::{Delivery, Failure};

use super::{chosen, take_in, user_in};
use crate::Ctx;
use crate::domain::Profile;
use crate::store;

/// A person who is registered has the first version of a profile.
const FIRST_PROFILE_VERSION: u64 = 1;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let profile = profile_of(delivery)?;
    let known = ctx.table.get(&store::profile_key(profile.person)).await?;
    if !profile.supersedes(known.as_ref().map(|known| &known.value)) {
        return Ok(());
    }
    let sites = store::all_sites(&ctx.table).await?;
    let ids = user_in(&chosen(&sites, |_| true), profile.person);
    take_in(ctx, delivery, &profile, known.map(|known| known.version), &ids).await
}

fn profile_of(delivery: &Delivery) -> Result<Profile, Failure> {
    if delivery.envelope.name == PersonRegistered::NAME {
        let PersonRegistered { person, name, email, .. } = delivery.event()?;
        return Ok(Profile { person, name, email, profile_version: FIRST_PROFILE_VERSION });
    }
    let PersonChanged { person, name, email, profile_version, .. } = delivery.event()?;
    Ok(Profile { person, name, email, profile_version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, marked};

    #[tokio::test]
    async fn a_new_person_is_marked_in_every_site_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                fixtures::add_site(&ctx, "hr", "http://127.0.0.1:9").await;
                fixtures::registered("ada")
            },
            async |table, delivery| handle(&fixtures::ctx(table), delivery).await,
            async |table, _| {
                let ctx = fixtures::ctx(table);
                let ada = testkit::person("ada").to_string();
                for site in ["academics", "hr"] {
                    assert_eq!(marked(&ctx, site).await, [format!("user {ada}")]);
                }
            },
        )
        .await;
    }

    #[tokio::test]
    async fn late_news_change_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        handle(&ctx, &fixtures::person_changed("ada", "Augusta", 3)).await.expect("taken in");
        handle(&ctx, &fixtures::registered("ada")).await.expect("passed over");
        let key = store::profile_key(testkit::person("ada"));
        let profile = ctx.table.get(&key).await.expect("reads").expect("is there");
        assert_eq!((profile.version, profile.value.name.given.as_str()), (1, "Augusta"));
    }
}
