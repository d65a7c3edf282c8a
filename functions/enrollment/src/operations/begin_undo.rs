//! Saga step: decide between pivot and undo. A bundle that is confirmed stays so, and the saga goes forward.

use events::ReleaseReason;
use kernel::{BundleId, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Step};

use super::StepReply;
use crate::Ctx;
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub reason: ReleaseReason,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, reason } = step.command;
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    if bundle.value.begin_undo(reason, step.now) {
        let mut transaction = ctx.table.transaction();
        transaction.update(&bundle);
        transaction.commit().await?;
    }
    Ok(StepReply { state: bundle.value.state })
}
