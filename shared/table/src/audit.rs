//! The audit trail: who did what to which record. Each chain (one for every person concerned, and for whatever else
//! the staff decide about) holds entries that are never changed, each with the hash of the one before, and a head that
//! says how many there are and how the last one is hashed. Entry and head are written in the transaction of the change
//! itself.

use std::collections::BTreeSet;
use std::fmt;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Batch, Key, Partition, ReadFailure, Record, Stored, Table, Transaction};

/// Goes into every hash: raised if what is hashed is ever written in another way.
const FORM: &str = "matricula-audit-1";
/// Heads are listed in this many partitions of the index, so that no partition's write limit bounds the context.
pub(crate) const HEAD_SHARDS: u32 = 8;
const INDEX_PREFIX: &str = "AUDIT-BY";

/// Who did something: a person or a service client, by its id, or the system itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(String);

impl Actor {
    pub fn named(id: impl fmt::Display) -> Self {
        Self(id.to_string())
    }

    /// A schedule, an import, or an operator: the operation says which.
    pub fn system() -> Self {
        Self("system".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who acts, by which operation, and when.
#[derive(Debug, Clone)]
pub struct Deed<'a> {
    pub actor: Actor,
    pub operation: &'a str,
    pub at: Timestamp,
    pub correlation_id: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Changed,
    Read,
}

/// A field's value before and after, each absent where there was none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Values stand in the trail alone: they do not reach a log.
impl fmt::Debug for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldChange({}, …)", self.field)
    }
}

/// What was done to one record.
#[derive(Clone)]
pub struct Noted {
    act: Act,
    record: String,
    changes: Vec<FieldChange>,
    reason: Option<String>,
}

impl Noted {
    pub fn change(record: impl fmt::Display) -> Self {
        Self { act: Act::Changed, record: record.to_string(), changes: Vec::new(), reason: None }
    }

    pub fn read(record: impl fmt::Display) -> Self {
        Self { act: Act::Read, ..Self::change(record) }
    }

    /// A field with its value before and after; one that stays as it is, is left out.
    #[must_use]
    pub fn field<V: PartialEq + fmt::Display>(
        mut self,
        field: &str,
        old: Option<V>,
        new: Option<V>,
    ) -> Self {
        if old != new {
            let [old, new] = [old, new].map(|value| value.map(|value| value.to_string()));
            self.changes.push(FieldChange { field: field.to_owned(), old, new });
        }
        self
    }

    /// Every field that a record has in JSON, with its value before and after.
    #[must_use]
    pub fn fields_of<R: Serialize>(self, old: Option<&R>, new: &R) -> Self {
        let fields = |record: &R| {
            let record = serde_json::to_value(record).expect("a record is JSON");
            record.as_object().cloned().expect("a record has fields")
        };
        let told = |value: Option<&Value>| match value? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let (old, new) = (old.map(fields).unwrap_or_default(), fields(new));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        names
            .into_iter()
            .fold(self, |noted, name| noted.field(name, told(old.get(name)), told(new.get(name))))
    }

    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }
}

/// One entry of a chain, as it stands for good.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub chain: String,
    /// 1 for the first entry of the chain.
    pub sequence: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub operation: String,
    pub act: Act,
    pub record: String,
    pub changes: Vec<FieldChange>,
    pub reason: Option<String>,
    pub correlation_id: String,
    /// The hash of the entry before; of the first one, 64 zeros.
    pub previous: String,
    pub hash: String,
}

impl fmt::Debug for AuditEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditEntry({} {}, …)", self.chain, self.sequence)
    }
}

impl AuditEntry {
    /// SHA-256 in hex over a JSON array without blanks: the form's name, then the fields in the order in which they
    /// are declared, without the hash itself; the time in UTC as RFC 3339 writes it, each change as
    /// `[field, old, new]`, what is absent as null. JavaScript's `JSON.stringify` writes the same.
    pub fn digest(&self) -> String {
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|change| json!([change.field, change.old, change.new]))
            .collect();
        let form = json!([
            FORM,
            self.chain,
            self.sequence,
            self.at.to_string(),
            self.actor,
            self.operation,
            self.act,
            self.record,
            changes,
            self.reason,
            self.correlation_id,
            self.previous,
        ]);
        HEXLOWER.encode(&Sha256::digest(form.to_string()))
    }
}

impl Record for AuditEntry {
    const KIND: &'static str = "audit-entry";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(chain_pk(&self.chain), entry_sk(self.sequence))
    }

    /// Listed to whoever asks what its actor did on that day.
    fn index_key(&self) -> Option<(String, String)> {
        let day = self.at.to_string().chars().take(10).collect::<String>();
        // Written to the nanosecond: a time with fewer digits would sort behind a later one.
        let place = format!("{:.9}#{}#{:012}", self.at, self.chain, self.sequence);
        Some((deeds_pk(&self.actor, &day), place))
    }
}

/// How far a chain goes: an entry that is cut off at its end is missed by this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    pub chain: String,
    pub entries: u64,
    /// The hash of the last entry.
    pub hash: String,
}

impl AuditHead {
    pub(crate) fn before_all(chain: &str) -> Self {
        Self { chain: chain.to_owned(), entries: 0, hash: "0".repeat(64) }
    }
}

impl Record for AuditHead {
    const KIND: &'static str = "audit-head";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        head_key(&self.chain)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let shard = self
            .chain
            .bytes()
            .fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)))
            % HEAD_SHARDS;
        Some((heads_pk(shard), self.chain.clone()))
    }
}

/// The end of one chain, as it was read: the place where the next entry goes.
#[derive(Debug)]
pub struct Trail {
    head: AuditHead,
    version: Option<u64>,
}

impl Trail {
    /// The chain of somebody or something that has just come to be.
    pub fn begin(chain: impl fmt::Display) -> Self {
        Self { head: AuditHead::before_all(&chain.to_string()), version: None }
    }

    fn of(chain: &str, head: Option<Stored<AuditHead>>) -> Self {
        match head {
            Some(Stored { value, version }) => Self { head: value, version: Some(version) },
            None => Self::begin(chain),
        }
    }

    pub fn chain(&self) -> &str {
        &self.head.chain
    }

    /// Out of a batch that was read with [`Trail::key`] among its keys.
    pub fn take(batch: &mut Batch, chain: impl fmt::Display) -> Result<Self, ReadFailure> {
        let chain = chain.to_string();
        Ok(Self::of(&chain, batch.take(&head_key(&chain))?))
    }

    /// What a batch has to read for [`Trail::take`].
    pub fn key(chain: impl fmt::Display) -> (String, String) {
        (&head_key(&chain.to_string())).into()
    }

    /// Writes what is noted into the transaction of the deed itself. Where somebody else has written to the chain
    /// meanwhile, the transaction meets a conflict, and is decided again.
    pub fn append(self, transaction: &mut Transaction<'_>, deed: &Deed<'_>, noted: Noted) {
        let Noted { act, record, changes, reason } = noted;
        let Self { head: AuditHead { chain, entries, hash }, version } = self;
        let mut entry = AuditEntry {
            chain: chain.clone(),
            sequence: entries + 1,
            at: deed.at,
            actor: deed.actor.clone(),
            operation: deed.operation.to_owned(),
            act,
            record,
            changes,
            reason,
            correlation_id: deed.correlation_id.to_owned(),
            previous: hash,
            hash: String::new(),
        };
        entry.hash = entry.digest();
        transaction.create(&entry);
        let head = AuditHead { chain, entries: entry.sequence, hash: entry.hash };
        transaction.put(&head, version);
    }
}

impl Table {
    pub async fn trail(&self, chain: impl fmt::Display) -> Result<Trail, ReadFailure> {
        let chain = chain.to_string();
        Ok(Trail::of(&chain, self.get(&head_key(&chain)).await?))
    }
}

/// The entries of one chain, the first one first.
pub fn audit_chain(chain: impl fmt::Display) -> Partition<AuditEntry> {
    Partition::new(chain_pk(&chain.to_string()), ENTRY)
}

/// What somebody did on a day of UTC, such as `2027-01-15`, whomever it concerned.
pub fn audit_of_actor(actor: &Actor, day: impl fmt::Display) -> Partition<AuditEntry> {
    Partition::in_index(deeds_pk(actor, &day.to_string()), "")
}

const ENTRY: &str = "ENTRY#";

fn chain_pk(chain: &str) -> String {
    format!("AUDIT#{chain}")
}

fn entry_sk(sequence: u64) -> String {
    format!("{ENTRY}{sequence:012}")
}

/// The key of an entry.
pub(crate) fn entry_place(chain: &str, sequence: u64) -> (String, String) {
    (chain_pk(chain), entry_sk(sequence))
}

pub(crate) fn head_key(chain: &str) -> Key<AuditHead> {
    Key::new(chain_pk(chain), "HEAD")
}

pub(crate) fn heads_of_shard(shard: u32) -> Partition<AuditHead> {
    Partition::in_index(heads_pk(shard), "")
}

fn heads_pk(shard: u32) -> String {
    format!("AUDIT-HEADS#{shard}")
}

fn deeds_pk(actor: &Actor, day: &str) -> String {
    format!("{INDEX_PREFIX}#{}#{day}", actor.as_str())
}
