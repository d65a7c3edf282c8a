//! A new section of a course in a term: offered at once, or a draft to be planned.

use events::WaitlistSettings;
use kernel::{CourseId, Meeting, PersonId, Requirement, SeatPool, SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::{PLANNERS, editor, read_section};
use crate::Ctx;
use crate::domain::{Clash, Code, Component, Refusal, Section, SectionState};
use crate::store::{self, Cause};

pub const ROUTE: Route =
    Route::create("create-section", "/sections", PLANNERS, "Create a section of a course");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    pub term: TermId,
    pub course: CourseId,
    /// `draft` for a section that is still to be planned, `approved` for one that is not offered yet.
    #[serde(default)]
    pub state: FirstState,
    /// What it is of its course, where students take several sections together.
    pub component: Option<Component>,
    #[schemars(range(max = 100_000))]
    pub capacity: u32,
    /// Decides what a credit costs; the bursar keeps the price groups.
    #[schemars(length(min = 1, max = 40))]
    pub price_group: String,
    /// Whether the head of department must approve each registration.
    #[serde(default)]
    pub approval_required: bool,
    /// Whether the teacher must let each student in.
    #[serde(default)]
    pub permission_required: bool,
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub meetings: Vec<Meeting>,
    #[serde(default)]
    #[schemars(length(max = 10), extend("uniqueItems" = true))]
    pub teachers: Vec<PersonId>,
    /// Groups of students for whom it is planned.
    #[serde(default)]
    #[schemars(length(max = 10), extend("uniqueItems" = true))]
    pub student_groups: Vec<Code>,
    /// Seats kept for populations.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub pools: Vec<SeatPool>,
    /// A student must meet one of these.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub restrictions: Vec<Requirement>,
    #[serde(default)]
    pub waitlist: WaitlistSettings,
}

/// What a section may begin as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstState {
    Draft,
    Approved,
    #[default]
    Offered,
}

impl From<FirstState> for SectionState {
    fn from(state: FirstState) -> Self {
        match state {
            FirstState::Draft => Self::Draft,
            FirstState::Approved => Self::Approved,
            FirstState::Offered => Self::Offered,
        }
    }
}

/// The section, with what it clashes with. A clash that is refused later on is only listed as long as one of the two
/// is a draft.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    #[serde(flatten)]
    pub section: read_section::Reply,
    pub clashes: Vec<Clash>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let mut section = drafted(call.new_id(), call.command.clone());
    section.check()?;
    let mut context = store::section_context(&ctx.table, section.term, &[&section]).await?;
    section.course_code = context.course(section.course).code.clone();
    section.department = Code(context.course_version(section.course).department.clone());
    editor(call, &section.department)?.may_add_and_move(context.term.value.state)?;
    if context.course(section.course).is_retired_on(context.term.value.first_day) {
        return Err(Refusal::CourseRetired.into());
    }
    let clashes = context.book(&section)?;
    let reply = Reply { section: read_section::Reply::of(section.clone(), 1), clashes };
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let claim = store::write_sections(&mut transaction, &[(&section, None)], &context, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, claim, Refusal::SectionCodeTaken).await?;
    Ok(reply)
}

/// What its course says of it is filled in once the course is read.
pub(super) fn drafted(id: SectionId, command: Command) -> Section {
    let state = SectionState::from(command.state);
    Section {
        id,
        code: command.code,
        term: command.term,
        course: command.course,
        course_code: Code(String::new()),
        department: Code(String::new()),
        state,
        state_note: None,
        was_offered: state == SectionState::Offered,
        component: command.component,
        capacity: command.capacity,
        price_group: command.price_group,
        approval_required: command.approval_required,
        permission_required: command.permission_required,
        meetings: command.meetings,
        teachers: command.teachers,
        student_groups: command.student_groups,
        cross_listing: None,
        pools: command.pools,
        restrictions: command.restrictions,
        waitlist: command.waitlist,
        overrides: Vec::new(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use events::{Event, SectionOffered, TermState};
    use kernel::{Id, Room};

    use super::super::list_sections;
    use super::*;
    use crate::fixtures::{self, code, ctx, head_of, monday, registrar};

    pub fn plain() -> Command {
        Command {
            code: Code("MATH101-A".into()),
            term: TermId::derived_from("none"),
            course: CourseId::derived_from("none"),
            state: FirstState::Offered,
            component: None,
            capacity: 30,
            price_group: "standard".into(),
            approval_required: false,
            permission_required: false,
            meetings: Vec::new(),
            teachers: Vec::new(),
            student_groups: Vec::new(),
            pools: Vec::new(),
            restrictions: Vec::new(),
            waitlist: WaitlistSettings::default(),
        }
    }

    async fn calculus_a(ctx: &Ctx) -> Command {
        let term = fixtures::term(ctx, |_| ()).await.term.id;
        let course = fixtures::course(ctx, "MATH101", "").await.id;
        Command { term, course, ..plain() }
    }

    #[tokio::test]
    async fn a_section_is_offered_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| registrar(calculus_a(&ctx(table)).await),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let list = list_sections::Command::of(call.command.term);
                let listed = list_sections::handle(&ctx(table), &testkit::call(list)).await;
                assert_eq!(listed.expect("lists").items.len(), 1);
                let told = testkit::published(table).await;
                let offered = told.iter().filter(|event| event.name == SectionOffered::NAME);
                assert_eq!(offered.count(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn meetings_that_clash_with_each_other_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let command = calculus_a(&ctx).await;
        let twice = Command {
            meetings: vec![monday("09:00", "11:00"), monday("10:00", "12:00")],
            ..command.clone()
        };
        assert_eq!(code(handle(&ctx, &registrar(twice)).await), "MEETINGS_CLASH");
        let backwards = Command { meetings: vec![monday("11:00", "09:00")], ..command };
        let result = handle(&ctx, &registrar(backwards)).await;
        assert_eq!(code(result), "MEETING_ENDS_BEFORE_IT_BEGINS");
    }

    #[tokio::test]
    async fn a_draft_is_told_to_nobody_and_an_offer_carries_what_registration_needs() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await.term.id;
        fixtures::course(&ctx, "BASE", "").await;
        let course = fixtures::course(&ctx, "NEXT", "course(BASE, C)").await.id;
        let command = Command { term, course, ..plain() };
        let drafted =
            Command { state: FirstState::Draft, code: Code("D".into()), ..command.clone() };
        handle(&ctx, &registrar(drafted)).await.expect("a draft");
        handle(&ctx, &registrar(command)).await.expect("an offer");
        let told = testkit::published(&test.table).await;
        let offers: Vec<SectionOffered> = told
            .iter()
            .filter(|event| event.name == SectionOffered::NAME)
            .map(|event| serde_json::from_value(event.data.clone()).expect("reads"))
            .collect();
        assert_eq!(offers.len(), 1);
        let prerequisites = offers[0].course.prerequisites.as_ref().map(ToString::to_string);
        assert_eq!(prerequisites.as_deref(), Some("course(BASE, C)"));
    }

    fn in_room(name: &str, from: &str, to: &str) -> impl FnOnce(&mut Command) {
        let room = Room { building: "North".into(), name: name.to_owned() };
        let meeting = Meeting { room: Some(room), ..monday(from, to) };
        move |section| section.meetings = vec![meeting]
    }

    #[tokio::test]
    async fn a_room_that_is_taken_is_refused_and_a_draft_is_told() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        fixtures::section(&ctx, &term, "A", in_room("12", "09:00", "11:00")).await;
        fixtures::section(&ctx, &term, "B", in_room("12", "11:00", "12:00")).await;
        fixtures::section(&ctx, &term, "C", in_room("13", "09:00", "11:00")).await;
        let course = fixtures::course(&ctx, "D", "").await.id;
        let mut command = Command { term: term.term.id, course, code: Code("D".into()), ..plain() };
        in_room("12", "10:00", "12:00")(&mut command);
        let Err(Failure::Refused(refusal)) = handle(&ctx, &registrar(command.clone())).await else {
            panic!("it is refused");
        };
        assert_eq!(refusal.code(), "TIMETABLE_CLASH");
        let errors = refusal.extensions(kernel::Locale::En)["errors"].clone();
        let with: Vec<_> =
            errors.as_array().into_iter().flatten().map(|clash| &clash["with_code"]).collect();
        assert_eq!(with, ["A", "B"]);
        let draft = Command { state: FirstState::Draft, ..command };
        let made = handle(&ctx, &registrar(draft)).await.expect("a draft");
        assert_eq!(made.clashes.len(), 2);
    }

    #[tokio::test]
    async fn two_sections_at_once_do_not_both_get_the_room() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await.term.id;
        let course = fixtures::course(&ctx, "A", "").await.id;
        let make = async |name: &str| {
            let mut command = Command { term, course, code: Code(name.into()), ..plain() };
            in_room("12", "09:00", "11:00")(&mut command);
            let call = registrar(command);
            shell::run_step(async || handle(&ctx, &call).await).await
        };
        let (a, b) = tokio::join!(make("A"), make("B"));
        assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1);
        assert_eq!(code(if a.is_ok() { b } else { a }), "TIMETABLE_CLASH");
    }

    #[tokio::test]
    async fn departments_plan_their_own_sections_while_the_term_is_open() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let course = fixtures::course(&ctx, "A", "").await.id;
        for (state, refused) in [
            (TermState::Draft, Some("TERM_NOT_EDITABLE")),
            (TermState::Open, None),
            (TermState::Published, Some("TERM_NOT_EDITABLE")),
        ] {
            let term = fixtures::term(&ctx, |term| {
                (term.state, term.code) = (state, Code(format!("T-{}", state as u8)));
            });
            let command = Command { term: term.await.term.id, course, ..plain() };
            let own = handle(&ctx, &head_of("MATH", command.clone())).await;
            match refused {
                Some(refused) => assert_eq!(code(own), refused),
                None => drop(own.expect("the department makes it")),
            }
            let foreign = handle(&ctx, &head_of("LAW", command)).await;
            assert_eq!(code(foreign), "FORBIDDEN");
        }
    }
}
