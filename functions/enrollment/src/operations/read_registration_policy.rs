//! What the institution has decided for every term.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::OPERATORS;
use super::set_registration_policy::Reply;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-registration-policy",
    "/registration-policy",
    OPERATORS,
    "Read what becomes of registrations whose prerequisites are broken",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, _: &Call<Command>) -> Result<Reply, Failure> {
    let stored = ctx.table.get(&store::registration_policy_key()).await?;
    let version = stored.as_ref().map(|stored| stored.version).unwrap_or_default();
    let policy = stored.map(|stored| stored.value).unwrap_or_default();
    Ok(Reply { version, policy })
}
