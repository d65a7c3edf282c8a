//! What a section clashes with: other sections in its rooms, with its teachers, or for its groups of students.

use kernel::SectionId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, RequestRefusal, Route};

use super::PLANNERS_AND_TEACHERS;
use crate::Ctx;
use crate::domain::{Clash, Refusal};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-clashes",
    "/sections/{section}/clashes",
    PLANNERS_AND_TEACHERS,
    "Read what a section clashes with",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub clashes: Vec<Clash>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = store::section_key(call.command.section);
    let section = ctx.table.get(&key).await?.ok_or(Refusal::SectionUnknown)?.value;
    if !call.may_touch_section(&section.teachers, &section.department.0) {
        return Err(RequestRefusal::Forbidden.into());
    }
    let mut context = store::section_context(&ctx.table, section.term, &[&section]).await?;
    // Booked as it stands, it takes nothing from anybody: it can only be told.
    Ok(Reply { clashes: context.book(&section)? })
}

#[cfg(test)]
mod tests {
    use events::CalendarChanged;
    use events::Event;

    use super::super::edit_calendar;
    use super::*;
    use crate::domain::{ClashKind, Code};
    use crate::fixtures::{self, at_version, code, ctx, head_of, monday, registrar, teacher};

    #[tokio::test]
    async fn groups_of_students_with_two_sections_at_a_time_are_listed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let for_group = |hours: (&'static str, &'static str)| {
            move |section: &mut super::super::create_section::Command| {
                section.student_groups = vec![Code("G1".into())];
                section.meetings = vec![monday(hours.0, hours.1)];
            }
        };
        let first = fixtures::section(&ctx, &term, "A", for_group(("09:00", "11:00"))).await;
        let listed = async || {
            let call = registrar(Command { section: first.section.id });
            handle(&ctx, &call).await.expect("lists").clashes
        };
        assert_eq!(listed().await, []);
        let second = fixtures::section(&ctx, &term, "B", for_group(("10:00", "12:00"))).await;
        let clashes = listed().await;
        assert_eq!(clashes.len(), 1);
        assert_eq!((clashes[0].kind, clashes[0].refused), (ClashKind::StudentGroup, false));
        assert_eq!(clashes[0].with, second.section.id);
        assert_eq!(clashes[0].on.to_string(), "2027-02-01");
    }

    #[tokio::test]
    async fn one_sees_the_clashes_of_one_s_own_department_and_of_the_sections_that_one_teaches() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let taught = |section: &mut super::super::create_section::Command| {
            section.teachers = vec![testkit::person("ada")];
        };
        let own = fixtures::section(&ctx, &term, "A", taught).await.section;
        let other = fixtures::section(&ctx, &term, "B", |_| ()).await.section;
        let ask = async |call: Call<Command>| handle(&ctx, &call).await;
        let of = |section: SectionId| Command { section };
        ask(teacher(of(own.id))).await.expect("ada teaches it");
        assert_eq!(code(ask(teacher(of(other.id))).await), "FORBIDDEN");
        let department = &other.department.0;
        ask(head_of(department, of(other.id))).await.expect("it is the department's");
        assert_eq!(code(ask(head_of("ELSEWHERE", of(other.id))).await), "FORBIDDEN");
    }

    #[tokio::test]
    async fn a_holiday_moves_the_first_day_of_a_clash() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let group = |section: &mut super::super::create_section::Command| {
            section.student_groups = vec![Code("G1".into())];
            section.meetings = vec![monday("09:00", "11:00")];
        };
        let first = fixtures::section(&ctx, &term, "A", group).await;
        fixtures::section(&ctx, &term, "B", group).await;
        let mut holidays = CalendarChanged::example().calendar.holidays;
        holidays[0].first_day = "2027-02-01".parse().expect("a date");
        holidays[0].last_day = "2027-02-07".parse().expect("a date");
        let edit = edit_calendar::Command { holidays: Some(holidays), ways: None };
        edit_calendar::handle(&ctx, &at_version(0, registrar(edit))).await.expect("edits");
        let call = registrar(Command { section: first.section.id });
        let clashes = handle(&ctx, &call).await.expect("lists").clashes;
        assert_eq!(clashes[0].on.to_string(), "2027-02-08");
    }
}
