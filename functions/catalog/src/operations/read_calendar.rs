//! The institution's holidays, and the ways between its buildings.

use kernel::Calendar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Route};

use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-calendar",
    "/calendar",
    Access::LoggedIn,
    "Read the holidays and the ways between buildings",
)
.for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    #[serde(flatten)]
    pub calendar: Calendar,
    /// 0 where nobody has written it yet.
    pub version: u64,
}

pub async fn handle(ctx: &Ctx, _: &Call<Command>) -> Result<Reply, Failure> {
    let (calendar, version) = store::calendar(&ctx.table).await?;
    Ok(Reply { calendar, version: version.unwrap_or_default() })
}
