//! Sections whose counters were not what was counted, as the last run that saw them found them.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::OPERATORS;
use crate::Ctx;
use crate::domain::SeatDifference;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-seat-differences",
    "/seat-differences",
    OPERATORS,
    "List sections whose seat counters are not what was counted",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<SeatDifference>, Failure> {
    let page = ctx.table.query(&store::seat_differences(), &call.page).await?;
    let items = page.records.into_iter().map(|stored| stored.value).collect();
    Ok(Listing { items, next_cursor: page.next })
}
