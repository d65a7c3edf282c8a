//! One typed DynamoDB table per context: keys, get, query, page, and one transaction that carries the new state
//! together with its events and its idempotency record.

mod audit;
mod audit_proof;
pub mod deadline;
mod failure;
mod key;
mod outbox;
mod read;
mod record;
mod transaction;

pub use audit::{
    Act, Actor, AuditEntry, AuditHead, Deed, FieldChange, Noted, Trail, audit_chain, audit_of_actor,
};
pub use audit_proof::{AuditBreak, AuditFlaw, AuditRound, AuditWalk, Walked};
pub use failure::{CommitFailure, ReadFailure};
pub use key::{Key, Partition};
pub use outbox::{OUTBOX_SHARDS, OutboxItem, outbox_partition};
pub use read::{Batch, Page, PageRequest, Position};
pub use record::{Record, Stored};
pub use transaction::{Change, Field, IdempotencyKey, Place, StoredReply, Transaction};

use aws_sdk_dynamodb::Client;

/// One context's table. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}
