//! Saga step: decide between pivot and undo. A bundle that is confirmed stays so, and one that was approved in the last
//! moment is not timed out: then the saga goes forward. With the undo, nobody can approve any more.

use events::ReleaseReason;
use kernel::{BundleId, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Step};

use super::StepReply;
use crate::Ctx;
use crate::domain::Verdict;
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub attempt: u32,
    pub reason: ReleaseReason,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, attempt, reason } = step.command;
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    let approvals = store::approvals(&ctx.table, &bundle.value).await?;
    let verdict = Verdict::of(&approvals);
    if bundle.value.begin_undo(reason, verdict, step.now) {
        let mut transaction = ctx.table.transaction();
        transaction.update(&bundle);
        for mut approval in approvals {
            if approval.value.cancel() {
                transaction.update(&approval);
            }
        }
        transaction.commit().await?;
    }
    Ok(StepReply { state: bundle.value.state })
}

#[cfg(test)]
mod tests {
    use events::Decision;
    use shell::{Call, Scope};

    use super::*;
    use crate::domain::BundleState;
    use crate::fixtures::{ask, bundle, by, code, held, of_bundle};
    use crate::operations::{OfBundle, decide_approval};

    #[tokio::test]
    async fn the_first_reason_stands_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let reply = held(table, |_| ()).await;
                let of = |reason| {
                    testkit::step(Command {
                        submission: reply.id,
                        bundle: reply.bundles[0].bundle,
                        attempt: 1,
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

    #[tokio::test]
    async fn what_was_approved_in_the_last_moment_is_not_timed_out() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let reply = held(&test.table, |event| event.approval_required = true).await;
        ask(&test.table, &reply).await;
        let OfBundle { submission, bundle: id, attempt } = of_bundle(&reply).command;
        let timed_out = testkit::step(Command {
            submission,
            bundle: id,
            attempt,
            reason: ReleaseReason::ApprovalTimedOut,
        });
        let approval = bundle(&test.table, &reply).await.approvals[0];
        let command =
            decide_approval::Command { approval, decision: Decision::Approve, reason: None };
        let reach = vec![(Scope::All, None)];
        let call = Call { reach, ..by("head", testkit::call(command)) };
        decide_approval::handle(&ctx, &call).await.expect("it is approved");
        let decided = handle(&ctx, &timed_out).await.expect("decides");
        assert_eq!(decided.state, BundleState::AwaitingApproval);
    }

    #[tokio::test]
    async fn once_the_undo_has_begun_nobody_approves_any_more() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let reply = held(&test.table, |event| event.approval_required = true).await;
        ask(&test.table, &reply).await;
        let OfBundle { submission, bundle: id, attempt } = of_bundle(&reply).command;
        let reason = ReleaseReason::ApprovalTimedOut;
        let undo = Command { submission, bundle: id, attempt, reason };
        let decided = handle(&ctx, &testkit::step(undo)).await.expect("decides");
        assert_eq!(decided.state, BundleState::Undoing);
        let approval = bundle(&test.table, &reply).await.approvals[0];
        let command =
            decide_approval::Command { approval, decision: Decision::Approve, reason: None };
        let reach = vec![(Scope::All, None)];
        let call = Call { reach, ..by("head", testkit::call(command)) };
        assert_eq!(code(decide_approval::handle(&ctx, &call).await), "APPROVAL_DECIDED");
    }

    #[tokio::test]
    async fn a_superseded_execution_undoes_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let reply = held(&test.table, |_| ()).await;
        let OfBundle { submission, bundle: id, attempt } = of_bundle(&reply).command;
        let mut stored = store::bundle(&test.table, submission, id).await.expect("reads");
        stored.value.restart(testkit::now());
        let mut transaction = test.table.transaction();
        transaction.update(&stored);
        transaction.commit().await.expect("a second attempt carries it");
        let reason = ReleaseReason::PaymentTimedOut;
        let late = testkit::step(Command { submission, bundle: id, attempt, reason });
        assert_eq!(code(handle(&ctx, &late).await), "EXECUTION_SUPERSEDED");
        assert_eq!(bundle(&test.table, &reply).await.state, BundleState::SeatsHeld);
    }
}
