//! Calls, steps, deliveries and events made by hand, so that a test says only what it is about.

use std::fmt::Display;

use events::{Envelope, Event};
use kernel::{Id, Locale, PersonId, SessionId, Timestamp};
use serde_json::{Value, json};
use shell::{Call, Caller, Delivery, Scope, Step};
use table::{AuditEntry, IdempotencyKey, OUTBOX_SHARDS, PageRequest, Table, audit_chain};

/// The moment at which tests happen.
pub const NOW: &str = "2027-01-15T08:30:00Z";

pub fn now() -> Timestamp {
    NOW.parse().expect("a timestamp")
}

/// Somebody, the same one for the same name.
pub fn person(name: &str) -> PersonId {
    PersonId::derived_from(name)
}

/// A call by the student "ada" on what is hers, under an idempotency key of its own; change what matters.
pub fn call<C>(command: C) -> Call<C> {
    Call {
        command,
        caller: Some(Caller {
            person: person("ada"),
            session: SessionId::derived_from("ada"),
            grants: Vec::new(),
        }),
        client: None,
        reach: vec![(Scope::Own, None)],
        now: now(),
        locale: Locale::En,
        correlation_id: "test".to_owned(),
        idempotency_key: Some(IdempotencyKey {
            scope: format!("test#{:x}", fastrand::u128(..)),
            input_hash: "hash".to_owned(),
        }),
        if_match: None,
        page: PageRequest::default(),
    }
}

pub fn step<C>(command: C) -> Step<C> {
    Step { command, now: now(), correlation_id: "test".to_owned() }
}

/// An event on its way to `consumer`, as the first version of its subject.
pub fn delivery<E: Event>(consumer: &str, event: E) -> Delivery {
    let envelope = Envelope::wrap(event, 1, now(), "test");
    let data = serde_json::to_value(&envelope.data).expect("an event is JSON");
    Delivery {
        envelope: Envelope {
            id: envelope.id,
            name: envelope.name,
            version: envelope.version,
            occurred_at: envelope.occurred_at,
            correlation_id: envelope.correlation_id,
            data,
        },
        consumer: consumer.to_owned(),
        now: now(),
    }
}

/// Every event that lies in the outbox, in no particular order.
pub async fn published(table: &Table) -> Vec<Envelope> {
    let mut envelopes = Vec::new();
    for shard in 0..OUTBOX_SHARDS {
        for item in table.outbox(shard, None, 1_000).await.expect("the outbox can be read") {
            envelopes.push(
                serde_json::from_str(&item.detail).expect("an outbox item holds an envelope"),
            );
        }
    }
    envelopes
}

/// What the audit trail says of somebody or something, the first entry first; the chain is whole.
pub async fn trail_of(table: &Table, chain: impl Display) -> Vec<AuditEntry> {
    let chain = chain.to_string();
    let command = shell::ProveTrail { chain: chain.clone(), resume: None };
    let proof = shell::prove_trail(table, &command).await.expect("proves");
    assert_eq!(proof.broken, []);
    let page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let entries = table.query(&audit_chain(chain), &page).await.expect("reads").records;
    entries.into_iter().map(|entry| entry.value).collect()
}

/// The operations that have noted something of somebody, in the order in which they did.
pub async fn operations_noted(table: &Table, chain: impl Display) -> Vec<String> {
    trail_of(table, chain).await.into_iter().map(|entry| entry.operation).collect()
}

/// What API Gateway hands to a function (payload 2.0) for a JSON request by `caller`.
pub fn http_event(
    method: &str,
    path_parameters: &[(&str, &str)],
    body: &Value,
    caller: Option<&Caller>,
) -> Value {
    let parameters: serde_json::Map<String, Value> =
        path_parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let authorizer =
        caller.map(|caller| json!({ "lambda": { "caller": json!(caller).to_string() } }));
    json!({
        "version": "2.0",
        "headers": { "content-type": "application/json", "idempotency-key": format!("{:x}", fastrand::u128(..)) },
        "pathParameters": parameters,
        "requestContext": { "requestId": "test-request", "http": { "method": method }, "authorizer": authorizer },
        "body": if body.is_null() { Value::Null } else { body.to_string().into() },
        "isBase64Encoded": false,
    })
}

/// A batch of SQS messages with these events of the bus.
pub fn sqs_batch(envelopes: &[Envelope]) -> Value {
    let records: Vec<Value> = envelopes
        .iter()
        .enumerate()
        .map(|(at, envelope)| {
            let body = json!({ "detail-type": envelope.name, "detail": envelope }).to_string();
            json!({ "messageId": at.to_string(), "body": body })
        })
        .collect();
    json!({ "Records": records })
}
