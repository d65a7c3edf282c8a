//! From which posting period on the books are open.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::close_posting_period::Reply;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-posting-periods",
    "/posting-periods",
    BURSAR,
    "Read from which posting period on the books are open",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, _call: &Call<Command>) -> Result<Reply, Failure> {
    let books = ctx.table.get(&store::books_key(0)).await?;
    Ok(Reply::of(books.as_ref().map(|books| &books.value)))
}
