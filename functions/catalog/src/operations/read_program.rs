//! One program.

use kernel::ProgramId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Route};

use crate::Ctx;
use crate::domain::{Program, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-program", "/programs/{program}", Access::LoggedIn, "Read a program")
        .for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub program: ProgramId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    #[serde(flatten)]
    pub program: Program,
    pub version: u64,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = store::program_key(call.command.program);
    let stored = ctx.table.get(&key).await?.ok_or(Refusal::ProgramUnknown)?;
    Ok(Reply { program: stored.value, version: stored.version })
}
