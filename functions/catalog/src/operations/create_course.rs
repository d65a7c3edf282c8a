//! A new course.

use events::CourseVersion;
use kernel::{CourseId, Date};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::read_course::Reply;
use super::{KEEPERS, today};
use crate::Ctx;
use crate::domain::{self, Code, Course, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create("create-course", "/courses", KEEPERS, "Create a course");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    /// From which day on it is so; today where it is not said.
    pub effective_from: Option<Date>,
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// Hundredths of a credit: 450 is 4.5 credits. The least, where the student chooses.
    #[schemars(range(max = 10_000))]
    pub credits_hundredths: u32,
    /// The most, where the student chooses.
    #[schemars(range(max = 10_000))]
    pub credits_max_hundredths: Option<u32>,
    pub department: Code,
    /// Such as `course(MATH101, C) AND (test(SAT, 600) OR permission)`.
    #[schemars(length(max = 2000))]
    pub prerequisites: Option<String>,
    /// Courses to be taken before or together with this one.
    #[serde(default)]
    #[schemars(length(max = 20), extend("uniqueItems" = true))]
    pub corequisites: Vec<CourseId>,
    /// Codes of courses that count for this one.
    #[serde(default)]
    #[schemars(length(max = 20), extend("uniqueItems" = true))]
    pub equivalents: Vec<Code>,
    /// Codes under which other departments offer this same course.
    #[serde(default)]
    #[schemars(length(max = 20), extend("uniqueItems" = true))]
    pub cross_listed: Vec<Code>,
    /// How often a student may take it; as often as the institution allows of any course where it is not said.
    #[schemars(range(min = 1, max = 100))]
    pub attempts_max: Option<u32>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let command = call.command.clone();
    let prerequisites = super::prerequisites(command.prerequisites.as_deref())?;
    let version = CourseVersion {
        effective_from: command.effective_from.unwrap_or_else(|| today(call.now)),
        title: command.title,
        credits_hundredths: command.credits_hundredths,
        credits_max_hundredths: command.credits_max_hundredths,
        department: command.department.0,
        prerequisites,
        corequisites: command.corequisites,
        equivalents: command.equivalents.into_iter().map(|code| code.0).collect(),
        cross_listed: command.cross_listed.into_iter().map(|code| code.0).collect(),
        attempts_max: command.attempts_max,
    };
    domain::check_version(&version)?;
    let course = Course {
        id: call.new_id(),
        code: command.code,
        retired_from: None,
        versions: vec![version],
    };
    let references = store::references(&ctx.table, &course).await?;
    let reply = Reply::of(&course, 1, today(call.now));
    let mut transaction = ctx.table.transaction();
    references.require_unchanged(&mut transaction);
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let claim = store::write_course(&mut transaction, &course, None, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, claim, Refusal::CourseCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use events::{CourseChanged, CourseCreated, Event};
    use kernel::Id;
    use table::PageRequest;

    use super::*;
    use crate::fixtures::{self, code, ctx, registrar};

    pub fn calculus() -> Command {
        Command {
            code: Code("MATH101".into()),
            effective_from: None,
            title: "Calculus I".into(),
            credits_hundredths: 600,
            credits_max_hundredths: None,
            department: Code("MATH".into()),
            prerequisites: None,
            corequisites: Vec::new(),
            equivalents: Vec::new(),
            cross_listed: Vec::new(),
            attempts_max: None,
        }
    }

    #[tokio::test]
    async fn a_course_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| registrar(calculus()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let courses =
                    table.query(&store::courses(""), &PageRequest::default()).await.expect("lists");
                assert_eq!(courses.records.len(), 1);
                let told = testkit::published(table).await;
                let mut names: Vec<&str> = told.iter().map(|event| event.name.as_str()).collect();
                names.sort_unstable();
                assert_eq!(names, [CourseChanged::NAME, CourseCreated::NAME]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_a_course_refers_to_must_be_there() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let make = async |change: fn(&mut Command)| {
            let mut command = calculus();
            change(&mut command);
            code(handle(&ctx, &registrar(command)).await)
        };
        let corequisite =
            make(|command| command.corequisites = vec![CourseId::derived_from("nothing")]);
        assert_eq!(corequisite.await, "COREQUISITE_UNKNOWN");
        let prerequisite =
            make(|command| command.prerequisites = Some("course(NOTHING)".to_owned()));
        assert_eq!(prerequisite.await, "COURSE_CODES_UNKNOWN");
        let equivalent = make(|command| command.equivalents = vec![Code("NOTHING".into())]);
        assert_eq!(equivalent.await, "COURSE_CODES_UNKNOWN");
        let malformed = make(|command| command.prerequisites = Some("course(A".to_owned()));
        assert_eq!(malformed.await, "REQUIREMENT_MALFORMED");
        let credits = make(|command| command.credits_max_hundredths = Some(100));
        assert_eq!(credits.await, "CREDITS_MAX_BELOW_MIN");
        let itself = make(|command| command.prerequisites = Some("course(MATH101)".to_owned()));
        assert_eq!(itself.await, "PREREQUISITE_CYCLE");
    }

    #[tokio::test]
    async fn prerequisites_are_kept_in_one_form_and_a_mistake_says_where() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        fixtures::course(&ctx, "A", "").await;
        let made = fixtures::course(&ctx, "B", " COURSE(a,C) or permission ").await;
        let prerequisites = made.prerequisites.expect("it has some").to_string();
        assert_eq!(prerequisites, "course(A, C) OR permission");
        let wrong = Command { prerequisites: Some("course(A".to_owned()), ..calculus() };
        let Err(Failure::Refused(refusal)) = handle(&ctx, &registrar(wrong)).await else {
            panic!("it is refused");
        };
        assert_eq!(refusal.arguments()[0], ("at", "9".to_owned()));
    }
}
