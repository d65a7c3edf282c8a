//! Has grades, completion and last access of a section read from a site, of one student or of all.

use kernel::{PersonId, SectionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::STAFF;
use crate::Ctx;
use crate::domain::{Kind, Refusal, SiteCode, WorkId};
use crate::store::{self, Cause};
use crate::sync::entity_of;

pub const ROUTE: Route = Route::act(
    "start-reading",
    "/moodle/sites/{site}/readings",
    STAFF,
    "Read what students have come to in a section, from a Moodle site",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
    pub section: SectionId,
    /// Absent for all students of the section.
    pub person: Option<PersonId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub site: SiteCode,
    /// What is read now.
    pub entity: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { site, section, person } = call.command.clone();
    let site = store::site(&ctx.table, &site).await?.value.code;
    let known = ctx.table.get(&store::section_key(section)).await?;
    known.ok_or(Refusal::SectionUnknown)?;
    let entity = person.map_or_else(|| section.to_string(), |person| entity_of(section, person));
    let reply = Reply { site: site.clone(), entity: entity.clone() };
    let id = WorkId { site, kind: Kind::Reading, entity };
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    store::mark(&ctx.table, &mut transaction, &[id], cause).await?;
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, World, code};

    #[tokio::test]
    async fn a_reading_is_asked_for_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                let offered = fixtures::offered("a", 1);
                super::super::on_section_offered::handle(&ctx, &offered).await.expect("taken in");
                let site = SiteCode("academics".into());
                let section = fixtures::section("a");
                testkit::call(Command { site, section, person: None })
            },
            async |table, call| handle(&fixtures::ctx(table), call).await.map(drop),
            async |table, _| {
                let marked = fixtures::marked(&fixtures::ctx(table), "academics").await;
                let section = fixtures::section("a");
                assert_eq!(marked, [format!("course {section}"), format!("reading {section}")]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_nobody_knows_is_not_read() {
        let world = World::start().await;
        let section = fixtures::section("none");
        let refused = async |site: &str| {
            let site = SiteCode(site.into());
            let call = testkit::call(Command { site, section, person: None });
            code(handle(&world.ctx, &call).await)
        };
        assert_eq!(refused("academics").await, "SECTION_UNKNOWN");
        assert_eq!(refused("library").await, "SITE_UNKNOWN");
    }
}
