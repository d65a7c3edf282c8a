//! The payment plans that are offered, by code.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Listing, Route};

use super::set_plan_offer;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-plan-offers",
    "/plan-offers",
    Access::LoggedIn,
    "List the payment plans that are offered",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub type Reply = Listing<set_plan_offer::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::plan_offers(), &call.page).await?;
    let items = page.records.into_iter();
    let items = items
        .map(|offer| set_plan_offer::Reply { version: offer.version, offer: offer.value })
        .collect();
    Ok(Listing { items, next_cursor: page.next })
}
