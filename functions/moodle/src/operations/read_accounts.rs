//! Where a person stands in every site: in step, waiting, suspended, or not there, and why.

use kernel::{Locale, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Role, Route, sentence};
use table::{Batch, Stored};

use super::STAFF;
use crate::Ctx;
use crate::domain::{
    Breaker, Health, HeldRoles, Kind, Mapping, Refusal, Registrations, SENTENCES, Site, SiteCode,
    Work, WorkId,
};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-accounts",
    "/moodle/people/{person}",
    STAFF,
    "Read where a person stands in every Moodle site",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub person: PersonId,
    pub sites: Vec<InSite>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// What stands there is what was last sent, and nothing waits.
    InStep,
    Suspended,
    /// Something waits to be sent.
    Waiting,
    /// The site did not take it.
    Stuck,
    /// Does not belong there.
    Absent,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InSite {
    pub site: SiteCode,
    pub state: State,
    /// Roles that the person holds and that belong here.
    pub roles: Vec<Role>,
    /// The account's id in Moodle.
    pub moodle_id: Option<i64>,
    pub sent_at: Option<Timestamp>,
    pub cohorts: Vec<String>,
    /// Also why nothing stands there, or why it waits.
    pub sentence: String,
    /// In courses of the site.
    pub enrolments: Vec<Enrolled>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Enrolled {
    pub section: kernel::SectionId,
    pub state: State,
    /// As what they are in the course; absent as long as nothing was sent.
    pub role: Option<CourseRole>,
    pub sentence: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CourseRole {
    Student,
    Teacher,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let person = call.command.person;
    let mut known = ctx.table.get_collection(&store::person_collection(person)).await?;
    let registrations: Vec<Stored<Registrations>> = known.take_all(store::REGISTRATIONS)?;
    let profile = known.take(&store::profile_key(person))?;
    let held: Option<Stored<HeldRoles>> = known.take(&store::held_roles_key(person))?;
    if profile.is_none() && registrations.is_empty() {
        return Err(Refusal::PersonUnknown.into());
    }
    let sites = store::all_sites(&ctx.table).await?;
    let entity = |registration: &Stored<Registrations>| {
        crate::sync::entity_of(registration.value.section, person)
    };
    let entities: Vec<(Kind, String)> = std::iter::once((Kind::User, person.to_string()))
        .chain(registrations.iter().map(|one| (Kind::Enrolment, entity(one))))
        .collect();
    let keys = sites.iter().flat_map(|site| {
        let code = &site.value.code;
        let of_site = (&store::health_key(code)).into();
        let of_entities =
            move |(kind, entity): &(Kind, String)| keys_of(&work_id(code, *kind, entity));
        std::iter::once(of_site).chain(entities.iter().flat_map(of_entities))
    });
    let records = store::batch(&ctx.table, keys.collect()).await?;
    let mut standings = Standings { records, site_trouble: None, locale: call.locale };
    let mut reply = Reply { person, sites: Vec::new() };
    for Stored { value: site, .. } in sites {
        let roles = held.as_ref().map(|held| held.value.of(&site, call.now)).unwrap_or_default();
        let health = store::take(&mut standings.records, &store::health_key(&site.code))?;
        standings.site_trouble = trouble_of(&site, health.map(|health| health.value));
        let user = work_id(&site.code, Kind::User, &person.to_string());
        let (mapping, state, mut told) = standings.take(&user)?;
        if state == State::Absent {
            told = absence(&site, profile.is_some(), !roles.is_empty(), call.locale);
        }
        let mut enrolments = Vec::new();
        for registration in &registrations {
            let id = work_id(&site.code, Kind::Enrolment, &entity(registration));
            let (sent, state, sentence) = standings.take(&id)?;
            if state != State::Absent {
                let section = registration.value.section;
                let role = sent.and_then(|sent| course_role(&site, &sent));
                enrolments.push(Enrolled { section, state, role, sentence });
            }
        }
        reply.sites.push(InSite {
            site: site.code,
            state,
            roles,
            moodle_id: mapping.as_ref().map(|mapping| mapping.moodle_id),
            sent_at: mapping.as_ref().map(|mapping| mapping.sent_at),
            cohorts: mapping
                .map(|mapping| mapping.cohorts.into_iter().collect())
                .unwrap_or_default(),
            sentence: told,
            enrolments,
        });
    }
    Ok(reply)
}

/// As what an enrolment was sent, in the words of the site's settings.
fn course_role(site: &Site, sent: &Mapping) -> Option<CourseRole> {
    let roles = &site.settings.roles;
    match sent.role {
        Some(role) if roles.teacher == Some(role) => Some(CourseRole::Teacher),
        Some(role) if roles.student == role => Some(CourseRole::Student),
        _ => None,
    }
}

/// Why nobody has sent what waits; none where it is only a matter of moments.
fn trouble_of(site: &Site, health: Option<Health>) -> Option<String> {
    if !site.settings.is_active {
        return Some("STANDING_SITE_INACTIVE".to_owned());
    }
    let health = health.filter(|health| health.breaker != Breaker::Closed)?;
    health.last_error.map(|error| error.code)
}

/// Why a person has no account in a site.
fn absence(site: &Site, has_name: bool, holds_role: bool, locale: Locale) -> String {
    let roles: Vec<&str> = site.settings.people.iter().map(|role| role.name()).collect();
    let code = if !has_name {
        "STANDING_NAME_UNKNOWN"
    } else if holds_role {
        "STANDING_NOT_SENT"
    } else if roles.is_empty() {
        "STANDING_NO_COURSE"
    } else {
        "STANDING_NO_ROLE"
    };
    sentence(&SENTENCES, locale, code, &[("roles", roles.join(", "))])
}

fn work_id(site: &SiteCode, kind: Kind, entity: &str) -> WorkId {
    WorkId { site: site.clone(), kind, entity: entity.to_owned() }
}

/// Of all that says how an entity stands in a site.
fn keys_of(id: &WorkId) -> [(String, String); 2] {
    let mapping = store::mapping_key(&id.site, id.kind, &id.entity);
    [(&mapping).into(), (&store::work_key(id)).into()]
}

/// What [`keys_of`] entities are the keys of, read together.
struct Standings {
    records: Vec<Batch>,
    /// Of the site whose turn it is: why what waits there waits.
    site_trouble: Option<String>,
    locale: Locale,
}

impl Standings {
    /// How one entity stands in a site, and the sentence that says so.
    fn take(&mut self, id: &WorkId) -> Result<(Option<Mapping>, State, String), Failure> {
        let mapping_key = store::mapping_key(&id.site, id.kind, &id.entity);
        let mapping = store::take(&mut self.records, &mapping_key)?.map(|found| found.value);
        let work: Option<Work> =
            store::take(&mut self.records, &store::work_key(id))?.map(|found| found.value);
        let is_suspended = mapping.as_ref().is_some_and(|mapping| mapping.is_suspended);
        let (state, code) = match (&work, &mapping) {
            (Some(work), _) => {
                let of_work = work.trouble.as_ref().map(|trouble| trouble.code.clone());
                let code = of_work.or_else(|| self.site_trouble.clone());
                let code = code.unwrap_or_else(|| "STANDING_WAITING".to_owned());
                (if work.is_stuck { State::Stuck } else { State::Waiting }, code)
            }
            (None, Some(_)) if is_suspended => (State::Suspended, "STANDING_SUSPENDED".to_owned()),
            (None, Some(_)) => (State::InStep, "STANDING_IN_STEP".to_owned()),
            (None, None) => (State::Absent, "STANDING_ABSENT".to_owned()),
        };
        Ok((mapping, state, sentence(&SENTENCES, self.locale, &code, &[])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, World, code};

    async fn read(world: &World, name: &str) -> Reply {
        let command = Command { person: testkit::person(name) };
        handle(&world.ctx, &testkit::call(command)).await.expect("reads")
    }

    #[tokio::test]
    async fn a_person_is_told_apart_by_site() {
        let world = World::start().await;
        fixtures::add_finance_site(&world.ctx, "http://127.0.0.1:9").await;
        world.enrol("a", "ada").await;
        let before = read(&world, "ada").await;
        assert_eq!(before.sites[0].state, State::Waiting);
        world.run().await;
        let after = read(&world, "ada").await;
        let states: Vec<(&str, State)> =
            after.sites.iter().map(|site| (site.site.0.as_str(), site.state)).collect();
        assert_eq!(states, [("academics", State::InStep), ("finance", State::Waiting)]);
        assert_eq!(after.sites[0].enrolments[0].state, State::InStep);
        assert!(after.sites[0].moodle_id.is_some());
        world.drop_registration("a", "ada").await;
        world.run_after(100).await;
        assert_eq!(read(&world, "ada").await.sites[0].enrolments[0].state, State::Suspended);
    }

    #[tokio::test]
    async fn of_each_site_it_is_said_as_what_a_person_is_there_or_why_not() {
        let world = World::start().await;
        fixtures::add_finance_site(&world.ctx, "http://127.0.0.1:9").await;
        for name in ["ada", "bob"] {
            fixtures::deliver_person(&world.ctx, name).await;
        }
        let mut offered = fixtures::offered("a", 1);
        offered.envelope.data["teachers"] = vec![testkit::person("ada").to_string()].into();
        let taken_in = super::super::on_section_offered::handle(&world.ctx, &offered).await;
        taken_in.expect("taken in");
        let role = fixtures::role("ada", Role::Teacher, Some("MATH"));
        super::super::on_role_changed::handle(&world.ctx, &role).await.expect("taken in");
        world.run().await;
        let finance = SiteCode("finance".into());
        crate::sync::run(&world.ctx, &finance, testkit::now(), "test").await.expect("it runs");
        let ada = read(&world, "ada").await;
        let academics = &ada.sites[0];
        assert_eq!((academics.state, &academics.roles), (State::InStep, &vec![Role::Teacher]));
        assert_eq!(academics.enrolments[0].role, Some(CourseRole::Teacher));
        let finance = &ada.sites[1];
        assert_eq!((finance.state, finance.roles.len()), (State::Absent, 0));
        assert!(finance.sentence.contains("student, bursar"), "{}", finance.sentence);
        let bob = read(&world, "bob").await;
        assert!(bob.sites[0].sentence.contains("student, teacher"), "{}", bob.sites[0].sentence);
    }

    #[tokio::test]
    async fn who_waits_for_a_site_that_is_down_is_told_so() {
        let world = World::start().await;
        world.site.break_after(0, testkit::MoodleFault::Maintenance, u64::MAX);
        world.enrol("a", "ada").await;
        world.run().await;
        let sentence = read(&world, "ada").await.sites.remove(0).sentence;
        assert!(sentence.contains("maintenance"), "{sentence}");
        world.change_settings(|settings| settings.is_active = false).await;
        let sentence = read(&world, "ada").await.sites.remove(0).sentence;
        assert!(sentence.contains("not active"), "{sentence}");
    }

    #[tokio::test]
    async fn nobody_stands_nowhere() {
        let world = World::start().await;
        let call = testkit::call(Command { person: testkit::person("nobody") });
        assert_eq!(code(handle(&world.ctx, &call).await), "PERSON_UNKNOWN");
    }
}
