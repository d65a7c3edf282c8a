//! A sample call of every operation, as Lambda hands it over: `events/samples/<context>-<operation>.json`, which
//! `cargo matricula invoke` sends. A new operation gets one by UPDATE=1.

use std::collections::BTreeMap;

use events::catalogue;
use kernel::{Id, PersonId, SessionId};
use serde_json::{Map, Value, json};
use shell::{Access, Body, Caller, Grant, HttpOperation, Method, Role, Scope};
use tests::cdk::{self, Caller as CalledBy};
use tests::checked_in::{self, Files};
use tests::{contexts, repository};

use crate::example::{Examples, validator};

const MOMENT: &str = "2027-01-15T08:30:00Z";
const MOMENT_MS: u64 = 1_800_001_800_000;
const REGION: &str = "eu-west-1";
const ACCOUNT: &str = "000000000000";

#[test]
fn every_operation_has_a_sample_that_it_takes() {
    let generator = Generator::new();
    let mut files = Files::new();
    for context in repository::contexts() {
        for line in cdk::of(&context) {
            let function = format!("{context}-{}", line.operation);
            let sample = generator.sample(&function, &line.caller);
            files.insert(format!("events/samples/{function}.json"), checked_in::json(&sample));
        }
    }
    checked_in::check(&files, "events/samples", |_| true);
}

struct Generator {
    examples: Examples,
    events: BTreeMap<&'static str, Value>,
    routes: BTreeMap<String, HttpOperation>,
    steps: BTreeMap<&'static str, Value>,
}

impl Generator {
    fn new() -> Self {
        let events: BTreeMap<_, _> =
            catalogue().into_iter().map(|event| (event.name, event.example)).collect();
        let routes = contexts::http_operations().into_iter();
        let steps = contexts::steps().into_iter();
        Self {
            examples: Examples::from(&events),
            events,
            routes: routes.map(|operation| (name(&operation), operation)).collect(),
            steps: steps.map(|(function, input)| (function, input.to_value())).collect(),
        }
    }

    fn sample(&self, function: &str, caller: &CalledBy) -> Value {
        match caller {
            CalledBy::Api { route, .. } => match self.routes.get(function) {
                Some(operation) => self.request(operation),
                None => bare_request(route, "GET", "/nowhere", None),
            },
            CalledBy::Authorizer => authorizer_request(),
            CalledBy::Machine => self.command(function),
            CalledBy::Bus { events } => self.batch(events.iter().map(String::as_str)),
            CalledBy::EveryEvent => self.batch(self.events.keys().take(1).copied()),
            CalledBy::Schedule => scheduled(function),
            CalledBy::Streams => self.stream(),
        }
    }

    fn command(&self, function: &str) -> Value {
        let input = self.steps.get(function);
        let input =
            input.unwrap_or_else(|| panic!("{function} is no step in its context's main.rs"));
        let mut command = self.examples.of(function, input);
        assert_fits(function, input, &command);
        command["correlation_id"] = "0f8fad5b-d9cb-469f-a165-70867728950e".into();
        command
    }

    fn request(&self, operation: &HttpOperation) -> Value {
        let route = &operation.route;
        let (function, schema) = (name(operation), operation.input.as_value());
        let input = self.examples.of(&function, schema);
        assert_fits(&function, schema, &input);
        let mut left = input.as_object().cloned().unwrap_or_default();
        let mut path = route.path.to_owned();
        let mut in_path = Map::new();
        for name in route.path_parameters() {
            let value = left.remove(name).unwrap_or_else(|| panic!("{path} takes no {name}"));
            path = path.replace(&format!("{{{name}}}"), value.as_str().unwrap_or_default());
            in_path.insert(name.to_owned(), value);
        }
        let key = format!("{} {}", route.method.name(), route.path);
        let mut event = bare_request(&key, route.method.name(), &path, caller(route.access));
        if !in_path.is_empty() {
            event["pathParameters"] = in_path.into();
        }
        if matches!(route.method, Method::Get | Method::Delete) {
            let query = left
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
            event["rawQueryString"] = query.collect::<Vec<_>>().join("&").into();
            if !left.is_empty() {
                event["queryStringParameters"] = left.into();
            }
        } else {
            event["headers"]["content-type"] = route.body.media_type().into();
            event["body"] = written(route.body, left).into();
        }
        if route.idempotent_by_key {
            event["headers"]["idempotency-key"] = "5f2c6a1e-sample".into();
        }
        if route.edits {
            event["headers"]["if-match"] = "\"1\"".into();
        }
        event
    }

    /// Messages of a queue, each with an event as the bus wraps it.
    fn batch<'a>(&self, names: impl Iterator<Item = &'a str>) -> Value {
        let records: Vec<Value> = names
            .enumerate()
            .map(|(at, name)| {
                let envelope = self.events.get(name);
                let envelope = envelope.unwrap_or_else(|| panic!("there is no event {name}"));
                json!({
                    "messageId": format!("00000000-0000-4000-8000-{at:012}"),
                    "receiptHandle": "sample",
                    "body": bus_event(name, envelope).to_string(),
                    "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": MOMENT_MS.to_string() },
                    "eventSource": "aws:sqs",
                    "awsRegion": REGION,
                })
            })
            .collect();
        json!({ "Records": records })
    }

    /// What a table's stream shows of an outbox item.
    fn stream(&self) -> Value {
        let (name, envelope) = self.events.first_key_value().expect("there are events");
        let context = name.split('.').next().expect("a name has parts");
        let id = envelope["id"].as_str().expect("an event has an id");
        let text = |text: &str| json!({ "S": text });
        let (pk, sk) = (text("OUTBOX#0"), text(id));
        json!({ "Records": [{
            "eventID": "sample",
            "eventName": "INSERT",
            "eventSource": "aws:dynamodb",
            "awsRegion": REGION,
            "eventSourceARN":
                format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/matricula-{context}/stream/{MOMENT}"),
            "dynamodb": {
                "SequenceNumber": "100000000000000000001",
                "StreamViewType": "NEW_IMAGE",
                "Keys": { "pk": pk, "sk": sk },
                "NewImage": {
                    "pk": pk, "sk": sk, "kind": text("outbox"), "name": text(name),
                    "detail": text(&envelope.to_string()), "written_at": text(MOMENT),
                },
            },
        }] })
    }
}

fn written(body: Body, fields: Map<String, Value>) -> String {
    let field =
        |(name, value): (&String, &Value)| format!("{name}={}", value.as_str().unwrap_or(""));
    match body {
        Body::Json => Value::Object(fields).to_string(),
        Body::Form => fields.iter().map(field).collect::<Vec<_>>().join("&"),
    }
}

fn name(operation: &HttpOperation) -> String {
    format!("{}-{}", operation.context, operation.route.operation)
}

fn assert_fits(function: &str, schema: &Value, input: &Value) {
    let errors: Vec<String> =
        validator(schema).iter_errors(input).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{function} does not take {input:#}: {errors:?}");
}

/// Somebody whom the operation allows; nobody where it asks for nobody.
fn caller(access: Access) -> Option<Caller> {
    let (role, scope) = match access {
        Access::Public => return None,
        Access::LoggedIn => (Role::Student, Scope::Own),
        Access::Roles(allows) => (allows[0].role, allows[0].scope),
    };
    let department = (scope == Scope::Department).then(|| "MATH".to_owned());
    Some(Caller {
        person: PersonId::derived_from("example"),
        session: SessionId::derived_from("example"),
        grants: vec![Grant { role, department }],
    })
}

/// What API Gateway hands to a function (payload 2.0).
fn bare_request(route: &str, method: &str, path: &str, caller: Option<Caller>) -> Value {
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": { "accept": "application/json", "accept-language": "en" },
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "sample",
            "domainName": "api.matricula.example",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "sample",
            },
            "requestId": "sample",
            "routeKey": route,
            "stage": "$default",
            "timeEpoch": MOMENT_MS,
        },
        "isBase64Encoded": false,
    });
    if let Some(caller) = caller {
        let caller = json!(caller).to_string();
        event["requestContext"]["authorizer"] = json!({ "lambda": { "caller": caller } });
    }
    event
}

fn authorizer_request() -> Value {
    let token = "Bearer a.token.that-nobody-signed";
    let mut event = bare_request("GET /me", "GET", "/me", None);
    event["type"] = "REQUEST".into();
    event["routeArn"] =
        format!("arn:aws:execute-api:{REGION}:{ACCOUNT}:sample/$default/GET/me").into();
    event["identitySource"] = json!([token]);
    event["headers"]["authorization"] = token.into();
    event
}

/// An event as EventBridge puts it into a queue.
fn bus_event(name: &str, envelope: &Value) -> Value {
    json!({
        "version": "0",
        "id": "00000000-0000-4000-8000-000000000000",
        "source": format!("matricula.{}", name.split('.').next().unwrap_or_default()),
        "detail-type": name,
        "account": ACCOUNT,
        "region": REGION,
        "time": MOMENT,
        "resources": [],
        "detail": envelope,
    })
}

/// What EventBridge Scheduler sends where a schedule has no input of its own.
fn scheduled(function: &str) -> Value {
    json!({
        "version": "0",
        "id": "00000000-0000-4000-8000-000000000000",
        "source": "aws.scheduler",
        "detail-type": "Scheduled Event",
        "account": ACCOUNT,
        "region": REGION,
        "time": MOMENT,
        "resources": [format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/matricula-{function}")],
        "detail": "{}",
    })
}
