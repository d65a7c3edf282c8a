//! Every minute: events that the streams have left behind are published, so that none waits for ever.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;
use shell::{Failure, Fault, Tick};
use table::{OUTBOX_SHARDS, OutboxItem, Table};

use crate::Ctx;

/// Younger items are still on their way through the stream.
const LEFT_BEHIND_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Items of one shard in one sweep; the next sweep takes the rest.
const ITEMS_PER_SHARD_MAX: i32 = 100;

#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub published: u64,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut published = 0;
    let mut failed = None;
    for table in ctx.outboxes.all() {
        // One table's trouble does not keep the others waiting.
        match sweep(ctx, table, tick).await {
            Ok(count) => published += count,
            Err(failure) => {
                tracing::error!(table = table.name(), ?failure, "an outbox was not swept");
                failed = Some(failure);
            }
        }
    }
    if published > 0 {
        shell::telemetry::count("events_left_behind", published, ("operation", "sweep-outbox"));
    }
    failed.map_or(Ok(Reply { published }), Err)
}

async fn sweep(ctx: &Ctx, table: &Table, tick: &Tick) -> Result<u64, Failure> {
    let mut published = 0;
    let mut refused = 0;
    for shard in 0..OUTBOX_SHARDS {
        let items = table.outbox(shard, ITEMS_PER_SHARD_MAX).await?;
        let left_behind: Vec<&OutboxItem> = items
            .iter()
            .filter(|item| tick.now.duration_since(item.written_at) > LEFT_BEHIND_AFTER)
            .collect();
        let not_taken = ctx.bus.put(&left_behind).await;
        refused += not_taken.len();
        for (place, item) in left_behind.iter().enumerate() {
            if !not_taken.contains(&place) {
                table.forget_published(&item.pk, &item.sk).await?;
                published += 1;
            }
        }
    }
    if refused > 0 {
        return Err(Fault::outside("the bus did not take every event", format!("{refused}")).into());
    }
    Ok(published)
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
        assert_eq!(young, Reply { published: 0 });
        stub.fail("PutEvents");
        assert!(handle(&ctx, &tick(31)).await.is_err(), "it says that the bus did not answer");
        stub.mend();
        let swept = handle(&ctx, &tick(31)).await.expect("sweeps");
        assert_eq!(swept, Reply { published: 15 });
        assert_eq!(stub.events().len(), 15);
        assert_eq!(stub::outbox(&other).await, []);
        assert_eq!(handle(&ctx, &tick(99)).await.expect("sweeps"), Reply { published: 0 });
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
}
