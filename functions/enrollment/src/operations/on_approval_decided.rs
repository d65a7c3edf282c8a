//! An approval was decided: once the word of every head that the bundle needs is known, the waiting execution is
//! answered. An execution that no longer waits needs no answer.

use events::ApprovalDecided;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: ApprovalDecided = delivery.event()?;
    let approval = ctx.table.get(&store::approval_key(event.approval)).await?;
    let approval = approval.ok_or(Refusal::ApprovalUnknown)?.value;
    let bundle = store::bundle(&ctx.table, approval.submission, approval.bundle).await?.value;
    let approvals = store::approvals(&ctx.table, &bundle).await?;
    match bundle.approval_token {
        Some(task_token) => {
            Ok(ctx.machine().answer(task_token, store::verdict(&approvals)).await?)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use events::Decision;
    use kernel::{CourseId, Id};
    use shell::{Call, Scope};
    use testkit::{StepFunctions, TestTable};

    use super::*;
    use crate::domain::Approval;
    use crate::fixtures::{ask, bundle, by, cart, offer};
    use crate::operations::{decide_approval, submit};

    /// A lecture and its laboratory, of two departments that both want to be asked.
    async fn asked_of_two(ctx: &Ctx) -> Vec<Approval> {
        let lecture = offer(&ctx.table, "lecture", |event| event.approval_required = true).await;
        let lab = offer(&ctx.table, "lab", |event| {
            event.approval_required = true;
            event.department = "PHYS".into();
            event.course.corequisites = vec![CourseId::derived_from("lecture")];
        })
        .await;
        let reply = submit::handle(ctx, &cart(&[lecture, lab])).await.expect("both are held");
        ask(&ctx.table, &reply).await;
        let bundle = bundle(&ctx.table, &reply).await;
        let approvals = store::approvals(&ctx.table, &bundle).await.expect("reads");
        approvals.into_iter().map(|approval| approval.value).collect()
    }

    /// The head's word, and the event of it.
    async fn decide(ctx: &Ctx, approval: &Approval, decision: Decision) {
        let command = decide_approval::Command { approval: approval.id, decision, reason: None };
        let reach = vec![(Scope::Department, Some(approval.department.clone()))];
        let call = Call { reach, ..by("head", testkit::call(command)) };
        decide_approval::handle(ctx, &call).await.expect("it is decided");
        let event = ApprovalDecided {
            approval: approval.id,
            bundle: approval.bundle,
            decision,
            decided_by: call.person(),
            reason: None,
        };
        let delivery = testkit::delivery("on-approval-decided", event);
        handle(ctx, &delivery).await.expect("the execution is answered");
    }

    #[tokio::test]
    async fn the_saga_goes_on_when_every_department_has_approved() {
        let (test, machine) = (TestTable::new().await, StepFunctions::start().await);
        let ctx = Ctx::with_machine(&test, &machine);
        let approvals = asked_of_two(&ctx).await;
        decide(&ctx, &approvals[0], Decision::Approve).await;
        assert_eq!(machine.calls("SendTaskSuccess").len(), 0, "the other has not said a word");
        decide(&ctx, &approvals[1], Decision::Approve).await;
        assert_eq!(machine.calls("SendTaskSuccess").len(), 1);
    }

    #[tokio::test]
    async fn one_rejection_is_enough_and_one_that_nobody_waits_for_is_no_failure() {
        let (test, machine) = (TestTable::new().await, StepFunctions::start().await);
        let ctx = Ctx::with_machine(&test, &machine);
        let approvals = asked_of_two(&ctx).await;
        decide(&ctx, &approvals[0], Decision::Reject).await;
        assert_eq!(machine.calls("SendTaskFailure").len(), 1);
        machine.refuse("SendTaskFailure", "TaskTimedOut");
        decide(&ctx, &approvals[1], Decision::Approve).await;
        assert_eq!(machine.calls("SendTaskSuccess").len(), 0);
    }
}
