//! DynamoDB's own limits, imposed on the embedded engine, which has none: what one partition key takes in a second,
//! transactions that meet on an item, and the time that a call takes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// Units that DynamoDB grants each partition key in a second, whatever the capacity of the table.
const WRITE_UNITS_PER_S: u32 = 1_000;
const READ_UNITS_PER_S: u32 = 3_000;
/// An item of up to 1 KB in a transaction.
const TRANSACTED_ITEM_UNITS: u32 = 2;
const READ_ITEM_UNITS: u32 = 1;
/// Assumed, not documented: milliseconds of one digit for a read, a few more for a transaction.
const READ_TAKES: Duration = Duration::from_millis(4);
const TRANSACTION_TAKES: Duration = Duration::from_millis(15);

/// How often calls met each limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limited {
    pub conflicts: u64,
    pub throttled_writes: u64,
    pub throttled_reads: u64,
}

#[derive(Default)]
pub(crate) struct Limits {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    second: u64,
    began: Option<Instant>,
    /// Of the current second, by partition key.
    written: HashMap<String, u32>,
    read: HashMap<String, u32>,
    under_way: HashSet<ItemKey>,
    limited: Limited,
}

type ItemKey = (String, String);

/// What becomes of a call.
pub(crate) enum Admission {
    Granted(Passage),
    /// The body of DynamoDB's answer with status 400.
    Refused(String),
}

/// A call that is carried out: its items are under way until this is dropped.
pub(crate) struct Passage {
    limits: Arc<Limits>,
    items: BTreeSet<ItemKey>,
    takes: Duration,
}

impl Passage {
    /// As long as the call takes in DynamoDB.
    pub(crate) async fn take_time(&self) {
        tokio::time::sleep(self.takes).await;
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut state = self.limits.state.lock().expect("a limit does not panic");
        for item in &self.items {
            state.under_way.remove(item);
        }
    }
}

impl Limits {
    pub(crate) fn take_limited(&self) -> Limited {
        let mut state = self.state.lock().expect("a limit does not panic");
        std::mem::take(&mut state.limited)
    }

    pub(crate) fn admit(self: &Arc<Self>, call: &str, body: &[u8]) -> Admission {
        self.admit_at(Instant::now(), call, body)
    }

    fn admit_at(self: &Arc<Self>, now: Instant, call: &str, body: &[u8]) -> Admission {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut state = self.state.lock().expect("a limit does not panic");
        state.turn_the_second(now);
        if call == "TransactWriteItems" {
            let items = transacted(&request);
            if let Some(reasons) = state.reasons(&items) {
                return Admission::Refused(cancelled(&reasons));
            }
            let items: BTreeSet<ItemKey> = items.into_iter().collect();
            state.under_way.extend(items.iter().cloned());
            let (limits, takes) = (Arc::clone(self), TRANSACTION_TAKES);
            return Admission::Granted(Passage { limits, items, takes });
        }
        for pk in partitions_read(&request) {
            let used = state.read.entry(pk).or_default();
            *used += READ_ITEM_UNITS;
            if *used > READ_UNITS_PER_S {
                state.limited.throttled_reads += 1;
                return Admission::Refused(throttled());
            }
        }
        let (limits, items, takes) = (Arc::clone(self), BTreeSet::new(), READ_TAKES);
        Admission::Granted(Passage { limits, items, takes })
    }
}

impl State {
    fn turn_the_second(&mut self, now: Instant) {
        let second = now.duration_since(*self.began.get_or_insert(now)).as_secs();
        if second != self.second {
            self.second = second;
            self.written.clear();
            self.read.clear();
        }
    }

    /// Why a transaction is cancelled, item by item; nothing where it is not. It is paid for in either case.
    fn reasons(&mut self, items: &[ItemKey]) -> Option<Vec<&'static str>> {
        let mut reasons = Vec::new();
        for item in items {
            let used = self.written.entry(item.0.clone()).or_default();
            *used += TRANSACTED_ITEM_UNITS;
            reasons.push(if *used > WRITE_UNITS_PER_S {
                "ThrottlingError"
            } else if self.under_way.contains(item) {
                "TransactionConflict"
            } else {
                "None"
            });
        }
        if reasons.contains(&"ThrottlingError") {
            self.limited.throttled_writes += 1;
        } else if reasons.contains(&"TransactionConflict") {
            self.limited.conflicts += 1;
        } else {
            return None;
        }
        Some(reasons)
    }
}

fn cancelled(reasons: &[&str]) -> String {
    let reason = |code: &&str| json!({ "Code": code });
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons.iter().map(reason).collect::<Vec<_>>(),
    })
    .to_string()
}

fn throttled() -> String {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "The partition key is read too often",
    })
    .to_string()
}

fn key_of(attributes: &Value) -> ItemKey {
    let text = |name: &str| attributes[name]["S"].as_str().unwrap_or_default().to_owned();
    (text("pk"), text("sk"))
}

fn transacted(request: &Value) -> Vec<ItemKey> {
    let items = request["TransactItems"].as_array().into_iter().flatten();
    let key = |item: &Value| {
        let put = item.get("Put").map(|put| key_of(&put["Item"]));
        let others = ["Update", "Delete", "ConditionCheck"].iter().filter_map(|it| item.get(it));
        put.or_else(|| others.map(|it| key_of(&it["Key"])).next()).unwrap_or_default()
    };
    items.map(key).collect()
}

/// The partition keys that a read touches, one for each item.
fn partitions_read(request: &Value) -> Vec<String> {
    let batched = request["RequestItems"].as_object().into_iter().flatten();
    let batched =
        batched.flat_map(|(_, of_table)| of_table["Keys"].as_array().into_iter().flatten());
    let mut partitions: Vec<String> = batched.map(|key| key_of(key).0).collect();
    if request.get("Key").is_some() {
        partitions.push(key_of(&request["Key"]).0);
    }
    if let Some(pk) = request["ExpressionAttributeValues"][":pk"]["S"].as_str() {
        partitions.push(pk.to_owned());
    }
    partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(pk: &str) -> Vec<u8> {
        let key = json!({ "pk": { "S": pk }, "sk": { "S": "SEATS" } });
        json!({ "TransactItems": [{ "Update": { "Key": key } }] }).to_string().into_bytes()
    }

    #[test]
    fn two_transactions_meet_on_an_item_and_one_is_cancelled() {
        let limits = Arc::new(Limits::default());
        let admit = |pk| limits.admit("TransactWriteItems", &transaction(pk));
        let Admission::Granted(first) = admit("a") else { panic!("nobody else is there") };
        let Admission::Refused(answer) = admit("a") else { panic!("the first is under way") };
        assert!(answer.contains("TransactionConflict"));
        assert!(matches!(admit("b"), Admission::Granted(_)), "another item");
        drop(first);
        assert!(matches!(admit("a"), Admission::Granted(_)));
        assert_eq!(limits.take_limited(), Limited { conflicts: 1, ..Limited::default() });
    }

    #[test]
    fn an_item_takes_so_many_units_in_a_second() {
        let limits = Arc::new(Limits::default());
        let began = Instant::now();
        let is_granted = |pk, at| {
            let admission = limits.admit_at(at, "TransactWriteItems", &transaction(pk));
            matches!(admission, Admission::Granted(_))
        };
        let granted = (0..600).filter(|_| is_granted("a", began)).count();
        assert_eq!(granted, 500, "of two units each");
        assert!(is_granted("b", began));
        let next = began + Duration::from_secs(1);
        assert!(is_granted("a", next), "the next second");
        let read = json!({ "RequestItems": { "t": { "Keys": [{ "pk": { "S": "a" } }] } } });
        let read = read.to_string().into_bytes();
        let is_read =
            |_: &u32| matches!(limits.admit_at(next, "BatchGetItem", &read), Admission::Granted(_));
        assert_eq!((0..3_100).filter(is_read).count(), 3_000);
    }
}
