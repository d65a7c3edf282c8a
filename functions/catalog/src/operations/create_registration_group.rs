//! A new registration group: linked sections of a course that are taken together, such as a lecture with a lab.

use kernel::SectionId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::list_registration_groups::Group;
use super::{PLANNERS, editor};
use crate::Ctx;
use crate::domain::{Code, Refusal, RegistrationGroup, Section, SectionState};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create(
    "create-registration-group",
    "/registration-groups",
    PLANNERS,
    "Link sections that are taken together",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    /// Each another component of one course, in one term.
    #[schemars(length(min = 2, max = 6), extend("uniqueItems" = true))]
    pub sections: Vec<SectionId>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Group, Failure> {
    let Command { code, sections } = call.command.clone();
    let stored = store::sections_by_id(&ctx.table, &sections).await?;
    let parts: Vec<&Section> = stored.iter().map(|stored| &stored.value).collect();
    let first = parts.first().ok_or(Refusal::SectionUnknown)?;
    let (calendar, _) = store::calendar(&ctx.table).await?;
    let term = ctx.table.get(&store::term_key(first.term)).await?.ok_or(Refusal::TermUnknown)?;
    editor(call, &first.department)?.may_add_and_move(term.value.state)?;
    RegistrationGroup::check(&parts, &calendar)?;
    let group = RegistrationGroup {
        id: call.new_id(),
        code,
        term: first.term,
        course: first.course,
        course_code: first.course_code.clone(),
        sections,
        cancelled: false,
    };
    let states: Vec<SectionState> = parts.iter().map(|section| section.state).collect();
    let reply = Group::of(group, 1, &states);
    let mut transaction = ctx.table.transaction();
    for section in &stored {
        // What was checked must still be so.
        transaction.check(&store::section_key(section.value.id), Some(section.version));
    }
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let claim = store::write_group(&mut transaction, &reply.group, None, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, claim, Refusal::RegistrationGroupCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::TermId;

    use super::super::list_registration_groups;
    use super::super::{cancel_registration_group, cancel_section, create_section};
    use super::*;
    use crate::domain::{Component, GroupState};
    use crate::fixtures::{self, code, ctx, monday, registrar};

    /// A lecture and a lab of one course.
    pub async fn parts(ctx: &Ctx) -> (TermId, [SectionId; 2]) {
        let term = fixtures::term(ctx, |_| ()).await.term.id;
        let course = fixtures::course(ctx, "PHYS1", "").await.id;
        let make = async |name: &str, component, from: &str, to: &str| {
            let command = create_section::Command {
                code: Code(name.into()),
                term,
                course,
                component: Some(component),
                meetings: vec![monday(from, to)],
                ..create_section::tests::plain()
            };
            let made = create_section::handle(ctx, &registrar(command)).await.expect("a section");
            made.section.section.id
        };
        let lecture = make("L1", Component::Lecture, "09:00", "10:00").await;
        (term, [lecture, make("B2", Component::Lab, "10:00", "12:00").await])
    }

    fn group(sections: [SectionId; 2]) -> Command {
        Command { code: Code("L1-B2".into()), sections: sections.into() }
    }

    async fn state(ctx: &Ctx, term: TermId) -> GroupState {
        let call = testkit::call(list_registration_groups::Command { term, course_code: None });
        let listed = list_registration_groups::handle(ctx, &call).await.expect("lists");
        assert_eq!(listed.items.len(), 1);
        listed.items[0].state
    }

    #[tokio::test]
    async fn a_group_is_offered_with_its_sections_and_falls_with_one() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (term, sections) = parts(&ctx).await;
        let made = handle(&ctx, &registrar(group(sections))).await.expect("a group");
        assert_eq!(
            (made.state, state(&ctx, term).await),
            (GroupState::Offered, GroupState::Offered)
        );
        let second = handle(&ctx, &registrar(group(sections))).await;
        assert_eq!(code(second), "REGISTRATION_GROUP_CODE_TAKEN");
        let reason = "Too few.".to_owned();
        let cancel = cancel_section::Command { section: sections[1], reason };
        cancel_section::handle(&ctx, &registrar(cancel)).await.expect("cancels");
        assert_eq!(state(&ctx, term).await, GroupState::Cancelled);
    }

    #[tokio::test]
    async fn a_group_can_be_cancelled_by_itself() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (term, sections) = parts(&ctx).await;
        let made = handle(&ctx, &registrar(group(sections))).await.expect("a group");
        let cancel = || registrar(cancel_registration_group::Command { group: made.group.id });
        for _ in 0..2 {
            let result = cancel_registration_group::handle(&ctx, &cancel()).await;
            assert_eq!(result.expect("cancels, or has").version, 2);
        }
        assert_eq!(state(&ctx, term).await, GroupState::Cancelled);
    }

    #[tokio::test]
    async fn one_component_twice_is_no_group() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let a = fixtures::section(&ctx, &term, "A", |_| ()).await.section.id;
        let b = fixtures::section(&ctx, &term, "B", |_| ()).await.section.id;
        let apart = handle(&ctx, &registrar(group([a, b]))).await;
        assert_eq!(code(apart), "GROUP_SECTIONS_APART");
    }

    #[tokio::test]
    async fn a_group_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| registrar(group(parts(&ctx(table)).await.1)),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let section = store::section_key(call.command.sections[0]);
                let section = table.get(&section).await.expect("reads").expect("is there");
                let partition = store::groups(section.value.term, None);
                let page = table.query(&partition, &table::PageRequest::default()).await;
                assert_eq!(page.expect("lists").records.len(), 1);
            },
        )
        .await;
    }
}
