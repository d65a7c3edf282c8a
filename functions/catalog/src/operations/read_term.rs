//! One term.

use kernel::TermId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Route};

use crate::Ctx;
use crate::domain::{Refusal, Term};
use crate::store;

pub const ROUTE: Route = Route::get("read-term", "/terms/{term}", Access::LoggedIn, "Read a term")
    .for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    #[serde(flatten)]
    pub term: Term,
    pub version: u64,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let term = ctx.table.get(&store::term_key(call.command.term)).await?;
    let term = term.ok_or(Refusal::TermUnknown)?;
    Ok(Reply { term: term.value, version: term.version })
}
