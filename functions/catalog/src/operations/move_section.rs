//! A section is approved, offered, suspended, offered again, or taken back to a draft.

use kernel::SectionId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::create_section::Reply;
use super::{Move, PLANNERS, move_section_to};
use crate::Ctx;
use crate::domain::SectionState;

pub const ROUTE: Route = Route::act(
    "move-section",
    "/sections/{section}/state",
    PLANNERS,
    "Approve, offer, suspend or reinstate a section",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
    pub to: NextState,
    #[schemars(length(min = 1, max = 500))]
    pub reason: Option<String>,
}

/// Cancelling has consequences for students, and a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextState {
    Draft,
    Approved,
    Offered,
    Suspended,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { section, to, reason } = call.command.clone();
    let to = match to {
        NextState::Draft => SectionState::Draft,
        NextState::Approved => SectionState::Approved,
        NextState::Offered => SectionState::Offered,
        NextState::Suspended => SectionState::Suspended,
    };
    move_section_to(ctx, call, Move { section, to, reason }).await
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionOffered, SectionSuspended, TermState};
    use kernel::{Meeting, Room};

    use super::super::create_section::FirstState;
    use super::super::{cancel_section, create_section};
    use super::*;
    use crate::domain::Code;
    use crate::fixtures::{self, code, ctx, monday, registrar};
    use crate::store;

    fn to(section: SectionId, to: NextState) -> Command {
        Command { section, to, reason: Some("For a reason.".into()) }
    }

    #[tokio::test]
    async fn a_section_is_approved_offered_suspended_and_offered_again() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let draft = |section: &mut create_section::Command| section.state = FirstState::Draft;
        let id = fixtures::section(&ctx, &term, "A", draft).await.section.id;
        let told = async |name: &str| {
            let told = testkit::published(&test.table).await;
            told.iter().filter(|event| event.name == name).count()
        };
        let move_to = async |next| handle(&ctx, &registrar(to(id, next))).await;
        assert_eq!(code(move_to(NextState::Offered).await), "SECTION_STATE_NOT_REACHABLE");
        move_to(NextState::Approved).await.expect("approved");
        assert_eq!(told(SectionOffered::NAME).await, 0);
        move_to(NextState::Offered).await.expect("offered");
        assert_eq!(told(SectionOffered::NAME).await, 1);
        move_to(NextState::Suspended).await.expect("suspended");
        move_to(NextState::Suspended).await.expect("it is");
        assert_eq!(told(SectionSuspended::NAME).await, 1);
        let again = move_to(NextState::Offered).await.expect("offered again");
        assert_eq!((again.section.version, told(SectionOffered::NAME).await), (5, 2));
    }

    #[tokio::test]
    async fn a_draft_in_a_room_that_is_taken_is_not_approved() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let room = Room { building: "North".into(), name: "12".into() };
        let meetings = vec![Meeting { room: Some(room), ..monday("09:00", "10:00") }];
        fixtures::section(&ctx, &term, "A", |section| section.meetings = meetings.clone()).await;
        let drafted = fixtures::section(&ctx, &term, "B", |section| {
            (section.meetings, section.state) = (meetings.clone(), FirstState::Draft);
        });
        let approve = to(drafted.await.section.id, NextState::Approved);
        assert_eq!(code(handle(&ctx, &registrar(approve)).await), "TIMETABLE_CLASH");
    }

    #[tokio::test]
    async fn a_cancelled_section_comes_back_only_while_its_term_is_planned() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for (name, state, comes_back) in
            [("OPEN", TermState::Open, true), ("PUB", TermState::Published, false)]
        {
            let term = fixtures::term(&ctx, |term| {
                (term.state, term.code) = (state, Code(name.into()));
            })
            .await;
            let id = fixtures::section(&ctx, &term, name, |_| ()).await.section.id;
            let cancel = cancel_section::Command { section: id, reason: "Few.".into() };
            cancel_section::handle(&ctx, &registrar(cancel)).await.expect("cancels");
            let back = handle(&ctx, &registrar(to(id, NextState::Draft))).await;
            assert_eq!(back.is_ok(), comes_back, "{name}");
        }
    }

    #[tokio::test]
    async fn a_section_moves_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let term = fixtures::term(&ctx(table), |_| ()).await;
                let id = fixtures::section(&ctx(table), &term, "A", |_| ()).await.section.id;
                registrar(to(id, NextState::Suspended))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::section_key(call.command.section);
                let section = table.get(&key).await.expect("reads").expect("is there");
                assert_eq!((section.version, section.value.state), (2, SectionState::Suspended));
            },
        )
        .await;
    }
}
