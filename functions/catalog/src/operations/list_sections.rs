//! Sections of a term, by course.

use kernel::TermId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Listing, Route};

use super::read_section;
use crate::Ctx;
use crate::domain::Code;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-sections",
    "/sections",
    Access::LoggedIn,
    "List the sections of a term by course",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// Only sections of this course.
    pub course_code: Option<Code>,
}

pub type Reply = Listing<read_section::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let partition = store::sections(call.command.term, call.command.course_code.as_ref());
    let page = ctx.table.query(&partition, &call.page).await?;
    let items = page
        .records
        .iter()
        .map(|section| read_section::Reply::of(&section.value, section.version))
        .collect();
    Ok(Listing { items, next_cursor: page.next })
}
