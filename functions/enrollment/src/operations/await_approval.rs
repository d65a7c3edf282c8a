//! Saga step: ask the head of department and wait. Undone by release-seats. Asked again, it replaces the
//! waiting token.

use events::ApprovalRequested;
use kernel::{ApprovalId, BundleId, Id, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Step};
use table::Stored;

use super::StepReply;
use crate::Ctx;
use crate::domain::{Approval, ApprovalState, Bundle};
use crate::operations::on_approval_decided;
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub task_token: String,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, task_token } = &step.command;
    let mut bundle = store::bundle(&ctx.table, *submission, *bundle).await?;
    let id = ApprovalId::derived_from(&bundle.value.id.to_string());
    let standing = ctx.table.get(&store::approval_key(id)).await?;
    if let Some(decided) =
        standing.as_ref().filter(|standing| standing.value.state != ApprovalState::Waiting)
    {
        on_approval_decided::answer(ctx, &decided.value, task_token).await?;
        return Ok(StepReply { state: bundle.value.state });
    }
    let approval = match &standing {
        Some(standing) => Approval { task_token: task_token.clone(), ..standing.value.clone() },
        None => asked(id, &bundle, step),
    };
    let mut transaction = ctx.table.transaction();
    transaction.put(&approval, standing.as_ref().map(|standing| standing.version));
    if bundle.value.await_approval(id, step.now)? {
        transaction.update(&bundle);
    }
    if standing.is_none() {
        let event = ApprovalRequested {
            approval: id,
            bundle: approval.bundle,
            student: approval.student,
            departments: vec![approval.department.clone()],
        };
        transaction.event(event, 1, step.now, &step.correlation_id);
    }
    transaction.commit().await?;
    Ok(StepReply { state: bundle.value.state })
}

fn asked(id: ApprovalId, bundle: &Stored<Bundle>, step: &Step<Command>) -> Approval {
    let bundle = &bundle.value;
    Approval {
        id,
        submission: bundle.submission,
        bundle: bundle.id,
        student: bundle.student,
        department: bundle.approval_department.clone().unwrap_or_default(),
        registrations: bundle.registrations.clone(),
        state: ApprovalState::Waiting,
        task_token: step.command.task_token.clone(),
        requested_at: step.now,
        decided_by: None,
        reason: None,
    }
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;
    use crate::domain::BundleState;
    use crate::fixtures::{bundle, held};

    #[tokio::test]
    async fn an_approval_is_asked_for_once_and_a_newer_token_replaces_the_older() {
        testkit::under_every_fault(
            async |table| held(table, |event| event.approval_required = true).await,
            async |table, reply| {
                let command = |token: &str| Command {
                    submission: reply.id,
                    bundle: reply.bundles[0].bundle,
                    task_token: token.to_owned(),
                };
                handle(&Ctx::new(table.clone()), &testkit::step(command("older"))).await?;
                handle(&Ctx::new(table.clone()), &testkit::step(command("newer"))).await.map(drop)
            },
            async |table, reply| {
                let bundle = bundle(table, reply).await;
                assert_eq!(bundle.state, BundleState::AwaitingApproval);
                let approval = bundle.approval.expect("an approval");
                let approval = table
                    .get(&store::approval_key(approval))
                    .await
                    .expect("reads")
                    .expect("is there");
                assert_eq!(approval.value.task_token, "newer");
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == ApprovalRequested::NAME).count(),
                    1
                );
            },
        )
        .await;
    }
}
