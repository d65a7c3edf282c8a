//! The receipts that a student handed in, or, of nobody, all for which nobody has looked yet; the oldest first.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Receipt, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::list("list-receipts", "/receipts", OWN_OR_STAFF, "List receipts that were handed in");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose. Absent, staff are shown all that wait, and students their own.
    pub student: Option<PersonId>,
}

pub type Reply = Listing<Receipt>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let receipts = if call.command.student.is_none() && call.may_touch_all() {
        store::receipts_waiting()
    } else {
        let student = call.whose(call.command.student, "/student")?;
        if !call.may_touch(student, &[]) {
            return Err(Refusal::StudentUnknown.into());
        }
        store::receipts_of(student)
    };
    let page = ctx.table.query(&receipts, &call.page).await?;
    let items = page.records.into_iter().map(|receipt| receipt.value).collect();
    Ok(Listing { items, next_cursor: page.next })
}
