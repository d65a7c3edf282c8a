//! Saga step: decide between pivot and undo. A bundle that is confirmed stays so, and one that was approved in the last
//! moment is not timed out: then the saga goes forward. With the undo, nobody can approve any more.

use events::ReleaseReason;
use kernel::{BundleId, SubmissionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Step};

use crate::Ctx;
use crate::domain::BundleState;
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub attempt: u32,
    pub reason: ReleaseReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub state: BundleState,
    /// What the student is told; absent where nothing is undone.
    pub reason: Option<ReleaseReason>,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let Command { submission, bundle, attempt, reason } = step.command;
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    let approvals = store::approvals(&ctx.table, &bundle.value).await?;
    let verdict = store::verdict(&approvals);
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
    Ok(Reply { state: bundle.value.state, reason: bundle.value.reason })
}

#[cfg(test)]
mod tests {
    use events::Decision;
    use kernel::ApprovalId;
    use shell::{Call, Scope};

    use super::*;
    use crate::fixtures::{ask, bundle, by, code, held, of_bundle};
    use crate::operations::{OfBundle, decide_approval, read_submission};

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

    /// Ada's bundle, and the approval that it waits for.
    async fn asked(table: &table::Table) -> (read_submission::Reply, ApprovalId) {
        let reply = held(table, |event| event.approval_required = true).await;
        ask(table, &reply).await;
        let approval = bundle(table, &reply).await.approvals[0];
        (reply, approval)
    }

    fn timed_out(reply: &read_submission::Reply) -> Step<Command> {
        let OfBundle { submission, bundle, attempt } = of_bundle(reply).command;
        let reason = ReleaseReason::ApprovalTimedOut;
        testkit::step(Command { submission, bundle, attempt, reason })
    }

    fn word(approval: ApprovalId, decision: Decision) -> Call<decide_approval::Command> {
        let command = decide_approval::Command { approval, decision, reason: None };
        Call { reach: vec![(Scope::All, None)], ..by("head", testkit::call(command)) }
    }

    #[tokio::test]
    async fn what_was_approved_in_the_last_moment_is_not_timed_out() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (reply, approval) = asked(&test.table).await;
        decide_approval::handle(&ctx, &word(approval, Decision::Approve)).await.expect("decides");
        let decided = handle(&ctx, &timed_out(&reply)).await.expect("decides");
        assert_eq!((decided.state, decided.reason), (BundleState::AwaitingApproval, None));
    }

    #[tokio::test]
    async fn what_was_rejected_in_the_last_moment_is_said_to_be() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (reply, approval) = asked(&test.table).await;
        decide_approval::handle(&ctx, &word(approval, Decision::Reject)).await.expect("decides");
        let decided = handle(&ctx, &timed_out(&reply)).await.expect("decides");
        assert_eq!(
            (decided.state, decided.reason),
            (BundleState::Undoing, Some(ReleaseReason::ApprovalRejected))
        );
    }

    #[tokio::test]
    async fn once_the_undo_has_begun_nobody_approves_any_more() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (reply, approval) = asked(&test.table).await;
        let decided = handle(&ctx, &timed_out(&reply)).await.expect("decides");
        assert_eq!(decided.state, BundleState::Undoing);
        let late = decide_approval::handle(&ctx, &word(approval, Decision::Approve)).await;
        assert_eq!(code(late), "APPROVAL_DECIDED");
    }
}
