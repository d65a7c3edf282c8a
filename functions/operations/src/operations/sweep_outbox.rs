//! Every minute: events that the streams have left behind are published, so that none waits for ever.

use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;
use shell::{Failure, Fault, Tick};
use table::{OUTBOX_SHARDS, OutboxItem, Table, deadline};

use crate::Ctx;

/// Younger items are still on their way through the stream.
const LEFT_BEHIND_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Items read in one call.
const PAGE: i32 = 100;
/// What publishing a page, and the reply, may take.
const TIME_LEFT_MIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub published: u64,
    /// Not taken by the bus, or not forgotten by the table: the next sweep publishes them again.
    pub left: u64,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let mut failed = None;
    for table in in_turn(ctx.outboxes.all(), tick) {
        // One table's trouble does not keep the others waiting.
        if let Err(failure) = sweep(ctx, table, tick, &mut reply).await {
            tracing::error!(
                table = table.name(),
                error = failure.line(),
                "an outbox was not swept"
            );
            failed = Some(failure);
        }
    }
    if reply.published > 0 {
        shell::telemetry::count(
            "events_left_behind",
            reply.published,
            ("operation", "sweep-outbox"),
        );
    }
    match failed {
        Some(failure) => Err(failure),
        None if reply.left > 0 => {
            let left = format!("{} events are left", reply.left);
            Err(Fault::outside("not every event could be published", left).into())
        }
        None => Ok(reply),
    }
}

/// All of them; each minute another one is the first, so that what is full does not take all of every sweep's time.
fn in_turn<'t, T>(all: &'t [T], tick: &Tick) -> impl Iterator<Item = &'t T> {
    let minute = usize::try_from(tick.now.as_second() / 60).unwrap_or_default();
    let first = minute % all.len().max(1);
    all[first..].iter().chain(&all[..first])
}

async fn sweep(ctx: &Ctx, table: &Table, tick: &Tick, reply: &mut Reply) -> Result<(), Failure> {
    let shards: Vec<u32> = (0..OUTBOX_SHARDS).collect();
    for shard in in_turn(&shards, tick) {
        let mut last: Option<OutboxItem> = None;
        loop {
            if deadline::left() < TIME_LEFT_MIN {
                return Err(Fault::outside("the sweep ran out of time", "the rest waits").into());
            }
            let items = table.outbox(*shard, last.as_ref(), PAGE).await?;
            if items.is_empty() {
                break;
            }
            publish(ctx, table, tick, &items, reply).await;
            last = items.last().cloned();
        }
    }
    Ok(())
}

async fn publish(ctx: &Ctx, table: &Table, tick: &Tick, items: &[OutboxItem], reply: &mut Reply) {
    let is_left_behind =
        |item: &&OutboxItem| tick.now.duration_since(item.written_at) > LEFT_BEHIND_AFTER;
    let left_behind: Vec<&OutboxItem> = items.iter().filter(is_left_behind).collect();
    let not_taken = ctx.bus.put(&left_behind).await;
    for (place, item) in left_behind.iter().enumerate() {
        if not_taken.contains(&place) {
            reply.left += 1;
            continue;
        }
        match table.forget_published(&item.pk, &item.sk).await.map_err(Failure::from) {
            Ok(()) => reply.published += 1,
            Err(failure) => {
                tracing::warn!(event = item.sk, error = failure.line(), "published, not forgotten");
                reply.left += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use testkit::TestTable;

    use super::*;
    use crate::bus::{Bus, Outboxes};
    use crate::stub::{self, Stub};

    fn tick(seconds: i64) -> Tick {
        let now = testkit::now() + SignedDuration::from_secs(seconds);
        Tick { now, correlation_id: "test".to_owned() }
    }

    #[tokio::test]
    async fn what_the_stream_left_behind_is_published_and_what_is_young_is_left() {
        let (test, stub) = (TestTable::new().await, Stub::start().await);
        let other = test.engine.table("other").await;
        stub::write_events(&test.table, 12).await;
        stub::write_events(&other, 3).await;
        let ctx = Ctx {
            bus: Bus::at(&stub.config(), "matricula"),
            outboxes: Outboxes::of_tables(vec![test.table.clone(), other.clone()]),
            ..stub::ctx(&test.table)
        };
        let young = handle(&ctx, &tick(30)).await.expect("sweeps");
        assert_eq!(young, Reply::default());
        stub.fail("PutEvents");
        assert!(handle(&ctx, &tick(31)).await.is_err(), "it says that the bus did not answer");
        stub.mend();
        let swept = handle(&ctx, &tick(31)).await.expect("sweeps");
        assert_eq!(swept, Reply { published: 15, left: 0 });
        assert_eq!(stub.events().len(), 15);
        assert_eq!(stub::outbox(&other).await, []);
        assert_eq!(handle(&ctx, &tick(99)).await.expect("sweeps"), Reply::default());
    }

    #[tokio::test]
    async fn the_outbox_is_swept_whatever_happens_on_the_wire() {
        let stub = Stub::start().await;
        testkit::under_every_fault(
            async |table| stub::write_events(table, 2).await,
            async |table, ()| {
                let ctx = Ctx {
                    bus: Bus::at(&stub.config(), "matricula"),
                    outboxes: Outboxes::of_tables(vec![table.clone()]),
                    ..stub::ctx(table)
                };
                handle(&ctx, &tick(60)).await.map(drop)
            },
            async |table, ()| assert_eq!(stub::outbox(table).await, []),
        )
        .await;
    }

    #[tokio::test]
    async fn what_the_bus_never_takes_hides_nothing_that_lies_behind_it() {
        let (test, stub) = (TestTable::new().await, Stub::start().await);
        stub::write_events(&test.table, 1_000).await;
        let waiting = stub::outbox(&test.table).await;
        let full = waiting.iter().filter(|item| item.pk == waiting[0].pk).count();
        assert!(full > usize::try_from(PAGE).expect("small"), "one page is not enough: {full}");
        let ctx = Ctx { bus: Bus::at(&stub.config(), "matricula"), ..stub::ctx(&test.table) };
        stub.refuse_event(&waiting[0].sk);
        assert!(handle(&ctx, &tick(60)).await.is_err(), "it says that one is left");
        let left = stub::outbox(&test.table).await;
        assert_eq!(left, [waiting[0].clone()]);
    }
}
