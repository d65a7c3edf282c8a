//! The head of department, or their deputy, approves or rejects; the waiting saga hears of it by the event.

use events::{ApprovalDecided, Decision};
use kernel::ApprovalId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Noted;

use super::APPROVERS_AND_DEPUTIES;
use super::list_approvals::Item;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::act(
    "decide-approval",
    "/approvals/{approval}/decision",
    APPROVERS_AND_DEPUTIES,
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
    let foreign = stored.filter(|stored| stored.value.student != call.person());
    let mut stored = foreign.ok_or(Refusal::ApprovalUnknown)?;
    if !super::may_decide(ctx, call, &stored.value.department).await? {
        return Err(Refusal::ApprovalUnknown.into());
    }
    let before = stored.value.clone();
    stored.value.decide(decision, call.person(), reason.clone())?;
    let reply = Item::of(&stored.value, stored.version + 1);
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    let bundle = stored.value.bundle;
    let event = ApprovalDecided { approval, bundle, decision, decided_by: call.person(), reason };
    transaction.event(event, stored.version + 1, call.now, &call.correlation_id);
    let trail = ctx.table.trail(before.student).await?;
    let noted =
        Noted::change(format!("approval/{approval}")).fields_of(Some(&before), &stored.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::Event;
    use shell::Scope;

    use super::*;
    use crate::fixtures::{ask, bundle, by, code, held};
    use crate::operations::list_approvals;

    async fn asked(table: &table::Table) -> ApprovalId {
        let reply = held(table, |event| event.approval_required = true).await;
        ask(table, &reply).await;
        bundle(table, &reply).await.approvals[0]
    }

    fn as_head(department: &str, approval: ApprovalId, decision: Decision) -> Call<Command> {
        let call = testkit::call(Command { approval, decision, reason: None });
        Call { reach: vec![(Scope::Department, Some(department.to_owned()))], ..by("head", call) }
    }

    #[tokio::test]
    async fn an_approval_is_decided_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| as_head("MATH", asked(table).await, Decision::Approve),
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, call| {
                let other = as_head("MATH", call.command.approval, Decision::Reject);
                assert_eq!(
                    code(handle(&Ctx::new(table.clone()), &other).await),
                    "APPROVAL_DECIDED"
                );
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == ApprovalDecided::NAME).count(),
                    1
                );
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_decides_on_their_own_registration() {
        let test = testkit::TestTable::new().await;
        let approval = asked(&test.table).await;
        let own = Call {
            reach: vec![(Scope::All, None)],
            ..testkit::call(Command { approval, decision: Decision::Approve, reason: None })
        };
        assert_eq!(code(handle(&Ctx::new(test.table.clone()), &own).await), "APPROVAL_UNKNOWN");
    }

    #[tokio::test]
    async fn only_the_section_s_own_department_sees_and_decides() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let approval = asked(&test.table).await;
        let other = as_head("PHYS", approval, Decision::Approve);
        assert_eq!(code(handle(&ctx, &other).await), "APPROVAL_UNKNOWN");
        let listing = async |department: &str| {
            let call = testkit::call(list_approvals::Command { department: None });
            let reach = vec![(Scope::Department, Some(department.to_owned()))];
            list_approvals::handle(&ctx, &Call { reach, ..call }).await.expect("lists").items.len()
        };
        assert_eq!((listing("MATH").await, listing("PHYS").await), (1, 0));
        handle(&ctx, &as_head("MATH", approval, Decision::Reject)).await.expect("decides");
        assert_eq!(listing("MATH").await, 0, "what is decided waits no longer");
    }
}
