//! Limits and holds of billing, as they are set.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use super::set_policy::Reply;
use crate::Ctx;
use crate::domain::BillingPolicy;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-policy",
    "/billing-policy",
    Access::Roles(&[
        Allow { role: Role::Bursar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Read limits and holds of billing",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, _: &Call<Command>) -> Result<Reply, Failure> {
    Ok(match ctx.table.get(&store::policy_key()).await? {
        Some(stored) => Reply { version: stored.version, policy: stored.value },
        None => Reply { version: 0, policy: BillingPolicy::default() },
    })
}
