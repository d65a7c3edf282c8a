//! The tuition rules of a term.

use kernel::TermId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, ClientScope, Failure, Route};

use super::set_tuition::Reply;
use crate::Ctx;
use crate::domain::TuitionRules;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-tuition",
    "/terms/{term}/tuition",
    Access::LoggedIn,
    "Read the tuition rules of a term",
)
.for_clients(ClientScope::BillingRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let term = call.command.term;
    Ok(match ctx.table.get(&store::tuition_key(term)).await? {
        Some(stored) => Reply { term, version: stored.version, rules: stored.value.rules },
        None => Reply { term, version: 0, rules: TuitionRules::default() },
    })
}
