//! A course as it is to be from a day on: a new version, or a mended one.

use kernel::{CourseId, Date};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::read_course::Reply;
use super::{KEEPERS, today};
use crate::Ctx;
use crate::domain::{Code, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::edit(
    "edit-course",
    "/courses/{course}",
    KEEPERS,
    "Change a course from a day on, or mend the version of that day",
);

/// What is absent stays as it is on that day.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub course: CourseId,
    /// From which day on it is so: the version of that day is mended, else a new one begins.
    pub effective_from: Date,
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// Hundredths of a credit. Without `credits_max_hundredths` the credits are fixed.
    #[schemars(range(max = 10_000))]
    pub credits_hundredths: Option<u32>,
    #[schemars(range(max = 10_000))]
    pub credits_max_hundredths: Option<u32>,
    pub department: Option<Code>,
    /// Empty where there are none any more.
    #[schemars(length(max = 2000))]
    pub prerequisites: Option<String>,
    #[schemars(length(max = 20), extend("uniqueItems" = true))]
    pub corequisites: Option<Vec<CourseId>>,
    #[schemars(length(max = 20), extend("uniqueItems" = true))]
    pub equivalents: Option<Vec<Code>>,
    #[schemars(length(max = 20), extend("uniqueItems" = true))]
    pub cross_listed: Option<Vec<Code>>,
    /// How often a student may take it.
    #[schemars(range(min = 1, max = 100))]
    pub attempts_max: Option<u32>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let command = call.command.clone();
    let key = store::course_key(command.course);
    let mut stored = ctx.table.get(&key).await?.ok_or(Refusal::CourseUnknown)?;
    let before = stored.value.clone();
    let mut version = before.on(command.effective_from).clone();
    version.effective_from = command.effective_from;
    version.title = command.title.unwrap_or(version.title);
    if let Some(least) = command.credits_hundredths {
        version.credits_hundredths = least;
        version.credits_max_hundredths = None;
    }
    version.credits_max_hundredths =
        command.credits_max_hundredths.or(version.credits_max_hundredths);
    version.department = command.department.map_or(version.department, |code| code.0);
    if let Some(text) = &command.prerequisites {
        version.prerequisites = super::prerequisites(Some(text))?;
    }
    let texts = |codes: Vec<Code>| codes.into_iter().map(|code| code.0).collect();
    version.corequisites = command.corequisites.unwrap_or(version.corequisites);
    version.equivalents = command.equivalents.map_or(version.equivalents, texts);
    version.cross_listed = command.cross_listed.map_or(version.cross_listed, texts);
    version.attempts_max = command.attempts_max.or(version.attempts_max);
    stored.value.put_version(version)?;
    let on = command.effective_from.max(today(call.now));
    // An edit whose reply was lost comes again: it has had its effect.
    if stored.value == before {
        return Ok(Reply::of(&before, stored.version, on));
    }
    call.check_version(stored.version)?;
    let references = store::references(&ctx.table, &stored.value).await?;
    let mut transaction = ctx.table.transaction();
    references.require_unchanged(&mut transaction);
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_course(&mut transaction, &stored.value, Some(stored.version), cause);
    transaction.commit().await?;
    Ok(Reply::of(&stored.value, stored.version + 1, on))
}

#[cfg(test)]
mod tests {
    use super::super::read_course;
    use super::*;
    use crate::fixtures::{self, at_version, code, ctx, registrar};

    fn edit(course: CourseId, change: impl FnOnce(&mut Command)) -> Command {
        let mut command = Command {
            course,
            effective_from: "2027-09-01".parse().expect("a date"),
            title: None,
            credits_hundredths: None,
            credits_max_hundredths: None,
            department: None,
            prerequisites: None,
            corequisites: None,
            equivalents: None,
            cross_listed: None,
            attempts_max: None,
        };
        change(&mut command);
        command
    }

    #[tokio::test]
    async fn a_change_holds_from_its_day_on_and_not_before() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let course = fixtures::course(&ctx, "A", "").await;
        let command = edit(course.id, |command| {
            command.title = Some("Analysis I".into());
            command.credits_hundredths = Some(300);
            command.credits_max_hundredths = Some(900);
        });
        let edited = handle(&ctx, &at_version(1, registrar(command))).await.expect("edits");
        assert_eq!((edited.title.as_str(), edited.version), ("Analysis I", 2));
        assert_eq!((edited.credits_hundredths, edited.credits_max_hundredths), (300, Some(900)));
        let on = async |day: &str| {
            let on = Some(day.parse().expect("a date"));
            let command = read_course::Command { course: course.id, on };
            read_course::handle(&ctx, &registrar(command)).await.expect("reads")
        };
        assert_eq!(on("2027-08-31").await.title, "Calculus I");
        assert_eq!(on("2027-09-01").await.title, "Analysis I");
        assert_eq!(on("2027-09-01").await.versions.len(), 2);
    }

    #[tokio::test]
    async fn an_edit_of_what_has_changed_meanwhile_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let course = fixtures::course(&ctx, "A", "").await;
        let titled = |title: &str| {
            let title = Some(title.to_owned());
            at_version(1, registrar(edit(course.id, |command| command.title = title)))
        };
        handle(&ctx, &titled("Analysis")).await.expect("the first one edits");
        assert_eq!(handle(&ctx, &titled("Analysis")).await.expect("a retry").version, 2);
        assert_eq!(code(handle(&ctx, &titled("Algebra")).await), "PRECONDITION_FAILED");
    }

    #[tokio::test]
    async fn a_circle_of_prerequisites_is_refused_with_its_way() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = fixtures::course(&ctx, "A", "").await;
        fixtures::course(&ctx, "B", "course(A)").await;
        fixtures::course(&ctx, "C", "permission OR course(B, C)").await;
        let require = |text: &str| {
            let text = Some(text.to_owned());
            at_version(1, registrar(edit(first.id, |command| command.prerequisites = text)))
        };
        let Err(Failure::Refused(refusal)) = handle(&ctx, &require("course(C)")).await else {
            panic!("it is refused");
        };
        assert_eq!(refusal.code(), "PREREQUISITE_CYCLE");
        assert_eq!(refusal.arguments()[0].1, "A → C → B → A");
        handle(&ctx, &require("standing(2)")).await.expect("no circle");
    }

    #[tokio::test]
    async fn a_version_that_is_not_the_last_one_is_checked_too() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = fixtures::course(&ctx, "A", "").await;
        fixtures::course(&ctx, "B", "course(A)").await;
        let later = edit(first.id, |command| command.effective_from = day("2028-09-01"));
        let later = Command { title: Some("Later".into()), ..later };
        handle(&ctx, &at_version(1, registrar(later))).await.expect("a version of 2028");
        let require = async |from: &str, text: &str| {
            let mut command = edit(first.id, |command| command.effective_from = day(from));
            command.prerequisites = Some(text.to_owned());
            handle(&ctx, &at_version(2, registrar(command))).await
        };
        assert_eq!(code(require("2027-09-01", "course(B)").await), "PREREQUISITE_CYCLE");
        assert_eq!(code(require("2027-09-01", "course(NONE)").await), "COURSE_CODES_UNKNOWN");
        require("2027-09-01", "standing(2)").await.expect("no circle");
    }

    #[tokio::test]
    async fn what_is_never_in_force_together_is_no_circle() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = fixtures::course(&ctx, "A", "").await;
        let second = fixtures::course(&ctx, "B", "course(A)").await;
        let free = Command {
            prerequisites: Some(String::new()),
            ..edit(second.id, |command| command.effective_from = day("2027-09-01"))
        };
        handle(&ctx, &at_version(1, registrar(free))).await.expect("from autumn on it is free");
        let require = Command {
            prerequisites: Some("course(B)".into()),
            ..edit(first.id, |command| command.effective_from = day("2027-09-01"))
        };
        handle(&ctx, &at_version(1, registrar(require))).await.expect("no circle on any day");
    }

    fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    #[tokio::test]
    async fn two_edits_at_once_close_no_circle() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (a, b) = (fixtures::course(&ctx, "A", "").await, fixtures::course(&ctx, "B", "").await);
        let require = async |course: CourseId, text: &str| {
            let text = Some(text.to_owned());
            let call =
                at_version(1, registrar(edit(course, |command| command.prerequisites = text)));
            shell::run_step(async || handle(&ctx, &call).await).await
        };
        let (first, second) = tokio::join!(require(a.id, "course(B)"), require(b.id, "course(A)"));
        assert_eq!(u8::from(first.is_ok()) + u8::from(second.is_ok()), 1);
        let refused = if first.is_ok() { second } else { first };
        assert_eq!(code(refused), "PREREQUISITE_CYCLE");
    }

    #[tokio::test]
    async fn an_edit_is_written_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let course = fixtures::course(&ctx(table), "A", "").await;
                let title = Some("Analysis I".to_owned());
                at_version(1, registrar(edit(course.id, |command| command.title = title)))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::course_key(call.command.course);
                let course = table.get(&key).await.expect("reads").expect("is there");
                assert_eq!((course.version, course.value.versions.len()), (2, 2));
            },
        )
        .await;
    }
}
