//! The doors of the shell on a real engine: what is wrong with a request is told whole, a twin gets the first's reply,
//! and of a batch of events only what failed comes again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::{Envelope, Event, PersonRegistered};
use kernel::TermId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shell::http::Door;
use shell::{Access, Call, Delivery, Failure, Fault as Broken, Route};
use table::{IdempotencyKey, Key, Record, Table};
use tokio::time::Instant;

use crate::{Fault, Faults, TestTable, http_event, sqs_batch};

struct OnlyTable(Table);

impl shell::Context for OnlyTable {
    fn table(&self) -> &Table {
        &self.0
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only what is refused of it matters here")]
struct Command {
    term: Option<TermId>,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only what is refused of it matters here")]
struct Part {
    weight: u32,
}

const TERM: &str = "trm_01a20000000070008000000000000000";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// The reply to a request that no operation minds.
async fn reply(route: &Route, event: &Value) -> (u64, Value) {
    let test = TestTable::new().await;
    let handler = async |_: &OnlyTable, _: &Call<Command>| Ok(json!({ "done": true }));
    let context = OnlyTable(test.table.clone());
    let reply = Door::new(route).answer(&context, &handler, event, soon()).await;
    let body = reply["body"].as_str().expect("a body");
    let body = serde_json::from_str(body).expect("a body is JSON");
    (reply["statusCode"].as_u64().expect("a status"), body)
}

fn with_body(body: &str) -> Value {
    let mut event = http_event("POST", &[], &Value::Null, None);
    event["body"] = body.into();
    event
}

/// Of each error its field and code, with the code of the refusal.
fn told(body: &Value) -> (&str, Vec<String>) {
    let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let line = |error: &Value| format!("{} {}", text(error, "field"), text(error, "code"));
    let mut lines: Vec<String> = errors.iter().map(line).collect();
    lines.sort();
    (body["code"].as_str().unwrap_or_default(), lines)
}

const EDIT: Route = Route::edit("edit", "/things/{term}", Access::Public, "Edit a thing");
const LIST: Route = Route::list("list", "/things", Access::Public, "List things");
const CREATE: Route = Route::create("make", "/things", Access::Public, "Make a thing");

#[tokio::test]
async fn a_member_that_a_body_says_twice_is_refused_by_its_path() {
    let body = format!(
        r#"{{"term": "{TERM}", "parts": [{{"weight": 1}}, {{"weight": 1, "weight": 2}}], "term": "{TERM}"}}"#
    );
    let (status, problem) = reply(&CREATE, &with_body(&body)).await;
    assert_eq!(status, 422);
    let fields = ["/parts/1/weight REPEATED", "/term REPEATED"].map(str::to_owned);
    assert_eq!(told(&problem), ("INVALID_INPUT", fields.to_vec()));
    let sentence = "This field stands in the request more than once.";
    assert_eq!(problem["errors"][0]["message"], sentence);
    let once = format!(r#"{{"term": "{TERM}"}}"#);
    assert_eq!(reply(&CREATE, &with_body(&once)).await.0, 201);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_request_is_told_at_once() {
    let body = r#"{"term": "twice", "parts": [{"weight": 1, "weight": -1}], "colour": "blue"}"#;
    let mut event = with_body(body);
    event["pathParameters"] = json!({ "term": TERM });
    event["queryStringParameters"] = json!({ "term": TERM, "parts": "1" });
    let (status, problem) = reply(&EDIT, &event).await;
    let fields = [
        "/colour UNKNOWN",
        "/parts UNKNOWN",
        "/parts/0/weight REPEATED",
        "/parts/0/weight TOO_SMALL",
        "/term UNKNOWN",
        "/term UNKNOWN",
        "If-Match REQUIRED",
    ];
    assert_eq!(status, 422);
    assert_eq!(told(&problem), ("INVALID_INPUT", fields.map(str::to_owned).to_vec()));

    let mut event = http_event("GET", &[], &Value::Null, None);
    event["queryStringParameters"] = json!({ "term": "x", "limit": "many", "colour": "blue" });
    let (_, problem) = reply(&LIST, &event).await;
    let fields = ["/colour UNKNOWN", "/limit TOO_SMALL", "/term INVALID"];
    assert_eq!(told(&problem), ("INVALID_INPUT", fields.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn what_is_wrong_alone_keeps_its_own_refusal() {
    let mut event = with_body("{}");
    event["pathParameters"] = json!({ "term": TERM });
    let (status, problem) = reply(&EDIT, &event).await;
    assert_eq!((status, told(&problem)), (428, ("IF_MATCH_REQUIRED", Vec::new())));
    event["headers"]["if-match"] = "\"7\"".into();
    assert_eq!(reply(&EDIT, &event).await.0, 200);

    let mut keyless = with_body("{}");
    keyless["headers"]["idempotency-key"] = Value::Null;
    let (status, problem) = reply(&CREATE, &keyless).await;
    assert_eq!((status, told(&problem)), (400, ("IDEMPOTENCY_KEY_REQUIRED", Vec::new())));
    keyless["body"] = r#"{"colour": "blue"}"#.into();
    let fields = ["/colour UNKNOWN", "Idempotency-Key REQUIRED"].map(str::to_owned);
    let (_, problem) = reply(&CREATE, &keyless).await;
    assert_eq!(told(&problem), ("INVALID_INPUT", fields.to_vec()));
}

#[tokio::test]
async fn a_body_that_is_no_utf_8_is_refused_as_such() {
    let mut event = with_body("");
    event["isBase64Encoded"] = true.into();
    event["body"] = STANDARD.encode([0xff, 0xfe]).into();
    let (status, problem) = reply(&CREATE, &event).await;
    assert_eq!((status, told(&problem)), (400, ("NOT_UTF8", Vec::new())));
    event["body"] = "no base 64".into();
    assert_eq!(told(&reply(&CREATE, &event).await.1).0, "NOT_UTF8");
    event["body"] = STANDARD.encode("{}").into();
    assert_eq!(reply(&CREATE, &event).await.0, 201);
}

/// A thing that a command has made.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    number: u64,
}

impl Record for Thing {
    const KIND: &'static str = "thing";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("THING#{}", self.number), "THING")
    }
}

/// Makes the next thing, each run another.
async fn make(context: &OnlyTable, made: &AtomicU64, call: &Call<()>) -> Result<Value, Failure> {
    let thing = Thing { number: made.fetch_add(1, Ordering::Relaxed) };
    let reply = json!({ "number": thing.number });
    let mut transaction = context.0.transaction();
    transaction.create(&thing);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

fn keyed_call() -> Call<()> {
    let (scope, input_hash) = ("ada#make#key".to_owned(), "hash".to_owned());
    Call { idempotency_key: Some(IdempotencyKey { scope, input_hash }), ..crate::call(()) }
}

#[tokio::test]
async fn a_twin_that_was_in_the_way_once_gives_its_reply() {
    let test = TestTable::new().await;
    let (context, made) = (OnlyTable(test.table.clone()), AtomicU64::new(0));
    let handler = async |context: &OnlyTable, call: &Call<()>| make(context, &made, call).await;
    let carry_out = async || shell::http::carry_out(&context, &handler, &keyed_call()).await;
    let first = carry_out().await.expect("made");
    // It was still writing when its twin began, and has written by the time of the second attempt.
    test.engine.set_faults(Faults::once(0, Fault::TwinConflict));
    let twin = carry_out().await.expect("the first's reply");
    assert_eq!(twin, first);
    assert_eq!(test.table.get(&Thing { number: 1 }.key()).await.expect("reads"), None);
    let calls = test.engine.take_calls();
    assert_eq!((calls["TransactWriteItems"], calls["GetItem"]), (3, 2));
}

#[tokio::test]
async fn a_twin_that_is_in_the_way_until_the_deadline_is_told_of() {
    let test = TestTable::new().await;
    let (context, made) = (OnlyTable(test.table.clone()), AtomicU64::new(0));
    let handler = async |context: &OnlyTable, call: &Call<()>| make(context, &made, call).await;
    let always = Faults::Placed { nth: 0, times: u64::MAX, fault: Fault::TwinConflict };
    test.engine.set_faults(always);
    let call = keyed_call();
    let deadline = Instant::now() + table::deadline::BEGIN_MIN + Duration::from_millis(500);
    let work = shell::http::carry_out(&context, &handler, &call);
    match table::deadline::within(deadline, work).await {
        Err(Failure::Refused(refusal)) => {
            assert_eq!(refusal.code_and_status(), ("IN_PROGRESS", 409));
        }
        other => panic!("not told: {other:?}"),
    }
    assert!(Instant::now() < deadline);
}

fn registered(name: &str) -> Envelope {
    let person = crate::person(name);
    let event = PersonRegistered { person, ..PersonRegistered::example() };
    let mut envelope = crate::delivery("on-it", event).envelope;
    envelope.id = name.to_owned();
    envelope
}

#[tokio::test]
async fn of_a_batch_only_what_failed_comes_again() {
    let test = TestTable::new().await;
    let context = OnlyTable(test.table.clone());
    let effects = AtomicU64::new(0);
    let handler = async |context: &OnlyTable, delivery: &Delivery| -> Result<(), Failure> {
        let event: PersonRegistered = delivery.event()?;
        if event.person == crate::person("bad") {
            return Err(Broken::defect("it cannot be taken in").into());
        }
        let mut transaction = context.0.transaction();
        delivery.mark_seen(&mut transaction);
        transaction.commit().await?;
        effects.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let consume = async |batch: &Value| {
        shell::consume_batch("on-it", &context, &handler, batch, soon()).await
    };
    let batch = sqs_batch(&[registered("good"), registered("bad"), registered("good")]);
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] });
    assert_eq!(consume(&batch).await, failed);
    assert_eq!(effects.load(Ordering::Relaxed), 1, "the duplicate has no effect of its own");
    // What is no event at all comes again as well, until its dead-letter queue takes it.
    let nonsense = json!({ "Records": [{ "messageId": "x", "body": "{" }, batch["Records"][0]] });
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": "x" }] });
    assert_eq!(consume(&nonsense).await, failed);
}
