//! Adjustments that wait for a second person, or those of a student that were decided; the oldest first.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::AccountAdjustment;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-adjustments",
    "/adjustments",
    BURSAR,
    "List what waits for a second person, or was adjusted on a student's account",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose; absent, all that wait are listed.
    pub student: Option<PersonId>,
}

pub type Reply = Listing<AccountAdjustment>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let adjustments = store::adjustments(call.command.student);
    let page = ctx.table.query(&adjustments, &call.page).await?;
    let items = page.records.into_iter().map(|adjustment| adjustment.value).collect();
    Ok(Listing { items, next_cursor: page.next })
}
