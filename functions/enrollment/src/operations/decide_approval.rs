//! The head of department approves or rejects; the waiting saga hears of it by the event.

use events::{ApprovalDecided, Decision};
use kernel::ApprovalId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::APPROVERS;
use super::list_approvals::Item;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::act(
    "decide-approval",
    "/approvals/{approval}/decision",
    APPROVERS,
    "Approve or reject a registration",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub approval: ApprovalId,
    pub decision: Decision,
    /// Shown to the student.
    #[schemars(length(max = 500))]
    pub reason: Option<String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Item, Failure> {
    let Command { approval, decision, reason } = call.command.clone();
    let stored = ctx.table.get(&store::approval_key(approval)).await?;
    let within =
        |department: &String| call.may_touch(call.person(), std::slice::from_ref(department));
    let mut stored =
        stored.filter(|stored| within(&stored.value.department)).ok_or(Refusal::ApprovalUnknown)?;
    stored.value.decide(decision, call.person(), reason.clone())?;
    let reply = Item::of(&stored.value, stored.version + 1);
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    let bundle = stored.value.bundle;
    let event = ApprovalDecided { approval, bundle, decision, decided_by: call.person(), reason };
    transaction.event(event, stored.version + 1, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}
