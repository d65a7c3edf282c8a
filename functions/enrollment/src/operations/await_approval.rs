//! Saga step: ask the heads of department and wait. Undone by begin-undo, which cancels what nobody has decided. Asked
//! again, it replaces the waiting token.

use events::ApprovalRequested;
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
    pub task_token: String,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, attempt, task_token } = step.command.clone();
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    let approvals = store::approvals(&ctx.table, &bundle.value).await?;
    let verdict = store::verdict(&approvals);
    if verdict != Verdict::Waiting {
        ctx.machine().answer(task_token, verdict).await?;
        return Ok(StepReply { state: bundle.value.state });
    }
    let mut transaction = ctx.table.transaction();
    for approval in bundle.value.await_approval(task_token, step.now)? {
        transaction.create(&approval);
        let event = ApprovalRequested {
            approval: approval.id,
            bundle: approval.bundle,
            student: approval.student,
            department: approval.department,
        };
        transaction.event(event, 1, step.now, &step.correlation_id);
    }
    // Decided meanwhile, the older token would be answered, and nobody the newer one.
    for approval in &approvals {
        transaction.check(&store::approval_key(approval.value.id), Some(approval.version));
    }
    transaction.update(&bundle);
    transaction.commit().await?;
    Ok(StepReply { state: bundle.value.state })
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionOffered};
    use kernel::{CourseId, Id};

    use super::*;
    use crate::domain::BundleState;
    use crate::fixtures::{bundle, cart, held, of_bundle, offer};
    use crate::operations::submit;

    fn command(reply: &submit::Reply, token: &str) -> Command {
        let of = of_bundle(reply).command;
        Command {
            submission: of.submission,
            bundle: of.bundle,
            attempt: of.attempt,
            task_token: token.to_owned(),
        }
    }

    #[tokio::test]
    async fn an_approval_is_asked_for_once_and_a_newer_token_replaces_the_older() {
        testkit::under_every_fault(
            async |table| held(table, |event| event.approval_required = true).await,
            async |table, reply| {
                let ctx = Ctx::new(table.clone());
                handle(&ctx, &testkit::step(command(reply, "older"))).await?;
                handle(&ctx, &testkit::step(command(reply, "newer"))).await.map(drop)
            },
            async |table, reply| {
                let bundle = bundle(table, reply).await;
                assert_eq!(bundle.state, BundleState::AwaitingApproval);
                assert_eq!(bundle.approval_token.as_deref(), Some("newer"));
                assert_eq!(store::approvals(table, &bundle).await.expect("reads").len(), 1);
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == ApprovalRequested::NAME).count(),
                    1
                );
            },
        )
        .await;
    }

    #[tokio::test]
    async fn each_department_of_a_bundle_is_asked() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let of_department = |department: &'static str| {
            move |event: &mut SectionOffered| {
                event.approval_required = true;
                event.department = department.to_owned();
            }
        };
        let lecture = offer(&test.table, "lecture", of_department("MATH")).await;
        let lab = offer(&test.table, "lab", |event| {
            of_department("PHYS")(event);
            event.course.corequisites = vec![CourseId::derived_from("lecture")];
        })
        .await;
        let reply = submit::handle(&ctx, &cart(&[lecture, lab])).await.expect("both are held");
        handle(&ctx, &testkit::step(command(&reply, "token"))).await.expect("asks");
        let approvals = store::approvals(&test.table, &bundle(&test.table, &reply).await).await;
        let approvals = approvals.expect("reads");
        let departments: Vec<_> =
            approvals.iter().map(|approval| approval.value.department.as_str()).collect();
        assert_eq!(departments, ["MATH", "PHYS"]);
    }
}
