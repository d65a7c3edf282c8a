//! An approval was decided: the waiting execution is answered. An execution that no longer waits needs no answer.

use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use events::ApprovalDecided;
use shell::{Delivery, Failure, Fault};

use crate::Ctx;
use crate::domain::{Approval, ApprovalState, Refusal};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: ApprovalDecided = delivery.event()?;
    let approval = ctx
        .table
        .get(&store::approval_key(event.approval))
        .await?
        .ok_or(Refusal::ApprovalUnknown)?;
    answer(ctx, &approval.value, &approval.value.task_token).await
}

/// Tells the execution that waits on `task_token` what became of the approval.
pub async fn answer(ctx: &Ctx, approval: &Approval, task_token: &str) -> Result<(), Failure> {
    match approval.state {
        ApprovalState::Waiting => Ok(()),
        ApprovalState::Approved => {
            let request = ctx.step_functions().send_task_success();
            answered(
                request
                    .task_token(task_token)
                    .output(r#"{"approved":true}"#)
                    .send()
                    .await
                    .map(drop),
            )
        }
        ApprovalState::Rejected | ApprovalState::Cancelled => {
            let request = ctx.step_functions().send_task_failure().task_token(task_token);
            answered(
                request
                    .error("ApprovalRejected")
                    .cause(format!("{:?}", approval.state))
                    .send()
                    .await
                    .map(drop),
            )
        }
    }
}

fn answered<E>(result: Result<(), SdkError<E>>) -> Result<(), Failure>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match result {
        // The execution has timed out, been stopped or been answered: nobody waits on this token.
        Err(error)
            if matches!(
                error.code(),
                Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")
            ) =>
        {
            Ok(())
        }
        Err(error) => {
            Err(Fault::outside("the waiting execution could not be answered", error).into())
        }
        Ok(()) => Ok(()),
    }
}
