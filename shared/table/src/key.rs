//! Typed keys: a key says which record stands behind it, so that a read cannot ask for the wrong one.

use std::collections::HashMap;
use std::marker::PhantomData;

use aws_sdk_dynamodb::types::AttributeValue;

/// The primary key of a record of type `R`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Key<R> {
    pub(crate) pk: String,
    pub(crate) sk: String,
    record: PhantomData<fn() -> R>,
}

impl<R> Key<R> {
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into(), record: PhantomData }
    }

    pub(crate) fn attributes(&self) -> HashMap<String, AttributeValue> {
        key_attributes(&self.pk, &self.sk)
    }
}

impl<R> Clone for Key<R> {
    fn clone(&self) -> Self {
        Self::new(self.pk.clone(), self.sk.clone())
    }
}

pub(crate) fn key_attributes(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
        ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
    ])
}

/// Records of type `R` that lie together and can be paged through, in the order of their sort keys.
#[derive(Debug, Clone)]
pub struct Partition<R> {
    pub(crate) in_index: bool,
    pub(crate) pk: String,
    pub(crate) sk_prefix: String,
    pub(crate) newest_first: bool,
    record: PhantomData<fn() -> R>,
}

impl<R> Partition<R> {
    /// In the table itself: every sort key that begins with `sk_prefix`.
    pub fn new(pk: impl Into<String>, sk_prefix: impl Into<String>) -> Self {
        Self {
            in_index: false,
            pk: pk.into(),
            sk_prefix: sk_prefix.into(),
            newest_first: false,
            record: PhantomData,
        }
    }

    /// In the index `gsi1`, which follows the table within moments.
    pub fn in_index(pk: impl Into<String>, sk_prefix: impl Into<String>) -> Self {
        Self { in_index: true, ..Self::new(pk, sk_prefix) }
    }

    /// Descending instead of ascending.
    #[must_use]
    pub fn newest_first(self) -> Self {
        Self { newest_first: true, ..self }
    }
}
