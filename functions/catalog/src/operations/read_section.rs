//! One section.

use kernel::SectionId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Route};

use super::is_planner;
use crate::Ctx;
use crate::domain::{Refusal, Section};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-section", "/sections/{section}", Access::LoggedIn, "Read a section")
        .for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
}

/// What is not forbidden, but hardly meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Warning {
    /// More seats are kept for populations than there are.
    PoolsExceedCapacity,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    #[serde(flatten)]
    pub section: Section,
    pub version: u64,
    pub warnings: Vec<Warning>,
}

impl Reply {
    pub fn of(section: Section, version: u64) -> Self {
        let warning = section.pools_exceed_capacity().then_some(Warning::PoolsExceedCapacity);
        Self { section, version, warnings: warning.into_iter().collect() }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let section = ctx.table.get(&store::section_key(call.command.section)).await?;
    let section = section.ok_or(Refusal::SectionUnknown)?;
    if !is_planner(call) {
        if !(section.value.is_public() && ctx.is_public(section.value.term, call.now).await?) {
            return Err(Refusal::SectionUnknown.into());
        }
        return Ok(Reply::of(section.value.for_the_public(), section.version));
    }
    Ok(Reply::of(section.value, section.version))
}

#[cfg(test)]
mod tests {
    use events::TermState;

    use super::super::create_section::FirstState;
    use super::super::{cancel_section, create_section, edit_section, list_sections};
    use super::*;
    use crate::domain::Code;
    use crate::fixtures::{self, at_version, code, ctx, registrar};

    #[tokio::test]
    async fn students_see_what_is_offered_in_a_published_term_only() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for (at, state) in
            [TermState::Draft, TermState::FinalEdits, TermState::Published].into_iter().enumerate()
        {
            let term = fixtures::term(&ctx, |term| {
                (term.code, term.state) = (Code(format!("T{at}")), state);
            })
            .await;
            let drafted = fixtures::section(&ctx, &term, &format!("D{at}"), |section| {
                section.state = FirstState::Draft;
            })
            .await;
            let drafted = drafted.section.id;
            let offered = fixtures::section(&ctx, &term, &format!("O{at}"), |_| ()).await;
            let published = state == TermState::Published;
            for (section, seen) in [(drafted, false), (offered.section.id, published)] {
                let by_student = handle(&ctx, &testkit::call(Command { section })).await;
                assert_eq!(by_student.is_ok(), seen, "{state:?}");
                if !seen {
                    assert_eq!(code(by_student), "SECTION_UNKNOWN");
                }
                handle(&ctx, &registrar(Command { section })).await.expect("planners see it");
            }
            let list = list_sections::Command::of(term.term.id);
            let by_student = list_sections::handle(&ctx, &testkit::call(list.clone())).await;
            assert_eq!(by_student.expect("lists").items.len(), usize::from(published));
            let by_planner = list_sections::handle(&ctx, &registrar(list)).await;
            assert_eq!(by_planner.expect("lists").items.len(), 2);
        }
    }

    #[tokio::test]
    async fn a_plan_that_was_given_up_is_nobody_s_business_and_a_lost_offer_is() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let draft = |section: &mut create_section::Command| section.state = FirstState::Draft;
        let drafted = fixtures::section(&ctx, &term, "D", draft).await.section.id;
        let offered = fixtures::section(&ctx, &term, "O", |_| ()).await.section.id;
        for section in [drafted, offered] {
            let cancel = cancel_section::Command { section, reason: "Too few.".into() };
            cancel_section::handle(&ctx, &registrar(cancel)).await.expect("cancels");
        }
        let by_student = handle(&ctx, &testkit::call(Command { section: drafted })).await;
        assert_eq!(code(by_student), "SECTION_UNKNOWN");
        handle(&ctx, &testkit::call(Command { section: offered })).await.expect("it was seen");
        let list = testkit::call(list_sections::Command::of(term.term.id));
        let listed = list_sections::handle(&ctx, &list).await.expect("lists").items;
        assert_eq!(listed.iter().map(|item| item.section.id).collect::<Vec<_>>(), [offered]);
    }

    #[tokio::test]
    async fn what_was_overridden_and_why_is_shown_to_planners_alone() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let section = fixtures::section(&ctx, &term, "A", |_| ()).await.section.id;
        let edit = serde_json::json!({
            "section": section, "price_group": "reduced", "override_reason": "A mistake.",
        });
        let edit: edit_section::Command = serde_json::from_value(edit).expect("a command");
        edit_section::handle(&ctx, &at_version(1, registrar(edit))).await.expect("edits");
        let list = list_sections::Command::of(term.term.id);
        for (caller, shown) in [(registrar(list.clone()), 1), (testkit::call(list), 0)] {
            let listed = list_sections::handle(&ctx, &caller).await.expect("lists");
            assert_eq!(listed.items[0].section.overrides.len(), shown);
        }
        let read = handle(&ctx, &testkit::call(Command { section })).await.expect("reads");
        assert_eq!(read.section.overrides.len(), 0);
    }

    #[tokio::test]
    async fn more_kept_seats_than_seats_are_warned_of() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let section = fixtures::section(&ctx, &term, "S", |section| {
            section.pools = vec![kernel::SeatPool {
                population: "program(CS)".parse().expect("a requirement"),
                seats: section.capacity + 1,
                priority: 1,
                until: None,
            }];
        });
        assert_eq!(section.await.warnings, [Warning::PoolsExceedCapacity]);
    }
}
