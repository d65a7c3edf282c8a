//! Whether the API answers at all. It touches nothing: what it needs is for readiness to say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;

pub const ROUTE: Route =
    Route::get("health", "/healthz", Access::Public, "Say that the API answers");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    /// Always `ok`.
    pub status: &'static str,
}

#[allow(clippy::unused_async, reason = "every operation is called in the same way")]
pub async fn handle(_: &Ctx, _: &Call<Command>) -> Result<Reply, Failure> {
    Ok(Reply { status: "ok" })
}
