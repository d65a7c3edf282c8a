//! Schedule: every bundle whose saga is not where its state says is found, started again from there, and named.

use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::types::ExecutionStatus;
use kernel::BundleId;
use serde::Serialize;
use shell::{Failure, Fault, Tick};
use table::{PageRequest, Stored};

use super::on_saga_requested::execution_name;
use super::park::PARKED_METRIC;
use crate::Ctx;
use crate::domain::Bundle;
use crate::store;

/// A bundle that moved more recently than this is left alone: its event may still be on its way.
const QUIET_S: i64 = 60;
/// Bundles looked at in one run; the next run goes on, since a restarted one has moved.
const BUNDLES_MAX: usize = 500;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reply {
    pub looked_at: usize,
    pub restarted: Vec<BundleId>,
    pub parked: Vec<BundleId>,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    while reply.looked_at < BUNDLES_MAX {
        let found = ctx.table.query(&store::open_bundles(), &page).await?;
        for bundle in found.records {
            if tick.now.duration_since(bundle.value.moved_at).as_secs() < QUIET_S {
                continue;
            }
            reply.looked_at += 1;
            if !is_carried(ctx, &bundle.value).await? {
                restart(ctx, tick, bundle, &mut reply).await?;
            }
        }
        let Some(next) = found.next else { break };
        page.after = Some(next);
    }
    Ok(reply)
}

/// Whether an execution is under way for the bundle as it stands.
async fn is_carried(ctx: &Ctx, bundle: &Bundle) -> Result<bool, Failure> {
    let machine = shell::required_environment("ENROLLMENT_STATE_MACHINE_ARN");
    let name = execution_name(&bundle.saga_request());
    // arn:aws:states:region:account:stateMachine:NAME → arn:aws:states:region:account:execution:NAME:EXECUTION
    let arn = format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1));
    match ctx.step_functions().describe_execution().execution_arn(arn).send().await {
        Ok(execution) => Ok(*execution.status() == ExecutionStatus::Running),
        Err(error) if error.code() == Some("ExecutionDoesNotExist") => Ok(false),
        Err(error) => Err(Fault::outside("the execution could not be looked up", error).into()),
    }
}

async fn restart(
    ctx: &Ctx,
    tick: &Tick,
    mut bundle: Stored<Bundle>,
    reply: &mut Reply,
) -> Result<(), Failure> {
    let id = bundle.value.id;
    let mut transaction = ctx.table.transaction();
    let exhausted = bundle.value.attempt >= Bundle::ATTEMPTS_MAX;
    if exhausted {
        let parked = bundle.value.park("saga".into(), "every execution died".into(), tick.now);
        transaction.event(parked, bundle.version + 1, tick.now, &tick.correlation_id);
    } else {
        bundle.value.restart(tick.now);
        let request = bundle.value.saga_request();
        transaction.event(request, bundle.version + 1, tick.now, &tick.correlation_id);
    }
    transaction.update(&bundle);
    match transaction.commit().await.map_err(Failure::from) {
        // Read from the index, which follows the table: somebody moved the bundle meanwhile, so it is being carried.
        Err(Failure::Conflict { .. }) => return Ok(()),
        other => other?,
    }
    let list = if exhausted { &mut reply.parked } else { &mut reply.restarted };
    list.push(id);
    tracing::warn!(bundle = %id, attempt = bundle.value.attempt, exhausted, "the saga was not where its state says");
    let metric = if exhausted { PARKED_METRIC } else { "SagasRestarted" };
    shell::telemetry::count(metric, 1, ("context", "enrollment"));
    Ok(())
}
