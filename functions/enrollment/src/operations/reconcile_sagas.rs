//! Schedule: every bundle whose saga is not where its state says is found, started again from there, and named.

use std::time::Duration;

use kernel::BundleId;
use serde::Serialize;
use shell::{Failure, Tick};
use table::{PageRequest, Position, Stored};

use super::park::PARKED_METRIC;
use crate::Ctx;
use crate::domain::Bundle;
use crate::store::{self, Reconciler};

/// A bundle that moved more recently than this is left alone: its event may still be on its way.
const QUIET_S: i64 = 60;
/// Pages of 100 bundles looked at in one run, as far as its time goes.
const PAGES_MAX: u32 = 200;
/// What the next page of look-ups, and the reply, may take.
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
    let before =
        ctx.table.get(&store::reconciler_key()).await?.and_then(|stored| stored.value.stopped_at);
    let stopped_at = look_through(ctx, tick, before.clone(), &mut reply).await?;
    if stopped_at != before {
        let mut transaction = ctx.table.transaction();
        transaction.overwrite(&Reconciler { stopped_at });
        transaction.commit().await?;
    }
    if reply.unknown > 0 {
        tracing::warn!(unknown = reply.unknown, "executions could not be looked up");
    }
    Ok(reply)
}

/// Looks at the open bundles, the longest unmoved first, as far as the time goes; answers where the next run has to go
/// on. Bundles that wait for days would else hide those behind them.
async fn look_through(
    ctx: &Ctx,
    tick: &Tick,
    after: Option<Position>,
    reply: &mut Reply,
) -> Result<Option<Position>, Failure> {
    let mut page = PageRequest { after, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = ctx.table.query(&store::open_bundles(), &page).await?;
        for bundle in found.records {
            if tick.now.duration_since(bundle.value.moved_at).as_secs() < QUIET_S {
                // All behind this one have moved as recently.
                return Ok(None);
            }
            reply.looked_at += 1;
            match ctx.machine().is_running(&bundle.value.saga_request()).await {
                Ok(true) => {}
                Ok(false) => restart(ctx, tick, bundle, reply).await?,
                // One that cannot be looked up must not hide the others: the next run asks again.
                Err(_) => reply.unknown += 1,
            }
        }
        page.after = found.next;
        if page.after.is_none() {
            return Ok(None);
        }
        if table::deadline::left() < TIME_LEFT_MIN {
            break;
        }
    }
    tracing::warn!(looked_at = reply.looked_at, "not every open bundle could be looked at");
    Ok(page.after)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use events::{Event, SagaRequested};
    use jiff::SignedDuration;
    use table::Table;
    use testkit::{Engine, StepFunctions, TestTable};

    use super::*;
    use crate::fixtures::{by, cart, offer};
    use crate::machine::Machine;
    use crate::operations::{read_submission, submit};

    fn tick(after_s: i64) -> Tick {
        let now = testkit::now() + SignedDuration::from_secs(after_s);
        Tick { now, correlation_id: "test".to_owned() }
    }

    /// Bundles of as many students, oldest first.
    async fn bundles(ctx: &Ctx, count: i64) -> Vec<read_submission::BundleProgress> {
        let section = offer(&ctx.table, "a", |event| event.capacity = 1_000).await;
        let mut bundles = Vec::new();
        for number in 0..count {
            let mut call = by(&number.to_string(), cart(&[section]));
            call.now = testkit::now() + SignedDuration::from_secs(number);
            let reply = submit::handle(ctx, &call).await.expect("a seat is held");
            bundles.extend(reply.bundles);
        }
        bundles
    }

    #[tokio::test]
    async fn what_nobody_carries_is_started_again_and_the_rest_is_left() {
        let (test, machine) = (TestTable::new().await, StepFunctions::start().await);
        let ctx = Ctx::with_machine(&test, &machine);
        let bundles = bundles(&ctx, 3).await;
        let name = |at: usize| format!("{}-1", bundles[at].bundle);
        machine.refuse(&name(0), "AccessDeniedException");
        machine.run(&name(1));
        let young = handle(&ctx, &tick(QUIET_S - 3)).await.expect("reconciles");
        assert_eq!(young, Reply::default(), "their events may still be on their way");

        let reply = handle(&ctx, &tick(QUIET_S + 3)).await.expect("reconciles");
        assert_eq!((reply.looked_at, reply.unknown), (3, 1));
        assert_eq!(reply.restarted, [bundles[2].bundle]);
        let requests = testkit::published(&test.table).await;
        let attempts: Vec<_> = requests
            .iter()
            .filter(|event| event.name == SagaRequested::NAME)
            .filter(|event| event.data["attempt"] == 2)
            .map(|event| event.data["bundle"].clone())
            .collect();
        assert_eq!(attempts, [serde_json::json!(bundles[2].bundle)]);
    }

    #[tokio::test]
    async fn a_dead_saga_is_started_again_once_whatever_happens_on_the_wire() {
        let machine = StepFunctions::start().await;
        let machine = Machine::at(&machine.sdk_config(&Engine::start().await));
        let ctx =
            |table: &Table| Ctx { machine: machine.clone().into(), ..Ctx::new(table.clone()) };
        testkit::under_every_fault(
            async |table| bundles(&ctx(table), 1).await.remove(0),
            async |table, _| handle(&ctx(table), &tick(QUIET_S + 1)).await.map(drop),
            async |table, bundle| {
                let stored = store::bundle(table, bundle.submission, bundle.bundle).await;
                let stored = stored.expect("reads");
                assert_eq!((stored.version, stored.value.attempt), (2, 2));
                let told = crate::fixtures::told::<SagaRequested>(table).await;
                assert_eq!(told.iter().filter(|request| request.attempt == 2).count(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_run_that_had_no_time_for_all_is_followed_by_one_that_goes_on_there() {
        let (test, machine) = (TestTable::new().await, StepFunctions::start().await);
        let ctx = Ctx::with_machine(&test, &machine);
        let bundles = bundles(&ctx, 101).await;
        let (last, waiting) = bundles.split_last().expect("a hundred and one");
        for bundle in waiting {
            machine.run(&format!("{}-1", bundle.bundle));
        }
        let soon = tokio::time::Instant::now() + TIME_LEFT_MIN - Duration::from_millis(1);
        let (first, second) = (tick(QUIET_S + 101), tick(QUIET_S + 102));
        let hurried = table::deadline::within(soon, handle(&ctx, &first)).await;
        assert_eq!(hurried.expect("reconciles").looked_at, 100);
        let reply = handle(&ctx, &second).await.expect("reconciles");
        assert_eq!((reply.looked_at, reply.restarted), (1, vec![last.bundle]));
        let reply = handle(&ctx, &second).await.expect("reconciles");
        assert_eq!(reply.looked_at, 100, "it begins anew, and the one that moved is young");
    }
}
