//! What lies in an engine, read past its front: nothing is counted, and no fault is met.

use std::collections::HashMap;

use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::query::QueryRequest;
use dynoxide::actions::scan::ScanRequest;
use dynoxide::types::AttributeValue;
use events::Envelope;
use table::{OUTBOX_SHARDS, Table, outbox_partition};

use crate::Engine;

type Attributes = HashMap<String, AttributeValue>;

/// An item as it lies in the engine.
#[derive(Debug)]
pub struct EngineItem(Attributes);

impl EngineItem {
    /// The text of an attribute; empty where it has none of that name.
    pub fn text(&self, attribute: &str) -> &str {
        text(&self.0, attribute)
    }

    /// The text of a field of the record that it is; empty where it has none of that name.
    pub fn field(&self, name: &str) -> &str {
        match self.0.get("data") {
            Some(AttributeValue::M(record)) => text(record, name),
            _ => "",
        }
    }
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> &'a str {
    match attributes.get(name) {
        Some(AttributeValue::S(text)) => text,
        _ => "",
    }
}

fn key(pk: &str, sk: &str) -> Attributes {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

impl Engine {
    /// All items of a table.
    pub fn all_items(&self, table: &Table) -> Vec<EngineItem> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let request = ScanRequest {
                table_name: table.name().to_owned(),
                exclusive_start_key: after,
                ..Default::default()
            };
            let page = self.database.scan(request).expect("a table can be read");
            items.extend(page.items.unwrap_or_default().into_iter().map(EngineItem));
            after = page.last_evaluated_key;
            if after.is_none() {
                return items;
            }
        }
    }

    /// Takes every event out of the outbox, as the publisher would, in the order of their ids.
    pub fn publish(&self, table: &Table) -> Vec<Envelope> {
        let mut envelopes = Vec::new();
        for shard in 0..OUTBOX_SHARDS {
            let pk = outbox_partition(shard);
            for item in self.partition(table, &pk) {
                let detail = item.text("detail");
                let envelope: Envelope =
                    serde_json::from_str(detail).expect("an outbox item holds an envelope");
                let request = DeleteItemRequest {
                    table_name: table.name().to_owned(),
                    key: key(&pk, item.text("sk")),
                    ..Default::default()
                };
                self.database.delete_item(request).expect("an item can be deleted");
                envelopes.push(envelope);
            }
        }
        envelopes.sort_by(|one, other| one.id.cmp(&other.id));
        envelopes
    }

    fn partition(&self, table: &Table, pk: &str) -> Vec<EngineItem> {
        let pk = AttributeValue::S(pk.to_owned());
        let request = QueryRequest {
            table_name: table.name().to_owned(),
            key_condition_expression: Some("pk = :pk".to_owned()),
            expression_attribute_values: Some(HashMap::from([(":pk".to_owned(), pk)])),
            scan_index_forward: true,
            ..Default::default()
        };
        let page = self.database.query(request).expect("a partition can be read");
        assert!(page.last_evaluated_key.is_none(), "it fits on one page");
        page.items.unwrap_or_default().into_iter().map(EngineItem).collect()
    }
}
