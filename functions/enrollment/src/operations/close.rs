//! Saga step and its last: the student has been told, nothing is left to do. Closing twice changes nothing.

use shell::{Failure, Step};

use super::{OfBundle, StepReply};
use crate::Ctx;
use crate::store;

pub async fn handle(ctx: &Ctx, step: &Step<OfBundle>) -> Result<StepReply, Failure> {
    let OfBundle { submission, bundle } = step.command;
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    if !bundle.value.closed {
        bundle.value.close(step.now);
        let mut transaction = ctx.table.transaction();
        transaction.update(&bundle);
        transaction.commit().await?;
    }
    Ok(StepReply { state: bundle.value.state })
}
