//! One course.

use kernel::CourseId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::domain::{Code, Course, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-course", "/courses/{course}", Access::LoggedIn, "Read a course");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub course: CourseId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: CourseId,
    pub version: u64,
    pub code: Code,
    pub title: String,
    /// Hundredths of a credit: 450 is 4.5 credits.
    pub credits_hundredths: u32,
    pub department: Code,
    pub corequisites: Vec<CourseId>,
}

impl Reply {
    pub fn of(course: &Course, version: u64) -> Self {
        let Course { id, code, title, credits_hundredths, department, corequisites } =
            course.clone();
        Self { id, version, code, title, credits_hundredths, department, corequisites }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let course = ctx
        .table
        .get(&store::course_key(call.command.course))
        .await?
        .ok_or(Refusal::CourseUnknown)?;
    Ok(Reply::of(&course.value, course.version))
}
