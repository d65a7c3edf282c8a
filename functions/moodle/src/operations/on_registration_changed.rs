//! Event: a registration was confirmed, dropped or withdrawn. The enrolment is looked at; the saga does not wait for
//! it.

use events::{Event, RegistrationConfirmed, RegistrationDropped, RegistrationWithdrawn};
use kernel::{PersonId, RegistrationId, SectionId};
use shell::{Delivery, Failure};

use super::{chosen, has_courses, take_in};
use crate::Ctx;
use crate::domain::{Kind, Registrations, Site, Standing, WorkId};
use crate::store;
use crate::sync::entity_of;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let (section, student, registration, standing) = news(delivery)?;
    let known = ctx.table.get(&store::registrations_key(section, student)).await?;
    let read_version = known.as_ref().map(|known| known.version);
    let mut registrations =
        known.map_or_else(|| Registrations::none(section, student), |known| known.value);
    if !registrations.learn(registration, standing) {
        return Ok(());
    }
    let sites = store::all_sites(&ctx.table).await?;
    let id = |site: &Site, kind, entity: String| WorkId { site: site.code.clone(), kind, entity };
    let mut ids = Vec::new();
    for site in chosen(&sites, has_courses) {
        ids.push(id(site, Kind::Enrolment, entity_of(section, student)));
        // Whoever is registered belongs here by that alone, and by nothing else perhaps.
        ids.push(id(site, Kind::User, student.to_string()));
    }
    take_in(ctx, delivery, &registrations, read_version, &ids).await
}

fn news(delivery: &Delivery) -> Result<(SectionId, PersonId, RegistrationId, Standing), Failure> {
    if delivery.envelope.name == RegistrationConfirmed::NAME {
        let RegistrationConfirmed { section, student, registration, .. } = delivery.event()?;
        return Ok((section, student, registration, Standing::Confirmed));
    }
    if delivery.envelope.name == RegistrationWithdrawn::NAME {
        let RegistrationWithdrawn { section, student, registration, .. } = delivery.event()?;
        return Ok((section, student, registration, Standing::Dropped));
    }
    let RegistrationDropped { section, student, registration, .. } = delivery.event()?;
    Ok((section, student, registration, Standing::Dropped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, marked};

    #[tokio::test]
    async fn a_confirmed_registration_is_marked_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
            },
            async |table, ()| handle(&fixtures::ctx(table), &fixtures::confirmed("a", "ada")).await,
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                let (section, ada) = (fixtures::section("a"), testkit::person("ada"));
                let expected = [format!("user {ada}"), format!("enrolment {section}/{ada}")];
                assert_eq!(marked(&ctx, "academics").await, expected);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_ended_before_its_confirmation_comes_stays_ended() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        for (student, end) in
            [("ada", fixtures::dropped("a", "ada")), ("bob", fixtures::withdrawn("a", "bob"))]
        {
            for delivery in [end, fixtures::confirmed("a", student)] {
                handle(&ctx, &delivery).await.expect("taken in");
            }
            let key = store::registrations_key(fixtures::section("a"), testkit::person(student));
            let known = ctx.table.get(&key).await.expect("reads").expect("is there");
            assert!(!known.value.is_active());
        }
    }
}
