//! A section does not take place: its rooms are free again, and nobody registers for it any more.

use kernel::SectionId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::create_section::Reply;
use super::{Move, PLANNERS, move_section_to};
use crate::Ctx;
use crate::domain::SectionState;

pub const ROUTE: Route = Route::act(
    "cancel-section",
    "/sections/{section}/cancellation",
    PLANNERS,
    "Cancel a section: nobody registers for it any more",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
    /// Students are told.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { section, reason } = call.command.clone();
    let to = SectionState::Cancelled;
    move_section_to(ctx, call, Move { section, to, reason: Some(reason) }).await
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionCancelled};
    use kernel::{Meeting, Room};

    use super::super::edit_section;
    use super::*;
    use crate::fixtures::{self, at_version, code, ctx, monday, registrar};
    use crate::store;

    fn cancel(section: SectionId) -> Command {
        Command { section, reason: "Too few students.".into() }
    }

    #[tokio::test]
    async fn a_cancelled_section_gives_its_room_back_tells_why_and_is_edited_no_more() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let room = Room { building: "North".into(), name: "12".into() };
        let meetings = vec![Meeting { room: Some(room), ..monday("09:00", "10:00") }];
        let first = fixtures::section(&ctx, &term, "A", |s| s.meetings = meetings.clone()).await;
        let id = first.section.id;
        handle(&ctx, &registrar(cancel(id))).await.expect("cancels");
        fixtures::section(&ctx, &term, "B", |s| s.meetings = meetings).await;
        let told = testkit::published(&test.table).await;
        let told = told.iter().find(|event| event.name == SectionCancelled::NAME);
        let told: SectionCancelled =
            serde_json::from_value(told.expect("it is told").data.clone()).expect("reads");
        assert_eq!((told.section, told.reason.as_str()), (id, "Too few students."));
        assert_eq!(told.cancelled_by, Some(testkit::person("ada")));
        let edit = serde_json::json!({ "section": id, "capacity": 3 });
        let edit: edit_section::Command = serde_json::from_value(edit).expect("a command");
        let edited = edit_section::handle(&ctx, &at_version(2, registrar(edit))).await;
        assert_eq!(code(edited), "SECTION_IS_CANCELLED");
    }

    #[tokio::test]
    async fn a_section_is_cancelled_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let term = fixtures::term(&ctx(table), |_| ()).await;
                let section = fixtures::section(&ctx(table), &term, "A", |_| ()).await;
                registrar(cancel(section.section.id))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::section_key(call.command.section);
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 2);
                let told = testkit::published(table).await;
                let told = told.iter().filter(|event| event.name == SectionCancelled::NAME);
                assert_eq!(told.count(), 1);
            },
        )
        .await;
    }
}
