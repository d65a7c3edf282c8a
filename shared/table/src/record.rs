//! How a Rust value lies in the table: keys and bookkeeping beside it, the value itself under `data`.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Key, ReadFailure};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// A value that is kept in the table.
pub trait Record: Serialize + DeserializeOwned {
    /// Written on the item, and compared when it is read.
    const KIND: &'static str;
    /// Raised when the stored form changes; an item of another schema is never guessed at.
    const SCHEMA: u32;
    /// Earlier schemas of which every item that can be read at all reads as one of this schema does.
    const ALSO_READS: &'static [u32] = &[];

    fn key(&self) -> Key<Self>;

    /// Key in the index `gsi1`; absent when the record is not listed there (any longer).
    fn index_key(&self) -> Option<(String, String)> {
        None
    }

    /// From when on DynamoDB may collect the item as garbage. Never decides anything.
    fn collectable_at(&self) -> Option<Timestamp> {
        None
    }
}

/// A record as read, with the version that a later write must still find.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<R> {
    pub value: R,
    /// 1 when created, one more with every write.
    pub version: u64,
}

pub(crate) fn to_item<R: Record>(record: &R, version: u64) -> Item {
    let Key { pk, sk, .. } = record.key();
    let data = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(record)
        .expect("a record is made of maps, lists, text, numbers and booleans");
    let mut item = HashMap::from([
        ("pk".to_owned(), AttributeValue::S(pk)),
        ("sk".to_owned(), AttributeValue::S(sk)),
        ("kind".to_owned(), AttributeValue::S(R::KIND.to_owned())),
        ("schema".to_owned(), AttributeValue::N(R::SCHEMA.to_string())),
        ("version".to_owned(), AttributeValue::N(version.to_string())),
        ("data".to_owned(), data),
    ]);
    if let Some((pk, sk)) = record.index_key() {
        item.insert("gsi1pk".to_owned(), AttributeValue::S(pk));
        item.insert("gsi1sk".to_owned(), AttributeValue::S(sk));
    }
    if let Some(at) = record.collectable_at() {
        item.insert("expires_at".to_owned(), AttributeValue::N(at.as_second().to_string()));
    }
    item
}

pub(crate) fn from_item<R: Record>(mut item: Item) -> Result<Stored<R>, ReadFailure> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
    let number =
        |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse::<u64>().ok());
    let unreadable = |why: String| ReadFailure::Unreadable { kind: R::KIND, why };
    if text("kind") != Some(R::KIND) {
        return Err(unreadable(format!("the item is a {:?}", text("kind"))));
    }
    let is_read = |schema: u64| {
        R::ALSO_READS.iter().chain([&R::SCHEMA]).any(|read| u64::from(*read) == schema)
    };
    if !number("schema").is_some_and(is_read) {
        return Err(unreadable(format!("the item has schema {:?}", number("schema"))));
    }
    let version = number("version").ok_or_else(|| unreadable("the item has no version".into()))?;
    let data = item.remove("data").ok_or_else(|| unreadable("the item has no data".into()))?;
    // The place alone: what serde says of it quotes the value, which may be personal.
    let data = serde_dynamo::Deserializer::from_attribute_value(data.into());
    let value = serde_path_to_error::deserialize(data)
        .map_err(|error| unreadable(format!("{} is not as expected", error.path())))?;
    Ok(Stored { value, version })
}
