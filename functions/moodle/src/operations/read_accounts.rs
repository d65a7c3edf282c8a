//! Where a person stands in every site: in step, waiting, suspended, or not there, and why.

use kernel::{Locale, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route, sentence};
use table::{Batch, Stored};

use super::STAFF;
use crate::Ctx;
use crate::domain::{Kind, Mapping, Refusal, Registrations, SENTENCES, SiteCode, Work, WorkId};
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
    /// The account's id in Moodle.
    pub moodle_id: Option<i64>,
    pub sent_at: Option<Timestamp>,
    pub cohorts: Vec<String>,
    pub sentence: String,
    /// In courses of the site.
    pub enrolments: Vec<Enrolled>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Enrolled {
    pub section: kernel::SectionId,
    pub state: State,
    pub sentence: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let person = call.command.person;
    let mut known = ctx.table.get_collection(&store::person_collection(person)).await?;
    let registrations: Vec<Stored<Registrations>> = known.take_all(store::REGISTRATIONS)?;
    let profile = known.take(&store::profile_key(person))?;
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
        entities.iter().flat_map(move |(kind, entity)| keys_of(&work_id(code, *kind, entity)))
    });
    let records = store::batch(&ctx.table, keys.collect()).await?;
    let mut standings = Standings { records, locale: call.locale };
    let mut reply = Reply { person, sites: Vec::new() };
    for site in sites {
        let code = site.value.code;
        let user = work_id(&code, Kind::User, &person.to_string());
        let (mapping, state, told) = standings.take(&user)?;
        let mut enrolments = Vec::new();
        for registration in &registrations {
            let id = work_id(&code, Kind::Enrolment, &entity(registration));
            let (_, state, sentence) = standings.take(&id)?;
            if state != State::Absent {
                let section = registration.value.section;
                enrolments.push(Enrolled { section, state, sentence });
            }
        }
        reply.sites.push(InSite {
            site: code,
            state,
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
                let code =
                    work.trouble.as_ref().map_or("STANDING_WAITING", |trouble| &trouble.code);
                (if work.is_stuck { State::Stuck } else { State::Waiting }, code.to_owned())
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
    async fn nobody_stands_nowhere() {
        let world = World::start().await;
        let call = testkit::call(Command { person: testkit::person("nobody") });
        assert_eq!(code(handle(&world.ctx, &call).await), "PERSON_UNKNOWN");
    }
}
