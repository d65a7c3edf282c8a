//! Schedule: every bundle whose saga is not where its state says is found, started again from there, and named.

use std::time::Duration;

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
/// Pages of 100 bundles looked at in one run, as far as its time goes.
const PAGES_MAX: u32 = 200;
/// What the next page, and the reply, may take.
const TIME_LEFT_MIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reply {
    pub looked_at: usize,
    /// Could not be looked up this time.
    pub unknown: usize,
    pub restarted: Vec<BundleId>,
    pub parked: Vec<BundleId>,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = ctx.table.query(&store::open_bundles(), &page).await?;
        for bundle in found.records {
            if tick.now.duration_since(bundle.value.moved_at).as_secs() < QUIET_S {
                // The longest unmoved come first: all behind this one have moved as recently.
                return Ok(reply);
            }
            reply.looked_at += 1;
            match is_carried(ctx, &bundle.value).await {
                Ok(true) => {}
                Ok(false) => restart(ctx, tick, bundle, &mut reply).await?,
                // One that cannot be looked up must not hide the others: the next run asks again.
                Err(_) => reply.unknown += 1,
            }
        }
        let Some(next) = found.next else { break };
        if table::deadline::left() < TIME_LEFT_MIN {
            tracing::warn!(looked_at = reply.looked_at, "not every open bundle could be looked at");
            break;
        }
        page.after = Some(next);
    }
    if reply.unknown > 0 {
        tracing::warn!(unknown = reply.unknown, "executions could not be looked up");
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
