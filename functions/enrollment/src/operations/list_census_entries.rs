//! Whom the census of a term has found, and how much each was registered for.

use kernel::TermId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::OPERATORS;
use crate::Ctx;
use crate::domain::CensusEntry;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-census-entries",
    "/terms/{term}/census",
    OPERATORS,
    "List whom the census of a term has found",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<CensusEntry>, Failure> {
    let page = ctx.table.query(&store::census_entries(call.command.term), &call.page).await?;
    let items = page.records.into_iter().map(|stored| stored.value).collect();
    Ok(Listing { items, next_cursor: page.next })
}
