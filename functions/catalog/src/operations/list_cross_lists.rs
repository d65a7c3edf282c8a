//! Cross-lists of a term, by code.

use kernel::TermId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Listing, Role, Route, Scope};

use crate::Ctx;
use crate::domain::CrossList;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-cross-lists",
    "/cross-lists",
    // Seats are shared across departments: heads see those of the others.
    Access::Roles(&[
        Allow { role: Role::Registrar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
        Allow { role: Role::HeadOfDepartment, scope: Scope::All },
    ]),
    "List the sections of a term that share their seats",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Listed {
    #[serde(flatten)]
    pub cross_list: CrossList,
    pub version: u64,
}

pub type Reply = Listing<Listed>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::cross_lists(call.command.term), &call.page).await?;
    let items = page.records.into_iter();
    let items = items.map(|stored| Listed { cross_list: stored.value, version: stored.version });
    Ok(Listing { items: items.collect(), next_cursor: page.next })
}
