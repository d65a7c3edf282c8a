//! Saga step: an undo keeps failing. The bundle goes on an operator's list, with an alarm; it is never taken
//! for done.

use kernel::{BundleId, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Step};

use super::StepReply;
use crate::Ctx;
use crate::store;

/// What the alarm watches.
pub const PARKED_METRIC: &str = "ParkedBundles";

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub step: String,
    pub error: String,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, step: undo, error } = step.command.clone();
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    let event = bundle.value.park(undo, error, step.now);
    let mut transaction = ctx.table.transaction();
    transaction.update(&bundle);
    transaction.event(event, bundle.version + 1, step.now, &step.correlation_id);
    transaction.commit().await?;
    shell::telemetry::count(PARKED_METRIC, 1, ("context", "enrollment"));
    Ok(StepReply { state: bundle.value.state })
}
