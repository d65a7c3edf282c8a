//! Bundles whose undo kept failing, the longest parked first.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::OPERATORS;
use super::read_submission::BundleProgress;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-parked-bundles",
    "/parked-bundles",
    OPERATORS,
    "List the bundles that wait for an operator, the longest parked first",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub type Reply = Listing<BundleProgress>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::parked_bundles(), &call.page).await?;
    let items = page
        .records
        .iter()
        .map(|stored| BundleProgress::of(&stored.value, stored.version))
        .collect();
    Ok(Listing { items, next_cursor: page.next })
}
