//! Reading: one record, several at once, or a page of a list. Always consistent, but for lists from the index.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use serde::{Deserialize, Serialize};

use crate::failure::read_failure;
use crate::key::key_attributes;
use crate::record::{Item, from_item};
use crate::{Key, Partition, ReadFailure, Record, Stored, Table, deadline};

/// Where a page ended: the next one starts behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(BTreeMap<String, String>);

impl Position {
    /// Behind the item with this key of the table.
    pub(crate) fn behind((pk, sk): (String, String)) -> Self {
        Self(BTreeMap::from([("pk".to_owned(), pk), ("sk".to_owned(), sk)]))
    }

    /// Behind this record in the list of the index in which it stood when it was read; none where it stood in none.
    pub fn in_index<R: Record>(record: &R) -> Option<Self> {
        let (gsi1pk, gsi1sk) = record.index_key()?;
        let (pk, sk) = (&record.key()).into();
        let fields = [("pk", pk), ("sk", sk), ("gsi1pk", gsi1pk), ("gsi1sk", gsi1sk)];
        Some(Self(fields.map(|(name, text)| (name.to_owned(), text)).into()))
    }
}

#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    pub after: Option<Position>,
    /// Number of records, 1 to 100; 0 means the default of 50.
    pub limit: u32,
}

impl PageRequest {
    pub const LIMIT_MAX: u32 = 100;
    const LIMIT_DEFAULT: u32 = 50;

    fn limit(&self) -> i32 {
        let limit =
            if self.limit == 0 { Self::LIMIT_DEFAULT } else { self.limit.min(Self::LIMIT_MAX) };
        i32::try_from(limit).expect("at most 100")
    }
}

#[derive(Debug)]
pub struct Page<R> {
    pub records: Vec<Stored<R>>,
    /// Absent on the last page.
    pub next: Option<Position>,
}

/// Records of different kinds, read in one call.
#[derive(Debug, Default)]
pub struct Batch {
    items: HashMap<(String, String), Item>,
}

impl Batch {
    fn insert_all(&mut self, items: impl IntoIterator<Item = Item>) {
        for item in items {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
            if let (Some(pk), Some(sk)) = (text("pk"), text("sk")) {
                self.items.insert((pk, sk), item);
            }
        }
    }

    /// The record behind `key`, or none where there is none. Each can be taken once.
    pub fn take<R: Record>(&mut self, key: &Key<R>) -> Result<Option<Stored<R>>, ReadFailure> {
        self.items.remove(&(key.pk.clone(), key.sk.clone())).map(from_item).transpose()
    }

    /// Every record whose sort key begins with `sk_prefix`, in the order of the sort keys.
    pub fn take_all<R: Record>(&mut self, sk_prefix: &str) -> Result<Vec<Stored<R>>, ReadFailure> {
        let mut keys: Vec<_> =
            self.items.keys().filter(|(_, sk)| sk.starts_with(sk_prefix)).cloned().collect();
        keys.sort();
        keys.iter().filter_map(|key| self.items.remove(key)).map(from_item).collect()
    }
}

/// DynamoDB's own limit of keys in one batch.
const BATCH_KEYS_MAX: usize = 100;
const BATCH_ROUNDS_MAX: u32 = 5;
/// A query answers with 1 MB at most: what is larger than 16 MB is no collection that belongs together.
const COLLECTION_CALLS_MAX: u32 = 16;

impl Table {
    pub async fn get<R: Record>(&self, key: &Key<R>) -> Result<Option<Stored<R>>, ReadFailure> {
        let reply = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(read_failure)?;
        reply.item.map(from_item).transpose()
    }

    /// Reads several records in one call. `keys` are pairs that [`Table::keys`] makes.
    pub async fn get_batch(&self, keys: Vec<(String, String)>) -> Result<Batch, ReadFailure> {
        assert!(keys.len() <= BATCH_KEYS_MAX, "a batch reads at most {BATCH_KEYS_MAX} keys");
        let mut batch = Batch::default();
        let mut wanted: Vec<Item> = keys.iter().map(|(pk, sk)| key_attributes(pk, sk)).collect();
        for round in 0..BATCH_ROUNDS_MAX {
            if wanted.is_empty() {
                return Ok(batch);
            }
            if round > 0 {
                deadline::back_off(round).await.ok_or(ReadFailure::Throttled)?;
            }
            let request = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .expect("keys are set");
            let reply = self
                .client
                .batch_get_item()
                .request_items(&self.name, request)
                .send()
                .await
                .map_err(read_failure)?;
            batch.insert_all(reply.responses.unwrap_or_default().into_values().flatten());
            wanted = reply
                .unprocessed_keys
                .unwrap_or_default()
                .into_values()
                .flat_map(|left| left.keys)
                .collect();
        }
        if wanted.is_empty() { Ok(batch) } else { Err(ReadFailure::Throttled) }
    }

    /// Everything that lies under one partition key: things of several kinds that belong together, in one call for each
    /// megabyte of them.
    pub async fn get_collection(&self, pk: &str) -> Result<Batch, ReadFailure> {
        let mut batch = Batch::default();
        let mut behind = None;
        for _ in 0..COLLECTION_CALLS_MAX {
            let reply = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .set_exclusive_start_key(behind)
                .send()
                .await
                .map_err(read_failure)?;
            batch.insert_all(reply.items.unwrap_or_default());
            behind = reply.last_evaluated_key;
            if behind.is_none() {
                return Ok(batch);
            }
        }
        let why = format!("it does not end within {COLLECTION_CALLS_MAX} calls");
        Err(ReadFailure::Unreadable { kind: "collection", why })
    }

    /// A page of a list.
    pub async fn query<R: Record>(
        &self,
        partition: &Partition<R>,
        page: &PageRequest,
    ) -> Result<Page<R>, ReadFailure> {
        let (items, next) = self.query_items(partition, page).await?;
        let records = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok(Page { records, next })
    }

    /// A page of a list, and what of it cannot be read: one item that cannot stops no other.
    pub async fn query_readable<R: Record>(
        &self,
        partition: &Partition<R>,
        page: &PageRequest,
    ) -> Result<(Page<R>, Vec<ReadFailure>), ReadFailure> {
        let (items, next) = self.query_items(partition, page).await?;
        let (mut records, mut unreadable) = (Vec::new(), Vec::new());
        for item in items {
            match from_item(item) {
                Ok(stored) => records.push(stored),
                Err(failure) => unreadable.push(failure),
            }
        }
        Ok((Page { records, next }, unreadable))
    }

    /// A page of a list, item by item as they lie there.
    pub(crate) async fn query_items<R>(
        &self,
        partition: &Partition<R>,
        page: &PageRequest,
    ) -> Result<(Vec<Item>, Option<Position>), ReadFailure> {
        let (pk, sk) = if partition.in_index { ("gsi1pk", "gsi1sk") } else { ("pk", "sk") };
        let within = if partition.sk_prefix.is_empty() {
            String::new()
        } else {
            format!(" AND begins_with({sk}, :prefix)")
        };
        let mut values =
            HashMap::from([(":pk".to_owned(), AttributeValue::S(partition.pk.clone()))]);
        if !partition.sk_prefix.is_empty() {
            values.insert(":prefix".to_owned(), AttributeValue::S(partition.sk_prefix.clone()));
        }
        let start =
            page.after.as_ref().map(|position| start_key(position, partition)).transpose()?;
        let reply = self
            .client
            .query()
            .table_name(&self.name)
            .set_index_name(partition.in_index.then(|| "gsi1".to_owned()))
            .consistent_read(!partition.in_index)
            .key_condition_expression(format!("{pk} = :pk{within}"))
            .set_expression_attribute_values(Some(values))
            .scan_index_forward(!partition.newest_first)
            .limit(page.limit())
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(read_failure)?;
        Ok((reply.items.unwrap_or_default(), reply.last_evaluated_key.map(position_of)))
    }

    /// One cheap read that proves the table answers.
    pub async fn answers(&self) -> Result<(), ReadFailure> {
        self.client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key_attributes("READINESS", "READINESS")))
            .send()
            .await
            .map_err(read_failure)?;
        Ok(())
    }
}

impl<R> From<&Key<R>> for (String, String) {
    fn from(key: &Key<R>) -> Self {
        (key.pk.clone(), key.sk.clone())
    }
}

fn position_of(key: Item) -> Position {
    let text = |value: AttributeValue| match value {
        AttributeValue::S(text) => text,
        _ => String::new(),
    };
    Position(key.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// A position of another list would read where the caller has no business.
fn start_key<R>(position: &Position, partition: &Partition<R>) -> Result<Item, ReadFailure> {
    let (pk, sk) = if partition.in_index { ("gsi1pk", "gsi1sk") } else { ("pk", "sk") };
    let lies_in = position.0.get(pk) == Some(&partition.pk)
        && position.0.get(sk).is_some_and(|sk| sk.starts_with(&partition.sk_prefix));
    if !lies_in {
        return Err(ReadFailure::WrongPosition);
    }
    Ok(position
        .0
        .iter()
        .map(|(name, text)| (name.clone(), AttributeValue::S(text.clone())))
        .collect())
}
