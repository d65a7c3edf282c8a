//! From the outboxes of all contexts to the event bus: an item is deleted only after the bus has confirmed its event.

use std::collections::HashSet;
use std::sync::OnceLock;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_types::SdkConfig;
use shell::Fault;
use table::{OutboxItem, Table};

/// EventBridge's own limits of one call.
const ENTRIES_MAX: usize = 10;
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The event bus `matricula`.
#[derive(Debug)]
pub struct Bus {
    place: OnceLock<(Client, String)>,
}

impl Bus {
    pub fn from_environment() -> Self {
        Self { place: OnceLock::new() }
    }

    pub fn at(config: &SdkConfig, name: &str) -> Self {
        Self { place: OnceLock::from((Client::new(config), name.to_owned())) }
    }

    fn place(&self) -> &(Client, String) {
        self.place.get_or_init(|| {
            (Client::new(shell::aws::sdk_config()), shell::required_environment("BUS_NAME"))
        })
    }

    /// Puts the events on the bus, in their order; answers the places of those that it did not take.
    pub async fn put(&self, items: &[&OutboxItem]) -> HashSet<usize> {
        let mut refused = HashSet::new();
        for (first, count) in batches(items) {
            match self.put_batch(&items[first..first + count]).await {
                Ok(places) => refused.extend(places.into_iter().map(|place| first + place)),
                Err(fault) => {
                    tracing::error!(error = fault.chain(), "a batch of events was not taken");
                    refused.extend(first..first + count);
                }
            }
        }
        refused
    }

    async fn put_batch(&self, items: &[&OutboxItem]) -> Result<Vec<usize>, Fault> {
        let (client, bus) = self.place();
        let entries = items.iter().map(|item| entry(item, bus)).collect();
        let reply = client
            .put_events()
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| Fault::outside("the bus did not answer", error))?;
        let results = reply.entries();
        let refused: Vec<usize> = (0..items.len())
            .filter(|place| results.get(*place).is_none_or(|result| result.event_id().is_none()))
            .collect();
        for place in &refused {
            let code = results.get(*place).and_then(|result| result.error_code());
            tracing::warn!(event = items[*place].sk, code, "the bus did not take an event");
        }
        Ok(refused)
    }
}

fn context_of(item: &OutboxItem) -> &str {
    item.name.split('.').next().unwrap_or_default()
}

fn entry(item: &OutboxItem, bus: &str) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder()
        .event_bus_name(bus)
        .source(format!("matricula.{}", context_of(item)))
        .detail_type(&item.name)
        .detail(&item.detail)
        .build()
}

/// What EventBridge counts of an entry: detail, detail type and source.
fn bytes_of(item: &OutboxItem) -> usize {
    item.detail.len() + item.name.len() + "matricula.".len() + context_of(item).len()
}

/// First place and number of each batch. What is too large for any batch stands alone, and is refused alone.
fn batches(items: &[&OutboxItem]) -> Vec<(usize, usize)> {
    let mut batches: Vec<(usize, usize)> = Vec::new();
    let mut bytes = 0;
    for (place, item) in items.iter().enumerate() {
        let own = bytes_of(item);
        match batches.last_mut() {
            Some((_, count)) if *count < ENTRIES_MAX && bytes + own <= BATCH_BYTES_MAX => {
                *count += 1;
                bytes += own;
            }
            _ => {
                batches.push((place, 1));
                bytes = own;
            }
        }
    }
    batches
}

/// The tables of all contexts, as far as their outboxes.
#[derive(Debug)]
pub struct Outboxes {
    client: OnceLock<aws_sdk_dynamodb::Client>,
    tables: OnceLock<Vec<Table>>,
}

impl Outboxes {
    pub fn from_environment() -> Self {
        Self { client: OnceLock::new(), tables: OnceLock::new() }
    }

    pub fn of_tables(tables: Vec<Table>) -> Self {
        Self { client: OnceLock::new(), tables: OnceLock::from(tables) }
    }

    /// The table of that name.
    pub fn of(&self, name: &str) -> Table {
        let known = self.tables.get().and_then(|all| all.iter().find(|table| table.name() == name));
        known.cloned().unwrap_or_else(|| self.table(name))
    }

    /// Every context's table.
    pub fn all(&self) -> &[Table] {
        self.tables.get_or_init(|| {
            let names = shell::required_environment("TABLE_NAMES");
            names.split(',').map(|name| self.table(name.trim())).collect()
        })
    }

    fn table(&self, name: &str) -> Table {
        let client = || aws_sdk_dynamodb::Client::new(shell::aws::sdk_config());
        Table::new(self.client.get_or_init(client).clone(), name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(bytes: usize) -> OutboxItem {
        OutboxItem {
            pk: "OUTBOX#0".to_owned(),
            sk: "catalog.term.created:trm_1:1".to_owned(),
            detail: "x".repeat(bytes),
            name: "catalog.term.created".to_owned(),
            written_at: testkit::now(),
        }
    }

    fn sizes(items: &[OutboxItem]) -> Vec<usize> {
        let items: Vec<&OutboxItem> = items.iter().collect();
        batches(&items).into_iter().map(|(_, count)| count).collect()
    }

    #[test]
    fn a_batch_has_at_most_ten_entries_and_256_kb() {
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&vec![item(10); 23]), [10, 10, 3]);
        assert_eq!(sizes(&vec![item(100 * 1024); 5]), [2, 2, 1]);
    }

    #[test]
    fn what_is_too_large_for_any_batch_stands_alone() {
        assert_eq!(sizes(&[item(10), item(300 * 1024), item(10), item(10)]), [1, 1, 2]);
    }
}
