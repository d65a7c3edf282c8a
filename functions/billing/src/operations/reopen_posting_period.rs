//! Opens a closed posting period again, and all after it.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::close_posting_period::{Reply, change};
use crate::Ctx;
use crate::domain::PostingPeriod;

pub const ROUTE: Route = Route::act(
    "reopen-posting-period",
    "/posting-periods/{period}/reopening",
    BURSAR,
    "Open a posting period again, and all after it",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub period: PostingPeriod,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let period = call.command.period;
    change(ctx, call, |open_from| open_from.map_or(period, |from| from.min(period))).await
}
