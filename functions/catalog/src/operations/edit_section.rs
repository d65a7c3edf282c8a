//! A section as it is to be; what may be changed follows from the state of its term.

use events::{TermState, WaitlistSettings};
use kernel::{Meeting, PersonId, Requirement, SeatPool, SectionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::create_section::Reply;
use super::{PLANNERS, editor, read_section};
use crate::Ctx;
use crate::domain::{Code, Component, Editor, Override, Refusal, Section, SectionState};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::edit(
    "edit-section",
    "/sections/{section}",
    PLANNERS,
    "Change a section as its term's state allows",
);

/// What is absent stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
    pub component: Option<Component>,
    #[schemars(range(max = 100_000))]
    pub capacity: Option<u32>,
    #[schemars(length(min = 1, max = 40))]
    pub price_group: Option<String>,
    pub approval_required: Option<bool>,
    pub permission_required: Option<bool>,
    #[schemars(length(max = 20))]
    pub meetings: Option<Vec<Meeting>>,
    #[schemars(length(max = 10), extend("uniqueItems" = true))]
    pub teachers: Option<Vec<PersonId>>,
    #[schemars(length(max = 10), extend("uniqueItems" = true))]
    pub student_groups: Option<Vec<Code>>,
    #[schemars(length(max = 20))]
    pub pools: Option<Vec<SeatPool>>,
    #[schemars(length(max = 20))]
    pub restrictions: Option<Vec<Requirement>>,
    pub waitlist: Option<WaitlistSettings>,
    /// Why the registrar's office changes what the term's state does not allow any more. It stays on the section.
    #[schemars(length(min = 1, max = 500))]
    pub override_reason: Option<String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = store::section_key(call.command.section);
    let stored = ctx.table.get(&key).await?.ok_or(Refusal::SectionUnknown)?;
    let mut section = changed(&stored.value, call.command.clone());
    let editor = editor(call, &section.department)?;
    if section == stored.value {
        let section = read_section::Reply::of(section, stored.version);
        return Ok(Reply { section, clashes: Vec::new() });
    }
    call.check_version(stored.version)?;
    if section.state == SectionState::Cancelled {
        return Err(Refusal::SectionIsCancelled.into());
    }
    section.check()?;
    let as_it_is_and_will_be = [&stored.value, &section];
    let mut context =
        store::section_context(&ctx.table, section.term, &as_it_is_and_will_be).await?;
    let term_state = context.term.value.state;
    if let Err(refusal) = allowed(editor, &section, &stored.value, term_state) {
        section.overrides.push(overriding(editor, call, term_state).ok_or(refusal)?);
    }
    let clashes = context.book(&section)?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_sections(&mut transaction, &[(&section, Some(&stored))], &context, cause);
    transaction.commit().await?;
    Ok(Reply { section: read_section::Reply::of(section, stored.version + 1), clashes })
}

fn changed(before: &Section, command: Command) -> Section {
    let before = before.clone();
    Section {
        component: command.component.or(before.component),
        capacity: command.capacity.unwrap_or(before.capacity),
        price_group: command.price_group.unwrap_or(before.price_group),
        approval_required: command.approval_required.unwrap_or(before.approval_required),
        permission_required: command.permission_required.unwrap_or(before.permission_required),
        meetings: command.meetings.unwrap_or(before.meetings),
        teachers: command.teachers.unwrap_or(before.teachers),
        student_groups: command.student_groups.unwrap_or(before.student_groups),
        pools: command.pools.unwrap_or(before.pools),
        restrictions: command.restrictions.unwrap_or(before.restrictions),
        waitlist: command.waitlist.unwrap_or(before.waitlist),
        ..before
    }
}

fn allowed(
    editor: Editor,
    after: &Section,
    before: &Section,
    term: TermState,
) -> Result<(), Refusal> {
    if after.differs_little_from(before) { editor.may_adjust(term) } else { editor.may_plan(term) }
}

/// The registrar's office may do what the state forbids, if it says why.
fn overriding(editor: Editor, call: &Call<Command>, term_state: TermState) -> Option<Override> {
    let reason = call.command.override_reason.clone().filter(|_| editor == Editor::Central)?;
    Some(Override { by: call.person(), at: call.now, reason, term_state })
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionCapacityChanged, SectionOffered};
    use kernel::Room;

    use super::super::move_term;
    use super::*;
    use crate::fixtures::{self, at_version, code, ctx, head_of, monday, registrar};

    fn edit(section: SectionId) -> Command {
        Command {
            section,
            component: None,
            capacity: None,
            price_group: None,
            approval_required: None,
            permission_required: None,
            meetings: None,
            teachers: None,
            student_groups: None,
            pools: None,
            restrictions: None,
            waitlist: None,
            override_reason: None,
        }
    }

    #[tokio::test]
    async fn a_write_that_its_term_s_next_state_overtook_is_judged_again() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |term| term.state = TermState::Open).await;
        let section = fixtures::section(&ctx, &term, "A", |_| ()).await.section;
        let changed = Section { capacity: section.capacity + 1, ..section.clone() };
        let context = store::section_context(&test.table, section.term, &[&section]).await;
        let context = context.expect("reads");
        let to = move_term::Command { term: term.term.id, to: TermState::Locked };
        move_term::handle(&ctx, &registrar(to)).await.expect("locked");
        let stored = test.table.get(&store::section_key(section.id)).await.expect("reads");
        let cause = Cause { now: testkit::now(), correlation_id: "test" };
        let mut transaction = test.table.transaction();
        store::write_sections(&mut transaction, &[(&changed, stored.as_ref())], &context, cause);
        let failed = transaction.commit().await.map_err(Failure::from);
        assert!(matches!(failed, Err(Failure::Conflict { .. })), "{failed:?}");
    }

    #[tokio::test]
    async fn a_published_section_gets_more_seats_and_registration_is_told() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let id = fixtures::section(&ctx, &term, "A", |_| ()).await.section.id;
        let more = Command { capacity: Some(45), ..edit(id) };
        let edited = handle(&ctx, &at_version(1, head_of("MATH", more))).await.expect("edits");
        assert_eq!((edited.section.section.capacity, edited.section.version), (45, 2));
        let told = testkit::published(&test.table).await;
        let change = told.iter().find(|event| event.name == SectionCapacityChanged::NAME);
        let change: SectionCapacityChanged =
            serde_json::from_value(change.expect("it is told").data.clone()).expect("reads");
        assert_eq!((change.capacity_before, change.capacity), (30, 45));
        let offers = told.iter().filter(|event| event.name == SectionOffered::NAME);
        assert!(offers.clone().any(|event| event.data["section_version"] == 2));
        assert_eq!(offers.count(), 2);
    }

    #[tokio::test]
    async fn the_hours_of_a_published_section_stay_unless_somebody_says_why() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let id = fixtures::section(&ctx, &term, "A", |_| ()).await.section.id;
        let later = Command { meetings: Some(vec![monday("14:00", "16:00")]), ..edit(id) };
        let plain = handle(&ctx, &at_version(1, registrar(later.clone()))).await;
        assert_eq!(code(plain), "TERM_NOT_EDITABLE");
        let reasoned = Command { override_reason: Some("The room has burnt.".into()), ..later };
        let by_head = handle(&ctx, &at_version(1, head_of("MATH", reasoned.clone()))).await;
        assert_eq!(code(by_head), "TERM_NOT_EDITABLE");
        let edited = handle(&ctx, &at_version(1, registrar(reasoned))).await.expect("edits");
        let overrides = edited.section.section.overrides;
        assert_eq!(overrides.len(), 1);
        assert_eq!(overrides[0].reason, "The room has burnt.");
        let close = move_term::Command { term: term.term.id, to: TermState::Closed };
        move_term::handle(&ctx, &registrar(close)).await.expect("closes");
        let late = Command { capacity: Some(1), ..edit(id) };
        let late = handle(&ctx, &at_version(2, registrar(late))).await;
        assert_eq!(code(late), "TERM_NOT_EDITABLE", "a closed term is history");
    }

    #[tokio::test]
    async fn a_room_is_free_again_when_its_section_moves_out() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let room = |name: &str| {
            let room = Room { building: "North".into(), name: name.into() };
            vec![Meeting { room: Some(room), ..monday("09:00", "10:00") }]
        };
        let first = fixtures::section(&ctx, &term, "A", |s| s.meetings = room("1")).await;
        let second = fixtures::section(&ctx, &term, "B", |s| s.meetings = room("2")).await;
        let into = |id, name| Command { meetings: Some(room(name)), ..edit(id) };
        let swap = into(second.section.id, "1");
        let taken = handle(&ctx, &at_version(1, registrar(swap.clone()))).await;
        assert_eq!(code(taken), "TIMETABLE_CLASH");
        let away = into(first.section.id, "3");
        handle(&ctx, &at_version(1, registrar(away))).await.expect("moves out");
        handle(&ctx, &at_version(1, registrar(swap))).await.expect("moves in");
    }

    #[tokio::test]
    async fn another_department_s_section_and_an_old_version_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let id = fixtures::section(&ctx, &term, "A", |_| ()).await.section.id;
        let seats = |capacity| Command { capacity: Some(capacity), ..edit(id) };
        let foreign = handle(&ctx, &at_version(1, head_of("LAW", seats(40)))).await;
        assert_eq!(code(foreign), "FORBIDDEN");
        handle(&ctx, &at_version(1, registrar(seats(40)))).await.expect("edits");
        let again = handle(&ctx, &at_version(1, registrar(seats(40)))).await.expect("a retry");
        assert_eq!(again.section.version, 2);
        let old = handle(&ctx, &at_version(1, registrar(seats(50)))).await;
        assert_eq!(code(old), "PRECONDITION_FAILED");
    }

    #[tokio::test]
    async fn an_edit_is_written_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let term = fixtures::term(&ctx(table), |_| ()).await;
                let id = fixtures::section(&ctx(table), &term, "A", |_| ()).await.section.id;
                let teachers = Some(vec![testkit::person("teacher")]);
                let meetings = Some(vec![monday("09:00", "10:00")]);
                let reason = Some("They were forgotten.".to_owned());
                let command = Command { teachers, meetings, override_reason: reason, ..edit(id) };
                at_version(1, registrar(command))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::section_key(call.command.section);
                let section = table.get(&key).await.expect("reads").expect("is there");
                assert_eq!((section.version, section.value.teachers.len()), (2, 1));
            },
        )
        .await;
    }
}
