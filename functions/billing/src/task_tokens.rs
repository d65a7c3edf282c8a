//! Answers to those who wait with a task token of Step Functions.

use aws_sdk_sfn::operation::send_task_success::SendTaskSuccessError;
use shell::{Failure, Fault};

use crate::Ctx;

/// Tells whoever waits that the charge is settled or secured. That nobody waits any longer is no failure.
pub async fn answer_secured(ctx: &Ctx, task_token: &str) -> Result<(), Failure> {
    let sent = ctx
        .step_functions()
        .send_task_success()
        .task_token(task_token)
        .output(r#"{"secured":true}"#)
        .send()
        .await;
    let Err(error) = sent else { return Ok(()) };
    match error.as_service_error() {
        Some(
            SendTaskSuccessError::TaskTimedOut(_)
            | SendTaskSuccessError::TaskDoesNotExist(_)
            | SendTaskSuccessError::InvalidToken(_),
        ) => Ok(()),
        _ => Err(Fault::outside("the waiting execution could not be told", error).into()),
    }
}
