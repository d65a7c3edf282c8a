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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BundleState;
    use crate::fixtures::{bundle, held};

    #[tokio::test]
    async fn the_first_reason_stands_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let reply = held(table, |_| ()).await;
                let of = |reason| {
                    testkit::step(Command {
                        submission: reply.id,
                        bundle: reply.bundles[0].bundle,
                        reason,
                    })
                };
                (of(ReleaseReason::PaymentTimedOut), of(ReleaseReason::SagaFailed), reply)
            },
            async |table, (first, ..)| handle(&Ctx::new(table.clone()), first).await.map(drop),
            async |table, (_, second, reply)| {
                handle(&Ctx::new(table.clone()), second)
                    .await
                    .expect("beginning twice changes nothing");
                let bundle = bundle(table, reply).await;
                assert_eq!(
                    (bundle.state, bundle.reason),
                    (BundleState::Undoing, Some(ReleaseReason::PaymentTimedOut))
                );
            },
        )
        .await;
    }
}
