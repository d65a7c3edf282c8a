//! Courses by code.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Listing, Route};

use super::read_course;
use crate::Ctx;
use crate::domain::Code;
use crate::store;

pub const ROUTE: Route =
    Route::list("list-courses", "/courses", Access::LoggedIn, "List the courses by code");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Only courses whose code begins like this.
    pub code_prefix: Option<Code>,
}

pub type Reply = Listing<read_course::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let prefix = call.command.code_prefix.as_ref().map_or("", |code| code.0.as_str());
    let page = ctx.table.query(&store::courses(prefix), &call.page).await?;
    let items = page
        .records
        .iter()
        .map(|course| read_course::Reply::of(&course.value, course.version))
        .collect();
    Ok(Listing { items, next_cursor: page.next })
}
