//! The one way to write: state, events, idempotency record and "seen" marker in one `TransactWriteItems`.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use events::{Envelope, Event};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failure::{denial, is_throttling};
use crate::key::key_attributes;
use crate::outbox::OutboxItem;
use crate::record::{Item, to_item};
use crate::{CommitFailure, Key, Record, Stored, Table, deadline};

/// Which write of a transaction a failed condition speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(usize);

/// Says whose command this is: stored with its reply in the command's own transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Caller, operation and the caller's key: one command.
    pub scope: String,
    /// What the command said, so that the same key with other words is noticed.
    pub input_hash: String,
}

/// The reply of a command that was carried out under an idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredReply {
    pub scope: String,
    pub input_hash: String,
    /// The reply's body as JSON text.
    pub body: String,
    pub stored_at: Timestamp,
}

impl StoredReply {
    /// How long a repeated command still gets the first one's reply.
    const KEPT: SignedDuration = SignedDuration::from_hours(24);

    pub fn key_of(scope: &str) -> Key<Self> {
        Key::new(format!("REPLY#{scope}"), "REPLY")
    }
}

impl Record for StoredReply {
    const KIND: &'static str = "reply";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Self::key_of(&self.scope)
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        self.stored_at.checked_add(Self::KEPT).ok()
    }
}

/// A marker that an event has had its effect.
#[derive(Debug, Serialize, Deserialize)]
struct SeenEvent {
    consumer: String,
    event: String,
    seen_at: Timestamp,
}

impl SeenEvent {
    /// Longer than a message can wait in a queue and its dead-letter queue (14 days each).
    const KEPT: SignedDuration = SignedDuration::from_hours(40 * 24);
}

impl Record for SeenEvent {
    const KIND: &'static str = "seen";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("SEEN#{}#{}", self.consumer, self.event), "SEEN")
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        self.seen_at.checked_add(Self::KEPT).ok()
    }
}

/// A field of a record, or an entry of a map that is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    name: &'static str,
    entry: Option<String>,
}

impl From<&'static str> for Field {
    fn from(name: &'static str) -> Self {
        Self { name, entry: None }
    }
}

impl Field {
    pub fn of_map(name: &'static str, entry: impl Into<String>) -> Self {
        Self { name, entry: Some(entry.into()) }
    }
}

/// A change of counters in place, for items too hot to be read and written back.
#[derive(Debug, Clone)]
pub struct Change {
    pk: String,
    sk: String,
    adds: BTreeMap<Field, i64>,
    bounds: BTreeMap<Field, i64>,
    equals: BTreeMap<Field, AttributeValue>,
}

impl Change {
    pub fn of<R: Record>(key: &Key<R>) -> Self {
        let (pk, sk) = key.into();
        Self { pk, sk, adds: BTreeMap::new(), bounds: BTreeMap::new(), equals: BTreeMap::new() }
    }

    /// Adds `amount` to the number `field`.
    #[must_use]
    pub fn add(mut self, field: impl Into<Field>, amount: i64) -> Self {
        *self.adds.entry(field.into()).or_default() += amount;
        self
    }

    /// Only if `field`, with what is added, is at most `bound`.
    #[must_use]
    pub fn at_most(mut self, field: impl Into<Field>, bound: i64) -> Self {
        self.bounds.insert(field.into(), bound);
        self
    }

    /// Only if the number `field` is still what it was read as.
    #[must_use]
    pub fn still(mut self, field: impl Into<Field>, number: i64) -> Self {
        self.equals.insert(field.into(), AttributeValue::N(number.to_string()));
        self
    }

    /// Only if `field` holds this text.
    #[must_use]
    pub fn only_if(mut self, field: impl Into<Field>, text: &str) -> Self {
        self.equals.insert(field.into(), AttributeValue::S(text.to_owned()));
        self
    }

    fn merge(&mut self, other: Self) {
        for (field, amount) in other.adds {
            *self.adds.entry(field).or_default() += amount;
        }
        self.bounds.extend(other.bounds);
        self.equals.extend(other.equals);
    }

    fn into_update(self, table: &str) -> Update {
        let mut placeholders = Placeholders::default();
        let version = placeholders.name("version");
        let one = placeholders.number(1);
        let mut sets = vec![format!("{version} = {version} + {one}")];
        let mut conditions = vec!["attribute_exists(pk)".to_owned()];
        for (field, amount) in &self.adds {
            let (path, amount) = (placeholders.path(field), placeholders.number(*amount));
            sets.push(format!("{path} = {path} + {amount}"));
        }
        for (field, bound) in &self.bounds {
            let added = self.adds.get(field).copied().unwrap_or_default();
            let (path, most) = (placeholders.path(field), placeholders.number(bound - added));
            conditions.push(format!("{path} <= {most}"));
        }
        for (field, value) in self.equals {
            let (path, value) = (placeholders.path(&field), placeholders.value(value));
            conditions.push(format!("{path} = {value}"));
        }
        Update::builder()
            .table_name(table)
            .set_key(Some(key_attributes(&self.pk, &self.sk)))
            .update_expression(format!("SET {}", sets.join(", ")))
            .condition_expression(conditions.join(" AND "))
            .set_expression_attribute_names(Some(placeholders.names))
            .set_expression_attribute_values(Some(placeholders.values))
            .build()
            .expect("key, table and expression are set")
    }
}

/// What stands in an expression for names and values: both may be words that DynamoDB keeps for itself.
#[derive(Default)]
struct Placeholders {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Placeholders {
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn path(&mut self, field: &Field) -> String {
        let parts = ["data", field.name].into_iter().chain(field.entry.as_deref());
        parts.map(|part| self.name(part)).collect::<Vec<_>>().join(".")
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn number(&mut self, number: i64) -> String {
        self.value(AttributeValue::N(number.to_string()))
    }
}

#[derive(Debug, Clone)]
enum Expected {
    Absent,
    Version(u64),
    Anything,
}

#[derive(Debug, Clone)]
enum Write {
    Put(Item, Expected),
    Delete(Item, u64),
    Check(Item, Expected),
    Change(Change),
}

/// What is written together or not at all; at most [`Transaction::ITEMS_MAX`] items.
#[derive(Debug)]
pub struct Transaction<'t> {
    table: &'t Table,
    writes: Vec<Write>,
    places: HashMap<(String, String), Place>,
    done_markers: Vec<Place>,
    twin: Option<Place>,
}

impl Table {
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction {
            table: self,
            writes: Vec::new(),
            places: HashMap::new(),
            done_markers: Vec::new(),
            twin: None,
        }
    }
}

impl Transaction<'_> {
    /// DynamoDB's own limit.
    pub const ITEMS_MAX: usize = 100;

    /// Writes a record that must not exist yet.
    pub fn create<R: Record>(&mut self, record: &R) -> Place {
        self.push((&record.key()).into(), Write::Put(to_item(record, 1), Expected::Absent))
    }

    /// Writes a record that must still be as it was read, or still be absent.
    pub fn put<R: Record>(&mut self, record: &R, read_version: Option<u64>) -> Place {
        let expected = read_version.map_or(Expected::Absent, Expected::Version);
        let version = read_version.unwrap_or_default() + 1;
        self.push((&record.key()).into(), Write::Put(to_item(record, version), expected))
    }

    /// Writes back a record that was read and changed; it must still be as it was read.
    pub fn update<R: Record>(&mut self, stored: &Stored<R>) -> Place {
        self.put(&stored.value, Some(stored.version))
    }

    /// Writes a record whatever stands there: for projections whose order something else decides.
    pub fn overwrite<R: Record>(&mut self, record: &R) -> Place {
        self.push((&record.key()).into(), Write::Put(to_item(record, 1), Expected::Anything))
    }

    /// Deletes a record that must still be as it was read.
    pub fn delete<R: Record>(&mut self, stored: &Stored<R>) -> Place {
        let key = stored.value.key();
        self.push((&key).into(), Write::Delete(key.attributes(), stored.version))
    }

    /// Requires that a record be still as it was read, or still be absent, without writing it.
    pub fn check<R: Record>(&mut self, key: &Key<R>, read_version: Option<u64>) -> Place {
        let expected = read_version.map_or(Expected::Absent, Expected::Version);
        self.push(key.into(), Write::Check(key.attributes(), expected))
    }

    /// Changes counters in place. Changes of one item are merged: an item stands once in a transaction.
    pub fn change(&mut self, change: Change) -> Place {
        let key = (change.pk.clone(), change.sk.clone());
        if let Some(place) = self.places.get(&key) {
            match &mut self.writes[place.0] {
                Write::Change(standing) => standing.merge(change),
                other => {
                    panic!("an item is changed and otherwise written in one transaction: {other:?}")
                }
            }
            return *place;
        }
        self.push(key, Write::Change(change))
    }

    /// Tells the other contexts. `subject_version` is the version that the event's subject becomes.
    pub fn event<E: Event>(
        &mut self,
        event: E,
        subject_version: u64,
        now: Timestamp,
        correlation_id: &str,
    ) -> Place {
        let Envelope { id, name, version, occurred_at, correlation_id, data } =
            Envelope::wrap(event, subject_version, now, correlation_id);
        let data = serde_json::to_value(data).expect("an event is JSON");
        let item =
            OutboxItem::of(&Envelope { id, name, version, occurred_at, correlation_id, data });
        self.push(
            (item.pk.clone(), item.sk.clone()),
            Write::Put(item.into_item(), Expected::Anything),
        )
    }

    /// Keeps the reply under the command's idempotency key, so that a repeated command gets it again.
    pub fn reply<R: Serialize>(
        &mut self,
        key: &IdempotencyKey,
        reply: &R,
        now: Timestamp,
    ) -> Place {
        let place = self.create(&StoredReply {
            scope: key.scope.clone(),
            input_hash: key.input_hash.clone(),
            body: serde_json::to_string(reply).expect("a reply is JSON"),
            stored_at: now,
        });
        self.done_markers.push(place);
        self.twin = Some(place);
        place
    }

    /// Marks the event as having had its effect on this consumer.
    pub fn seen(&mut self, consumer: &str, event: &str, now: Timestamp) -> Place {
        let place = self.create(&SeenEvent {
            consumer: consumer.to_owned(),
            event: event.to_owned(),
            seen_at: now,
        });
        self.done_markers.push(place);
        place
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Number of items that it writes or checks.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Carries the transaction out, again and again while others are in the way, as long as the deadline allows.
    pub async fn commit(self) -> Result<(), CommitFailure> {
        const ATTEMPTS_MAX: u32 = 12;
        let mut met = CommitFailure::OutOfTime;
        for attempt in 1..=ATTEMPTS_MAX {
            if deadline::left() < deadline::BEGIN_MIN {
                break;
            }
            met = match self.send().await {
                Ok(()) => return Ok(()),
                Err(met @ (CommitFailure::Conflict { .. } | CommitFailure::Throttled)) => met,
                Err(failure) => return Err(failure),
            };
            if attempt == ATTEMPTS_MAX || deadline::back_off(attempt).await.is_none() {
                break;
            }
        }
        Err(met)
    }

    fn push(&mut self, key: (String, String), write: Write) -> Place {
        let place = Place(self.writes.len());
        let before = self.places.insert(key, place);
        assert!(before.is_none(), "an item stands twice in one transaction: {write:?}");
        self.writes.push(write);
        place
    }

    /// One attempt, with a client token of its own that the SDK keeps over its retries.
    async fn send(&self) -> Result<(), CommitFailure> {
        let name = &self.table.name;
        let items = self.writes.iter().map(|write| transact_item(write, name)).collect();
        self.table
            .client
            .transact_write_items()
            .client_request_token(format!("{:032x}", fastrand::u128(..)))
            .set_transact_items(Some(items))
            .send()
            .await
            .map_err(|error| self.failure_of(error))?;
        Ok(())
    }

    fn failure_of(&self, error: SdkError<TransactWriteItemsError>) -> CommitFailure {
        if let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
            error.as_service_error()
        {
            return self.failure_of_reasons(canceled.cancellation_reasons());
        }
        match error.code() {
            code if is_throttling(code) => CommitFailure::Throttled,
            Some("TransactionInProgressException") => CommitFailure::Conflict { with_twin: false },
            Some("ValidationException" | "IdempotentParameterMismatchException") => {
                CommitFailure::Invalid(error.message().unwrap_or("no reason given").to_owned())
            }
            _ => match denial(&error) {
                Some(denial) => CommitFailure::Denied(denial),
                None => CommitFailure::Fault(Box::new(error)),
            },
        }
    }

    /// Four different things can cancel a transaction, item by item; the one that settles the matter counts.
    fn failure_of_reasons(&self, reasons: &[CancellationReason]) -> CommitFailure {
        let places_with = |codes: &[&str]| -> Vec<Place> {
            let matches = |reason: &CancellationReason| {
                reason.code().is_some_and(|code| codes.contains(&code))
            };
            reasons
                .iter()
                .enumerate()
                .filter(|(_, reason)| matches(reason))
                .map(|(at, _)| Place(at))
                .collect()
        };
        let invalid =
            places_with(&["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"]);
        if let Some(place) = invalid.first() {
            let message = reasons[place.0].message().unwrap_or("no reason given");
            return CommitFailure::Invalid(format!("item {}: {message}", place.0));
        }
        let failed = places_with(&["ConditionalCheckFailed"]);
        if failed.iter().any(|place| self.done_markers.contains(place)) {
            return CommitFailure::DoneBefore;
        }
        if !failed.is_empty() {
            return CommitFailure::ConditionFailed(failed);
        }
        let conflicts = places_with(&["TransactionConflict"]);
        if !conflicts.is_empty() {
            return CommitFailure::Conflict {
                with_twin: self.twin.is_some_and(|twin| conflicts.contains(&twin)),
            };
        }
        if !places_with(&["ThrottlingError", "ProvisionedThroughputExceeded"]).is_empty() {
            return CommitFailure::Throttled;
        }
        CommitFailure::Invalid(format!("unknown cancellation reasons: {reasons:?}"))
    }
}

fn transact_item(write: &Write, table: &str) -> TransactWriteItem {
    let builder = TransactWriteItem::builder();
    match write.clone() {
        Write::Put(item, expected) => {
            let (condition, values) = condition(&expected);
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(item))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values);
            builder.put(put.build().expect("table and item are set"))
        }
        Write::Delete(key, version) => {
            let (condition, values) = condition(&Expected::Version(version));
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values);
            builder.delete(delete.build().expect("table and key are set"))
        }
        Write::Check(key, expected) => {
            let (condition, values) = condition(&expected);
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_values(values);
            builder.condition_check(check.build().expect("table, key and condition are set"))
        }
        Write::Change(change) => builder.update(change.into_update(table)),
    }
    .build()
}

type Values = HashMap<String, AttributeValue>;

fn condition(expected: &Expected) -> (Option<String>, Option<Values>) {
    match expected {
        Expected::Anything => (None, None),
        Expected::Absent => (Some("attribute_not_exists(pk)".to_owned()), None),
        Expected::Version(version) => {
            let values =
                HashMap::from([(":read".to_owned(), AttributeValue::N(version.to_string()))]);
            (Some("version = :read".to_owned()), Some(values))
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config};

    use super::*;

    /// A table that nobody asks anything.
    fn table() -> Table {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        Table::new(Client::from_conf(config), "test")
    }

    fn counter() -> Key<StoredReply> {
        Key::new("COUNTER", "COUNTER")
    }

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    /// What reasons with these codes come to: for a counter, another, and a marker of the event, or of the command.
    fn failure(of_command: bool, codes: [&str; 3]) -> String {
        let table = table();
        let mut transaction = table.transaction();
        transaction.change(Change::of(&counter()).add("taken", 1));
        transaction.change(Change::of(&Key::<StoredReply>::new("COUNTER", "2")).add("taken", 1));
        if of_command {
            let key = IdempotencyKey { scope: "ada".into(), input_hash: "hash".into() };
            transaction.reply(&key, &"reply", now());
        } else {
            transaction.seen("on-it", "event", now());
        }
        let reason = |code| CancellationReason::builder().code(code).message("why").build();
        format!("{:?}", transaction.failure_of_reasons(&codes.map(reason)))
    }

    #[test]
    fn every_reason_is_a_thing_of_its_own_and_the_one_that_settles_the_matter_counts() {
        let invalid = |place: u32| format!("Invalid(\"item {place}: why\")");
        let failed = |places: &str| format!("ConditionFailed([{places}])");
        let cases = [
            (["None", "ValidationError", "None"], invalid(1)),
            (["ItemCollectionSizeLimitExceeded", "None", "None"], invalid(0)),
            (["AccessDenied", "None", "None"], invalid(0)),
            (["None", "ConditionalCheckFailed", "None"], failed("Place(1)")),
            (
                ["ConditionalCheckFailed", "ConditionalCheckFailed", "None"],
                failed("Place(0), Place(1)"),
            ),
            (["None", "None", "ConditionalCheckFailed"], "DoneBefore".to_owned()),
            (["TransactionConflict", "None", "None"], "Conflict { with_twin: false }".to_owned()),
            (["None", "ThrottlingError", "None"], "Throttled".to_owned()),
            (["ProvisionedThroughputExceeded", "None", "None"], "Throttled".to_owned()),
            // Several at once.
            (["ConditionalCheckFailed", "None", "ConditionalCheckFailed"], "DoneBefore".to_owned()),
            (["TransactionConflict", "None", "ConditionalCheckFailed"], "DoneBefore".to_owned()),
            (["ConditionalCheckFailed", "ValidationError", "None"], invalid(1)),
            (["TransactionConflict", "ConditionalCheckFailed", "None"], failed("Place(1)")),
            (["ThrottlingError", "ConditionalCheckFailed", "None"], failed("Place(1)")),
            (
                ["ThrottlingError", "TransactionConflict", "None"],
                "Conflict { with_twin: false }".to_owned(),
            ),
        ];
        for (codes, expected) in cases {
            assert_eq!(failure(false, codes), expected, "{codes:?}");
            assert_eq!(failure(true, codes), expected, "{codes:?}");
        }
        assert!(failure(true, ["SomethingNew", "None", "None"]).starts_with("Invalid(\"unknown"));
    }

    #[test]
    fn a_conflict_at_the_command_s_own_record_is_one_with_its_twin() {
        let codes = ["None", "None", "TransactionConflict"];
        assert_eq!(failure(true, codes), "Conflict { with_twin: true }");
        assert_eq!(failure(false, codes), "Conflict { with_twin: false }", "an event has no twin");
    }

    #[test]
    fn changes_of_one_item_are_one_with_all_that_each_asks() {
        let table = table();
        let mut transaction = table.transaction();
        let pool = || Field::of_map("taken_in_pools", "a");
        let first = Change::of(&counter()).add("taken", 1).at_most("taken", 30);
        let second = Change::of(&counter()).add("taken", 1).add(pool(), 1).still("version", 7);
        let place = transaction.change(first);
        assert_eq!(transaction.change(second), place);
        assert_eq!(transaction.len(), 1);
        let [Write::Change(merged)] = transaction.writes.as_slice() else {
            panic!("an item stands once in a transaction");
        };
        assert_eq!(merged.adds, BTreeMap::from([(Field::from("taken"), 2), (pool(), 1)]));
        assert_eq!(merged.bounds, BTreeMap::from([(Field::from("taken"), 30)]));
        let still = AttributeValue::N("7".to_owned());
        assert_eq!(merged.equals, BTreeMap::from([(Field::from("version"), still)]));
        let update = merged.clone().into_update("test");
        let values = update.expression_attribute_values().expect("there are some");
        let most = AttributeValue::N("28".to_owned());
        assert!(values.values().any(|value| *value == most), "room for two is asked: {values:?}");
    }
}
