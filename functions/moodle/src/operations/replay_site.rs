//! Has one entity, or everything known, looked at again in a site: after something was mended there.

use kernel::{PersonId, SectionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::ADMINISTRATORS;
use crate::Ctx;
use crate::domain::{Kind, Refusal, Replay, SiteCode, WorkId};
use crate::store::{self, Cause};
use crate::sync::entity_of;

pub const ROUTE: Route = Route::act(
    "replay-site",
    "/moodle/sites/{site}/replays",
    ADMINISTRATORS,
    "Look again at one entity of a Moodle site, or at everything",
);

/// A person's account, a section's course with its groups, an enrolment where both are named, or everything.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
    pub person: Option<PersonId>,
    pub section: Option<SectionId>,
    /// True, and nothing named, for everything known.
    pub everything: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub site: SiteCode,
    /// What is looked at; absent where it is everything.
    pub entity: Option<String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { site, person, section, everything } = call.command.clone();
    let site = store::site(&ctx.table, &site).await?.value.code;
    let named = match (person, section, everything.unwrap_or_default()) {
        (Some(person), None, false) => {
            let known = ctx.table.get(&store::profile_key(person)).await?;
            known.ok_or(Refusal::PersonUnknown)?;
            Some((Kind::User, person.to_string()))
        }
        (None, Some(section), false) => {
            let known = ctx.table.get(&store::section_key(section)).await?;
            known.ok_or(Refusal::SectionUnknown)?;
            Some((Kind::Course, section.to_string()))
        }
        (Some(person), Some(section), false) => Some((Kind::Enrolment, entity_of(section, person))),
        (None, None, true) => None,
        _ => return Err(Refusal::ReplayNotNamed.into()),
    };
    let mut transaction = ctx.table.transaction();
    let entity = named.as_ref().map(|(_, entity)| entity.clone());
    let reply = Reply { site: site.clone(), entity };
    if let Some((kind, entity)) = named {
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        let mut ids = vec![WorkId { site: site.clone(), kind, entity: entity.clone() }];
        if kind == Kind::Course {
            ids.push(WorkId { site, kind: Kind::Groups, entity });
        }
        store::mark_to_send(&ctx.table, &mut transaction, &ids, true, cause).await?;
    } else {
        let standing = ctx.table.get(&store::replay_key(&site)).await?;
        let begun = Replay {
            site,
            kind: Kind::Course,
            section: None,
            after: None,
            marked: 0,
            sends_anyway: true,
            asked_at: call.now,
        };
        transaction.put(&begun, standing.map(|standing| standing.version));
    }
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{World, code};

    fn command() -> Command {
        let site = SiteCode("academics".into());
        Command { site, person: None, section: None, everything: None }
    }

    /// A site in step, where somebody then changed a name by hand.
    async fn changed_there() -> World {
        let world = World::start().await;
        world.enrol("a", "ada").await;
        world.run().await;
        let id = world.site.users()[0]["id"].clone();
        let change = serde_json::json!({ "users": [{ "id": id, "firstname": "Changed" }] });
        world.site.act("core_user_update_users", &change);
        world
    }

    #[tokio::test]
    async fn everything_is_sent_again_after_the_site_came_back_from_an_old_backup() {
        let world = changed_there().await;
        let command = Command { everything: Some(true), ..command() };
        handle(&world.ctx, &testkit::call(command)).await.expect("asked for");
        world.site.take_asked();
        world.run_after(100).await;
        assert_eq!(world.site.users()[0]["firstname"], "Ada");
        let asked = world.site.take_asked().requests;
        for sent in
            ["core_user_update_users", "core_course_update_courses", "enrol_manual_enrol_users"]
        {
            assert!(asked.contains_key(sent), "{sent}: {asked:?}");
        }
        assert_eq!(world.run_after(200).await.requests, 0, "once");
    }

    #[tokio::test]
    async fn a_person_is_sent_again_after_somebody_changed_them_there() {
        let world = changed_there().await;
        let command = Command { person: Some(testkit::person("ada")), ..command() };
        handle(&world.ctx, &testkit::call(command)).await.expect("asked for");
        world.run_after(100).await;
        assert_eq!(world.site.users()[0]["firstname"], "Ada");
    }

    #[tokio::test]
    async fn a_replay_names_one_thing_or_everything() {
        let world = World::start().await;
        let refused = async |command| code(handle(&world.ctx, &testkit::call(command)).await);
        assert_eq!(refused(command()).await, "REPLAY_NOT_NAMED");
        let both =
            Command { everything: Some(true), person: Some(testkit::person("ada")), ..command() };
        assert_eq!(refused(both).await, "REPLAY_NOT_NAMED");
        let nobody = Command { person: Some(testkit::person("nobody")), ..command() };
        assert_eq!(refused(nobody).await, "PERSON_UNKNOWN");
        let nothing = Command { section: Some(crate::fixtures::section("none")), ..command() };
        assert_eq!(refused(nothing).await, "SECTION_UNKNOWN");
        let nowhere = Command { site: SiteCode("library".into()), ..command() };
        assert_eq!(refused(nowhere).await, "SITE_UNKNOWN");
    }

    #[tokio::test]
    async fn a_replay_is_asked_for_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = crate::fixtures::ctx(table);
                crate::fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                testkit::call(Command { everything: Some(true), ..command() })
            },
            async |table, call| handle(&crate::fixtures::ctx(table), call).await.map(drop),
            async |table, call| {
                let replay = table.get(&store::replay_key(&call.command.site)).await;
                assert!(replay.expect("reads").is_some());
            },
        )
        .await;
    }
}
