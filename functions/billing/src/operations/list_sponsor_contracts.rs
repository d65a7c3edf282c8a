//! The contracts with sponsors, by code: what was agreed, what each is to pay, and what each has paid.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::{BURSAR, set_sponsor_contract};
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-sponsor-contracts",
    "/sponsor-contracts",
    BURSAR,
    "List the contracts with sponsors",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub type Reply = Listing<set_sponsor_contract::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::sponsor_contracts(), &call.page).await?;
    let items = page.records.into_iter();
    let items = items.map(|contract| set_sponsor_contract::Reply {
        version: contract.version,
        contract: contract.value,
    });
    Ok(Listing { items: items.collect(), next_cursor: page.next })
}
