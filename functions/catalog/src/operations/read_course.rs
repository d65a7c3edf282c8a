//! One course, as it is on a day.

use kernel::{CourseId, Date, Requirement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Route};

use super::today;
use crate::Ctx;
use crate::domain::{Code, Course, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-course", "/courses/{course}", Access::LoggedIn, "Read a course")
        .for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub course: CourseId,
    /// The version in force on this day; today where it is not said.
    pub on: Option<Date>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: CourseId,
    pub version: u64,
    pub code: Code,
    pub effective_from: Date,
    pub title: String,
    /// Hundredths of a credit; the least, where the student chooses.
    pub credits_hundredths: u32,
    /// The most, where the student chooses.
    pub credits_max_hundredths: Option<u32>,
    pub department: String,
    pub prerequisites: Option<Requirement>,
    pub corequisites: Vec<CourseId>,
    pub equivalents: Vec<String>,
    pub cross_listed: Vec<String>,
    /// How often a student may take it; as often as the institution allows of any course where it is not said.
    pub attempts_max: Option<u32>,
    /// From this day on it is not offered any more.
    pub retired_from: Option<Date>,
    /// The days on which a version of it begins.
    pub versions: Vec<Date>,
}

impl Reply {
    pub fn of(course: &Course, version: u64, on: Date) -> Self {
        let in_force = course.on(on).clone();
        Self {
            id: course.id,
            version,
            code: course.code.clone(),
            effective_from: in_force.effective_from,
            title: in_force.title,
            credits_hundredths: in_force.credits_hundredths,
            credits_max_hundredths: in_force.credits_max_hundredths,
            department: in_force.department,
            prerequisites: in_force.prerequisites,
            corequisites: in_force.corequisites,
            equivalents: in_force.equivalents,
            cross_listed: in_force.cross_listed,
            attempts_max: in_force.attempts_max,
            retired_from: course.retired_from,
            versions: course.versions.iter().map(|version| version.effective_from).collect(),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = store::course_key(call.command.course);
    let course = ctx.table.get(&key).await?.ok_or(Refusal::CourseUnknown)?;
    let on = call.command.on.unwrap_or_else(|| today(call.now));
    Ok(Reply::of(&course.value, course.version, on))
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;
    use crate::fixtures::{code, ctx};

    #[tokio::test]
    async fn an_unknown_course_is_not_there() {
        let test = testkit::TestTable::new().await;
        let command = Command { course: CourseId::derived_from("nothing"), on: None };
        let result = handle(&ctx(&test.table), &testkit::call(command)).await;
        assert_eq!(code(result), "COURSE_UNKNOWN");
    }
}
