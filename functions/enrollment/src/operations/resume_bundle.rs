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

#[cfg(test)]
mod tests {
    use events::{Event, SagaRequested};

    use super::*;
    use crate::fixtures::{bundle, code, held};
    use crate::operations::{list_parked_bundles, park};

    #[tokio::test]
    async fn a_parked_bundle_is_listed_and_goes_on_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let reply = held(table, |_| ()).await;
                let of = Command { bundle: reply.bundles[0].bundle, submission: reply.id };
                let ctx = Ctx::new(table.clone());
                assert_eq!(
                    code(handle(&ctx, &testkit::call(of.clone())).await),
                    "BUNDLE_NOT_PARKED"
                );
                let (submission, bundle) = (of.submission, of.bundle);
                let parked = park::Command {
                    submission,
                    bundle,
                    attempt: 1,
                    step: "reverse-charge".into(),
                    error: "Unavailable".into(),
                };
                park::handle(&ctx, &testkit::step(parked)).await.expect("parks");
                let list = list_parked_bundles::handle(
                    &ctx,
                    &testkit::call(list_parked_bundles::Command {}),
                )
                .await;
                assert_eq!(list.expect("lists").items.len(), 1);
                (testkit::call(of), reply)
            },
            async |table, (call, _)| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, (_, reply)| {
                let bundle = bundle(table, reply).await;
                assert_eq!((bundle.attempt, bundle.parked), (2, None));
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == SagaRequested::NAME).count(),
                    2
                );
            },
        )
        .await;
    }
}
