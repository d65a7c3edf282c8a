//! Events lie in the table until they are published: written with the state they tell of, deleted once the bus has
//! them.

use aws_sdk_dynamodb::types::AttributeValue;
use events::Envelope;
use jiff::Timestamp;

use crate::failure::read_failure;
use crate::key::key_attributes;
use crate::record::Item;
use crate::{ReadFailure, Table};

/// Outbox items are spread over this many partitions, so that no partition's write limit bounds the context.
pub const OUTBOX_SHARDS: u32 = 8;

/// Partition key of an outbox shard; the stream filter of the publisher knows the prefix.
pub fn outbox_partition(shard: u32) -> String {
    format!("OUTBOX#{shard}")
}

fn shard_of(event_id: &str) -> u32 {
    event_id.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)))
        % OUTBOX_SHARDS
}

/// An event that waits to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxItem {
    pub pk: String,
    pub sk: String,
    /// The envelope as JSON, exactly as it will be published.
    pub detail: String,
    pub name: String,
    pub written_at: Timestamp,
}

impl OutboxItem {
    pub(crate) fn of(envelope: &Envelope) -> Self {
        Self {
            pk: outbox_partition(shard_of(&envelope.id)),
            sk: envelope.id.clone(),
            detail: serde_json::to_string(envelope).expect("an envelope is JSON"),
            name: envelope.name.clone(),
            written_at: envelope.occurred_at,
        }
    }

    pub(crate) fn into_item(self) -> Item {
        let mut item = key_attributes(&self.pk, &self.sk);
        item.insert("kind".to_owned(), AttributeValue::S("outbox".to_owned()));
        item.insert("name".to_owned(), AttributeValue::S(self.name));
        item.insert("detail".to_owned(), AttributeValue::S(self.detail));
        item.insert("written_at".to_owned(), AttributeValue::S(self.written_at.to_string()));
        item
    }

    fn from_item(item: &Item) -> Result<Self, ReadFailure> {
        let text = |name: &str| {
            item.get(name).and_then(|value| value.as_s().ok()).cloned().ok_or_else(|| {
                ReadFailure::Unreadable { kind: "outbox", why: format!("no {name}") }
            })
        };
        let written_at = text("written_at")?.parse().map_err(|error: jiff::Error| {
            ReadFailure::Unreadable { kind: "outbox", why: error.to_string() }
        })?;
        Ok(Self {
            pk: text("pk")?,
            sk: text("sk")?,
            detail: text("detail")?,
            name: text("name")?,
            written_at,
        })
    }
}

impl Table {
    /// Up to `limit` events of one shard that nobody has published yet, in the order of their ids behind `after`.
    pub async fn outbox(
        &self,
        shard: u32,
        after: Option<&OutboxItem>,
        limit: i32,
    ) -> Result<Vec<OutboxItem>, ReadFailure> {
        let reply = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(outbox_partition(shard)))
            .consistent_read(true)
            .set_exclusive_start_key(after.map(|item| key_attributes(&item.pk, &item.sk)))
            .limit(limit)
            .send()
            .await
            .map_err(read_failure)?;
        reply.items().iter().map(OutboxItem::from_item).collect()
    }

    /// Forgets an event that the bus has taken. Forgetting twice changes nothing.
    pub async fn forget_published(&self, pk: &str, sk: &str) -> Result<(), ReadFailure> {
        self.client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key_attributes(pk, sk)))
            .send()
            .await
            .map_err(read_failure)?;
        Ok(())
    }
}
