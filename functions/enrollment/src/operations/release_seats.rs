//! Saga step and last undo: give the held seats back. Releasing twice, or what was never held, changes nothing.

use events::ReleaseReason;
use shell::{Failure, Step};

use super::{OfBundle, StepReply, cause};
use crate::Ctx;
use crate::store;

pub async fn handle(ctx: &Ctx, step: &Step<OfBundle>) -> Result<StepReply, Failure> {
    let OfBundle { submission, bundle } = step.command;
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    if bundle.value.release(step.now) {
        let members = store::members(&ctx.table, &bundle.value).await?;
        let approval = match bundle.value.approval {
            Some(approval) => ctx.table.get(&store::approval_key(approval)).await?,
            None => None,
        };
        let reason = bundle.value.reason.unwrap_or(ReleaseReason::SagaFailed);
        store::record_release(&ctx.table, &bundle, members, reason, approval, cause(step)).await?;
    }
    Ok(StepReply { state: bundle.value.state })
}
