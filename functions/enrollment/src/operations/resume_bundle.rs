//! An operator lets a parked bundle go on: its saga is started again from the recorded step.

use kernel::{BundleId, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::OPERATORS;
use super::read_submission::BundleProgress;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::act(
    "resume-bundle",
    "/parked-bundles/{bundle}/resume",
    OPERATORS,
    "Start the saga of a parked bundle again",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub bundle: BundleId,
    pub submission: SubmissionId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<BundleProgress, Failure> {
    let Command { bundle, submission } = call.command;
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    if bundle.value.parked.is_none() {
        return Err(Refusal::BundleNotParked.into());
    }
    bundle.value.restart(call.now);
    let version = bundle.version + 1;
    let reply = BundleProgress::of(&bundle.value, version);
    let mut transaction = ctx.table.transaction();
    transaction.update(&bundle);
    transaction.event(bundle.value.saga_request(), version, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}
