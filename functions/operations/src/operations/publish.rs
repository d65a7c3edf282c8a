//! New outbox items on their way from a table's stream to the bus. What the bus did not take comes again.

use std::collections::HashSet;

use shell::{Failure, StreamRecord};
use table::OutboxItem;

use crate::Ctx;

pub async fn handle(ctx: &Ctx, records: Vec<StreamRecord>) -> Result<Vec<String>, Failure> {
    let items: Vec<&OutboxItem> = records.iter().map(|record| &record.item).collect();
    let mut again: HashSet<usize> = ctx.bus.put(&items).await;
    for (place, record) in records.iter().enumerate() {
        if again.contains(&place) {
            continue;
        }
        let table = ctx.outboxes.of(&record.table);
        if let Err(error) = table.forget_published(&record.item.pk, &record.item.sk).await {
            let cause = Failure::from(error);
            tracing::warn!(
                event = record.item.sk,
                error = cause.line(),
                "a published event was not forgotten"
            );
            again.insert(place);
        }
    }
    let mut places: Vec<usize> = again.into_iter().collect();
    places.sort_unstable();
    Ok(places.into_iter().map(|place| records[place].sequence_number.clone()).collect())
}

#[cfg(test)]
mod tests {
    use table::Table;
    use testkit::TestTable;

    use super::*;
    use crate::bus::{Bus, Outboxes};
    use crate::stub::{self, Stub};

    async fn waiting(table: &Table, count: u32) -> Vec<StreamRecord> {
        stub::write_events(table, count).await;
        stub::outbox(table)
            .await
            .into_iter()
            .enumerate()
            .map(|(at, item)| StreamRecord {
                sequence_number: at.to_string(),
                table: table.name().to_owned(),
                item,
            })
            .collect()
    }

    fn ctx(test: &TestTable, stub: &Stub) -> Ctx {
        Ctx {
            bus: Bus::at(&stub.config(), "matricula"),
            outboxes: Outboxes::of_tables(vec![test.table.clone()]),
            ..stub::ctx(&test.table)
        }
    }

    #[tokio::test]
    async fn what_the_bus_confirmed_is_forgotten_and_nothing_else() {
        let (test, stub) = (TestTable::new().await, Stub::start().await);
        let records = waiting(&test.table, 23).await;
        stub.refuse_event(&records[12].item.sk);
        let again = handle(&ctx(&test, &stub), records.clone()).await.expect("publishes");
        assert_eq!(again, [records[12].sequence_number.clone()]);
        let left = stub::outbox(&test.table).await;
        assert_eq!(left, [records[12].item.clone()]);
        let taken = stub.events();
        assert_eq!(taken.len(), 22);
        assert_eq!(taken[0]["Source"], "matricula.operations");
        assert_eq!(taken[0]["DetailType"], "operations.import.applied");
        assert_eq!(taken[0]["EventBusName"], "matricula");
        assert_eq!(stub.calls("PutEvents"), 3, "ten at a time");
    }

    #[tokio::test]
    async fn when_the_bus_does_not_answer_all_comes_again() {
        let (test, stub) = (TestTable::new().await, Stub::start().await);
        let records = waiting(&test.table, 3).await;
        stub.fail("PutEvents");
        let again = handle(&ctx(&test, &stub), records).await.expect("answers");
        assert_eq!(again, ["0", "1", "2"]);
        assert_eq!(stub::outbox(&test.table).await.len(), 3);
    }

    #[tokio::test]
    async fn events_are_published_and_forgotten_whatever_happens_on_the_wire() {
        let stub = Stub::start().await;
        testkit::under_every_fault_anew(
            async |table| waiting(table, 3).await,
            async |table, records| {
                let ctx = Ctx {
                    bus: Bus::at(&stub.config(), "matricula"),
                    outboxes: Outboxes::of_tables(vec![table.clone()]),
                    ..stub::ctx(table)
                };
                let again = handle(&ctx, records.clone()).await?;
                if again.is_empty() {
                    Ok(())
                } else {
                    Err(shell::Fault::outside("some come again", "as the stream would").into())
                }
            },
            async |table, _| assert_eq!(stub::outbox(table).await, []),
        )
        .await;
    }
}
