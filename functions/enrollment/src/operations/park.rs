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
    pub attempt: u32,
    pub step: String,
    pub error: String,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, attempt, step: undo, error } = step.command.clone();
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    let stands = bundle.value.parked.as_ref().is_some_and(|parked| parked.step == undo);
    if stands || bundle.value.closed {
        return Ok(StepReply { state: bundle.value.state });
    }
    let event = bundle.value.park(undo, error, step.now);
    let mut transaction = ctx.table.transaction();
    transaction.update(&bundle);
    transaction.event(event, bundle.version + 1, step.now, &step.correlation_id);
    transaction.commit().await?;
    shell::telemetry::count(PARKED_METRIC, 1, ("context", "enrollment"));
    Ok(StepReply { state: bundle.value.state })
}

#[cfg(test)]
mod tests {
    use events::{BundleParked, Event};

    use super::*;
    use crate::fixtures::held;

    #[tokio::test]
    async fn a_bundle_is_parked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let reply = held(table, |_| ()).await;
                testkit::step(Command {
                    submission: reply.id,
                    bundle: reply.bundles[0].bundle,
                    attempt: 1,
                    step: "reverse-charge".into(),
                    error: "Unavailable".into(),
                })
            },
            async |table, step| handle(&Ctx::new(table.clone()), step).await.map(drop),
            async |table, step| {
                handle(&Ctx::new(table.clone()), step)
                    .await
                    .expect("parking twice changes nothing");
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == BundleParked::NAME).count(),
                    1
                );
            },
        )
        .await;
    }
}
