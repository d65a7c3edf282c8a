//! The table on a real engine and on a wire that answers as a test has it: large collections, client tokens, deadlines.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use table::{CommitFailure, Key, ReadFailure, Record, Table};
use tokio::time::Instant;

use crate::{Fault, Faults, TestTable};

/// A page of a book that lies whole under one key.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Leaf<const SCHEMA: u32> {
    number: u32,
    text: String,
}

impl<const SCHEMA: u32> Record for Leaf<SCHEMA> {
    const KIND: &'static str = "leaf";
    const SCHEMA: u32 = SCHEMA;

    fn key(&self) -> Key<Self> {
        leaf_key(self.number)
    }
}

fn leaf_key<const SCHEMA: u32>(number: u32) -> Key<Leaf<SCHEMA>> {
    Key::new("BOOK#1", format!("LEAF#{number:04}"))
}

async fn write(table: &Table, number: u32, bytes: usize) -> Result<(), CommitFailure> {
    let mut transaction = table.transaction();
    transaction.create(&Leaf::<1> { number, text: "x".repeat(bytes) });
    transaction.commit().await
}

#[tokio::test]
async fn a_collection_beyond_a_megabyte_is_read_to_its_end() {
    const LEAVES: u32 = 7;
    let test = TestTable::new().await;
    for number in 0..LEAVES {
        write(&test.table, number, 300_000).await.expect("written");
    }
    drop(test.engine.take_calls());
    let mut book = test.table.get_collection("BOOK#1").await.expect("reads");
    assert_eq!(test.engine.take_calls()["Query"], 3, "the engine answers a megabyte at a time");
    let leaves = book.take_all::<Leaf<1>>("LEAF#").expect("readable");
    let numbers: Vec<u32> = leaves.iter().map(|leaf| leaf.value.number).collect();
    assert_eq!(numbers, (0..LEAVES).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_item_of_another_schema_is_an_error_and_no_guess() {
    let test = TestTable::new().await;
    write(&test.table, 1, 1).await.expect("written");
    test.table.get(&leaf_key::<1>(1)).await.expect("reads").expect("is there");
    match test.table.get(&leaf_key::<2>(1)).await {
        Err(ReadFailure::Unreadable { kind: "leaf", why }) => {
            assert_eq!(why, "the item has schema Some(1)");
        }
        other => panic!("not told: {other:?}"),
    }
}

/// DynamoDB as a test has it: what it answers next, and the client tokens that it was sent.
#[derive(Default)]
struct Wire {
    answers: Mutex<VecDeque<(StatusCode, Value)>>,
    tokens: Mutex<Vec<String>>,
}

async fn answer(State(wire): State<Arc<Wire>>, body: String) -> Response {
    let request: Value = serde_json::from_str(&body).expect("a request is JSON");
    let token = request["ClientRequestToken"].as_str().map(str::to_owned);
    wire.tokens.lock().expect("no test panics here").extend(token);
    let next = wire.answers.lock().expect("no test panics here").pop_front();
    let (status, body) = next.unwrap_or((StatusCode::OK, json!({})));
    let headers = [("content-type", "application/x-amz-json-1.0")];
    (status, headers, body.to_string()).into_response()
}

/// A table behind a wire that gives these answers, and then only good ones.
async fn wired(answers: Vec<(StatusCode, Value)>) -> (Table, Arc<Wire>) {
    let wire = Arc::new(Wire { answers: Mutex::new(answers.into()), ..Wire::default() });
    let router = Router::new().fallback(answer).with_state(Arc::clone(&wire));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async { axum::serve(listener, router).await.expect("the wire holds") });
    let credentials = Credentials::new("test", "test", None, None, "testkit");
    let config = shell::aws::sdk_config_for(credentials, "eu-west-1".to_owned(), Some(url));
    (Table::new(Client::new(&config), "test"), wire)
}

fn refusal(kind: &str, members: Value) -> (StatusCode, Value) {
    let mut body = members;
    body["__type"] = format!("com.amazonaws.dynamodb.v20120810#{kind}").into();
    (StatusCode::BAD_REQUEST, body)
}

fn conflict() -> (StatusCode, Value) {
    let reasons = json!([{ "Code": "TransactionConflict", "Message": "ongoing" }]);
    refusal("TransactionCanceledException", json!({ "CancellationReasons": reasons }))
}

#[tokio::test]
async fn a_collection_without_end_is_an_error_and_not_a_part_of_it() {
    let key = json!({ "pk": { "S": "BOOK#1" }, "sk": { "S": "LEAF#0001" } });
    let more = (StatusCode::OK, json!({ "Items": [], "LastEvaluatedKey": key }));
    let (table, _) = wired(vec![more.clone(); 15]).await;
    table.get_collection("BOOK#1").await.expect("the sixteenth answer is the last");
    let (table, _) = wired(vec![more; 16]).await;
    let result = table.get_collection("BOOK#1").await;
    assert!(
        matches!(result, Err(ReadFailure::Unreadable { kind: "collection", .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_client_token_is_kept_over_the_sdk_s_retries_and_is_another_for_the_next_attempt() {
    let broken = (StatusCode::INTERNAL_SERVER_ERROR, json!({ "__type": "InternalServerError" }));
    let (table, wire) = wired(vec![broken.clone(), conflict(), broken]).await;
    write(&table, 1, 1).await.expect("written in the end");
    let tokens = wire.tokens.lock().expect("no test panics here").clone();
    let [first, again, next, next_again] = tokens.as_slice() else {
        panic!("two attempts, each sent twice: {tokens:?}");
    };
    assert_eq!((first, next), (again, next_again));
    assert_ne!(first, next);
}

#[tokio::test]
async fn what_the_transaction_as_a_whole_is_refused_for_is_told_apart() {
    let message = json!({ "message": "for a reason" });
    let met = async |kind: &str| {
        // As often as the SDK asks.
        let (table, _) = wired(vec![refusal(kind, message.clone()); 3]).await;
        let soon = Instant::now() + Duration::from_millis(800);
        table::deadline::within(soon, write(&table, 1, 1)).await.expect_err("refused").to_string()
    };
    let invalid = "DynamoDB refuses the transaction: for a reason";
    assert_eq!(met("IdempotentParameterMismatchException").await, invalid);
    assert_eq!(met("ValidationException").await, invalid);
    for kind in ["AccessDeniedException", "ResourceNotFoundException"] {
        let denied = format!("DynamoDB denies the transaction: {kind}: for a reason");
        assert_eq!(met(kind).await, denied);
    }
}

#[tokio::test]
async fn a_transaction_is_not_begun_when_its_reply_could_not_be_awaited() {
    let test = TestTable::new().await;
    let late = Instant::now() + table::deadline::BEGIN_MIN - Duration::from_millis(50);
    let result = table::deadline::within(late, write(&test.table, 1, 1)).await;
    assert!(matches!(result, Err(CommitFailure::OutOfTime)), "{result:?}");
    assert_eq!(test.engine.take_calls().get("TransactWriteItems"), None);
    write(&test.table, 1, 1).await.expect("nothing was written");
}

#[tokio::test]
async fn who_is_in_the_way_is_waited_for_no_longer_than_the_deadline_allows() {
    let test = TestTable::new().await;
    let always = Faults::Placed { nth: 0, times: u64::MAX, fault: Fault::Conflict };
    test.engine.set_faults(always);
    let began = Instant::now();
    let deadline = began + table::deadline::BEGIN_MIN + Duration::from_millis(200);
    let result = table::deadline::within(deadline, write(&test.table, 1, 1)).await;
    assert!(matches!(result, Err(CommitFailure::Conflict { with_twin: false })), "{result:?}");
    assert!(Instant::now() < deadline, "it took {:?}", began.elapsed());
}
