//! Who decides, did or will decide on a department's approvals in its head's place.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::APPROVERS;
use crate::Ctx;
use crate::domain::{Deputy, Refusal};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-deputies",
    "/departments/{department}/deputies",
    APPROVERS,
    "List the deputies of a department's head",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(min = 1, max = 40))]
    pub department: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Deputy>, Failure> {
    let department = &call.command.department;
    if !call.may_touch_section(&[], department) {
        return Err(Refusal::DepartmentOutOfReach.into());
    }
    let page = ctx.table.query(&store::deputies(department), &call.page).await?;
    let items = page.records.into_iter().map(|stored| stored.value).collect();
    Ok(Listing { items, next_cursor: page.next })
}
