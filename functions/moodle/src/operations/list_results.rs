//! What the students of a section have come to, as it was last read from the sites.

use events::GradeRead;
use kernel::{PersonId, SectionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::STAFF;
use crate::Ctx;
use crate::domain::{CourseResult, SiteCode};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-results",
    "/moodle/sections/{section}/results",
    STAFF,
    "List what the students of a section have come to in Moodle",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub site: SiteCode,
    pub student: PersonId,
    /// The course's total; absent where nothing is graded.
    pub grade: Option<GradeRead>,
    /// Absent where the site does not follow the completion of this course.
    pub is_completed: Option<bool>,
    pub completed_at: Option<Timestamp>,
    pub last_access_at: Option<Timestamp>,
    pub read_at: Timestamp,
    /// When it was first read as it is.
    pub changed_at: Timestamp,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::results(call.command.section), &call.page).await?;
    let item = |result: CourseResult| Item {
        site: result.site,
        student: result.student,
        grade: result.grade,
        is_completed: result.completion.map(|completion| completion.is_completed),
        completed_at: result.completion.and_then(|completion| completion.completed_at),
        last_access_at: result.last_access_at,
        read_at: result.read_at,
        changed_at: result.changed_at,
    };
    let items = page.records.into_iter().map(|result| item(result.value)).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, World};

    #[tokio::test]
    async fn before_anything_was_read_nothing_is_listed() {
        let world = World::start().await;
        let call = testkit::call(Command { section: fixtures::section("a") });
        let listed = handle(&world.ctx, &call).await.expect("a page");
        assert_eq!((listed.items, listed.next_cursor), (Vec::new(), None));
    }
}
