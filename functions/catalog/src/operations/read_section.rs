//! One section.

use kernel::{CourseId, Meeting, SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::domain::{Code, Refusal, Section};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-section", "/sections/{section}", Access::LoggedIn, "Read a section");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: SectionId,
    pub version: u64,
    pub code: Code,
    pub term: TermId,
    pub course: CourseId,
    pub course_code: Code,
    pub capacity: u32,
    pub price_group: String,
    pub approval_required: bool,
    pub meetings: Vec<Meeting>,
}

impl Reply {
    pub fn of(section: &Section, version: u64) -> Self {
        let Section {
            id,
            code,
            term,
            course,
            course_code,
            capacity,
            price_group,
            approval_required,
            meetings,
        } = section.clone();
        Self {
            id,
            version,
            code,
            term,
            course,
            course_code,
            capacity,
            price_group,
            approval_required,
            meetings,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let section = ctx
        .table
        .get(&store::section_key(call.command.section))
        .await?
        .ok_or(Refusal::SectionUnknown)?;
    Ok(Reply::of(&section.value, section.version))
}
