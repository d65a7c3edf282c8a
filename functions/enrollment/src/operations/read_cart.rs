//! What a student has put aside for a term.

use kernel::TermId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::set_cart::Reply;
use super::submit;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route =
    Route::get("read-cart", "/carts/{term}", submit::ACCESS, "Read what you have put aside");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let term = call.command.term;
    let stored = ctx.table.get(&store::kept_cart_key(call.person(), term)).await?;
    let version = stored.as_ref().map(|stored| stored.version).unwrap_or_default();
    let items = stored.map(|stored| stored.value.items).unwrap_or_default();
    Ok(Reply { term, version, items })
}
