//! Programs by code.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, ClientScope, Failure, Listing, Route};

use super::{Standing, read_program, today};
use crate::Ctx;
use crate::domain::{Code, Program};
use crate::store;

pub const ROUTE: Route =
    Route::list("list-programs", "/programs", Access::LoggedIn, "List the programs by code")
        .for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Only programs of this department.
    pub department: Option<Code>,
    /// Only programs that admit students, or only those that do not any more.
    pub standing: Option<Standing>,
}

pub type Reply = Listing<read_program::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { department, standing } = &call.command;
    let today = today(call.now);
    let is_wanted = |program: &Program| {
        let retired = program.retired_from.is_some_and(|from| from <= today);
        department.as_ref().is_none_or(|department| program.department == *department)
            && standing.is_none_or(|standing| standing.includes(retired))
    };
    let page = store::page_of(&ctx.table, &store::programs(), &call.page, is_wanted).await?;
    let replies = page
        .records
        .into_iter()
        .map(|stored| read_program::Reply { program: stored.value, version: stored.version });
    Ok(Listing { items: replies.collect(), next_cursor: page.next })
}
