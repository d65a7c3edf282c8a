//! What a credit costs, by price group.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, ClientScope, Failure, Listing, Route};

use super::set_price_group;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-price-groups",
    "/price-groups",
    Access::LoggedIn,
    "List the price groups by code",
)
.for_clients(ClientScope::BillingRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub type Reply = Listing<set_price_group::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::price_groups(), &call.page).await?;
    let items = page
        .records
        .iter()
        .map(|group| set_price_group::Reply::of(&group.value, group.version))
        .collect();
    Ok(Listing { items, next_cursor: page.next })
}
