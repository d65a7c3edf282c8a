//! What decides which sections a student may take: status, programs, year of study, tests, waived courses. It counts
//! from the next submission on; nobody loses a seat by it. Two who write at once do not undo each other's word: it
//! takes the place of the one that was read.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::Noted;

use super::OPERATORS;
use crate::Ctx;
use crate::domain::{KnownStudent, StudentRecord};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::replace(
    "set-student-record",
    "/students/{student}/record",
    OPERATORS,
    "Set what a student's registrations are judged by",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    pub record: StudentRecord,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub student: PersonId,
    /// 0 where nothing was set.
    pub version: u64,
    pub record: StudentRecord,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { student, record } = call.command.clone();
    let known = KnownStudent { student, record: record.in_upper_case() };
    let stored = ctx.table.get(&store::known_student_key(student)).await?;
    let version = stored.as_ref().map(|stored| stored.version);
    let record = known.record.clone();
    let before = stored.map(|stored| stored.value);
    if before.as_ref() == Some(&known) {
        return Ok(Reply { student, version: version.unwrap_or_default(), record });
    }
    call.check_version(version.unwrap_or_default())?;
    let waited_for = store::waited_for(&ctx.table, student).await?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&known, version);
    let trail = ctx.table.trail(student).await?;
    let before = before.as_ref().map(|before| &before.record);
    let noted = Noted::change("student-record").fields_of(before, &known.record);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let told = (version.unwrap_or_default() + 1, cause);
    let because = format!("record of {student}, version {}", told.0);
    store::ask_lines_again(&mut transaction, &waited_for, &because, told);
    transaction.commit().await?;
    Ok(Reply { student, version: version.unwrap_or_default() + 1, record })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use testkit::{TestTable, person};

    use super::super::{read_student_record, submit};
    use super::*;
    use crate::domain::StudentStatus;
    use crate::fixtures::{by, cart, code, offer};

    fn set(student: &str, change: impl FnOnce(&mut StudentRecord)) -> Call<Command> {
        let mut record = StudentRecord::default();
        change(&mut record);
        by("registrar", testkit::call(Command { student: person(student), record }))
    }

    #[tokio::test]
    async fn a_record_is_set_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| set("ada", |record| record.standing = 2),
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, _| {
                let read = testkit::call(read_student_record::Command { student: person("ada") });
                let ctx = Ctx::new(table.clone());
                let read = read_student_record::handle(&ctx, &read).await.expect("reads");
                assert_eq!((read.version, read.record.standing), (1, 2));
                let noted = testkit::operations_noted(table, person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_record_is_replaced_only_as_it_was_read() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let of_year = |standing, read| Call {
            if_match: Some(read),
            ..set("ada", |record| record.standing = standing)
        };
        assert_eq!(handle(&ctx, &of_year(1, 0)).await.expect("the first word").version, 1);
        handle(&ctx, &of_year(2, 1)).await.expect("it was read");
        assert_eq!(code(handle(&ctx, &of_year(3, 1)).await), "PRECONDITION_FAILED");
        assert_eq!(code(handle(&ctx, &of_year(3, 0)).await), "PRECONDITION_FAILED");
        let again = handle(&ctx, &of_year(2, 1)).await.expect("it has had its effect");
        assert_eq!((again.version, again.record.standing), (2, 2));
    }

    #[tokio::test]
    async fn a_restricted_section_takes_whoever_meets_one_of_its_restrictions() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let restricted = |restrictions: &'static [&'static str]| {
            move |event: &mut events::SectionOffered| {
                let parsed = restrictions.iter().map(|text| text.parse().expect("a requirement"));
                event.restrictions = parsed.collect();
            }
        };
        let of_program =
            offer(&test.table, "a", restricted(&["program(CS)", "program(LAW)"])).await;
        let of_year = offer(&test.table, "b", restricted(&["standing(>= 3)"])).await;
        let submitted = async |section| submit::handle(&ctx, &cart(&[section])).await;
        assert_eq!(code(submitted(of_program).await), "RESTRICTION_PROGRAMME");
        assert_eq!(code(submitted(of_year).await), "RESTRICTION_LEVEL");
        let law = set("ada", |record| {
            record.programs = ["law".to_owned()].into();
            record.standing = 3;
        });
        handle(&ctx, &law).await.expect("set");
        submitted(of_program).await.expect("a seat");
        submitted(of_year).await.expect("a seat");
    }

    #[tokio::test]
    async fn whoever_is_on_leave_or_gone_does_not_register() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        for status in [StudentStatus::OnLeave, StudentStatus::Ended] {
            handle(&ctx, &set("ada", |record| record.status = status)).await.expect("set");
            let refused = submit::handle(&ctx, &cart(&[section])).await;
            assert_eq!(code(refused), "STATUS_INELIGIBLE", "{status:?}");
        }
        handle(&ctx, &set("ada", |_| ())).await.expect("back again");
        submit::handle(&ctx, &cart(&[section])).await.expect("a seat");
    }

    #[tokio::test]
    async fn tests_and_waived_courses_meet_requirements() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |event| {
            let requirement = "course(BASE, C) AND test(SAT, 600)".parse();
            event.course.prerequisites = Some(requirement.expect("a requirement"));
        })
        .await;
        let submitted = async || submit::handle(&ctx, &cart(&[section])).await;
        let waived = |record: &mut StudentRecord| {
            record.waived_courses = ["base".to_owned()].into();
        };
        assert_eq!(code(submitted().await), "PREREQ_NOT_MET");
        handle(&ctx, &set("ada", waived)).await.expect("set");
        assert_eq!(code(submitted().await), "TEST_SCORE", "all that is missing is a test");
        let tested = set("ada", |record| {
            waived(record);
            record.tests = BTreeMap::from([("SAT".to_owned(), 60_000)]);
        });
        handle(&ctx, &tested).await.expect("set");
        submitted().await.expect("a seat");
    }
}
