//! Whatever comes in has an end: every text and every list in every input is bounded, and what is longer is refused
//! with its field before anything is done with it.

use serde_json::{Value, json};
use shell::http::Door;
use tokio::time::{Duration, Instant};

use crate::fixtures::ctx;
use crate::operations::{log_in, refresh_session, reset_password, verify_email};

/// Where texts and lists of the schema have no end, as JSON pointers.
fn endless(schema: &Value, definitions: &Value, place: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return endless(&definitions[name], definitions, place);
    }
    let branches = ["anyOf", "oneOf", "allOf"].iter();
    let branches = branches.filter_map(|kind| schema[kind].as_array()).flatten();
    let mut found: Vec<_> =
        branches.flat_map(|branch| endless(branch, definitions, place)).collect();
    let is = |kind: &str| {
        schema["type"] == kind
            || schema["type"].as_array().is_some_and(|kinds| kinds.contains(&json!(kind)))
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.extend(endless(property, definitions, &format!("{place}/{name}")));
    }
    if is("array") {
        if schema["maxItems"].is_null() {
            found.push(place.to_owned());
        }
        found.extend(endless(&schema["items"], definitions, &format!("{place}/*")));
    }
    if is("string") && !is_bounded(schema) {
        found.push(place.to_owned());
    }
    found
}

fn is_bounded(text: &Value) -> bool {
    let pattern = text["pattern"].as_str().unwrap_or_default();
    let has_end = pattern.starts_with('^')
        && pattern.ends_with('$')
        && !pattern.contains(['*', '+'])
        && !pattern.contains(",}");
    let is_moment = ["date", "date-time"].contains(&text["format"].as_str().unwrap_or_default());
    has_end || is_moment || ["maxLength", "enum", "const"].iter().any(|key| !text[key].is_null())
}

#[test]
fn every_text_and_every_list_that_comes_in_has_an_end() {
    for operation in crate::http_operations() {
        let schema = operation.input.to_value();
        let found = endless(&schema, &schema["$defs"], "");
        assert!(found.is_empty(), "{}: {found:?}", operation.route.operation);
    }
    let planted = json!({ "properties": {
        "name": { "type": "string" },
        "roles": { "type": ["array", "null"], "items": { "type": "string", "pattern": "^a+$" } },
    } });
    assert_eq!(endless(&planted, &Value::Null, ""), ["/name", "/roles", "/roles/*"]);
}

#[tokio::test]
async fn an_over_long_text_is_refused_with_its_field_and_costs_nothing() {
    let test = testkit::TestTable::new().await;
    let ctx = ctx(&test.table);
    let long = "x".repeat(100_000);
    let deadline = Instant::now() + Duration::from_secs(30);
    let credentials = json!({ "login": "ada@matricula.example", "password": "secret" });
    for field in ["login", "password", "device_token", "device_name", "second_factor"] {
        let mut body = credentials.clone();
        body[field] = long.clone().into();
        let event = testkit::http_event("POST", &[], &body, None);
        let door = Door::<log_in::Command>::new(&log_in::ROUTE);
        refused(&door.answer(&ctx, &log_in::handle, &event, deadline).await, field);
    }
    let event = testkit::http_event("POST", &[], &json!({ "refresh_token": long }), None);
    let door = Door::<refresh_session::Command>::new(&refresh_session::ROUTE);
    let reply = door.answer(&ctx, &refresh_session::handle, &event, deadline).await;
    refused(&reply, "refresh_token");
    let account = [("account", long.as_str())];
    let event = testkit::http_event("POST", &account, &json!({ "code": "12345678" }), None);
    let door = Door::<verify_email::Command>::new(&verify_email::ROUTE);
    refused(&door.answer(&ctx, &verify_email::handle, &event, deadline).await, "account");
    let account = [("account", "acc_00000000000000000000000000000000")];
    let body = json!({ "token": long, "password": "a long enough secret" });
    let event = testkit::http_event("POST", &account, &body, None);
    let door = Door::<reset_password::Command>::new(&reset_password::ROUTE);
    refused(&door.answer(&ctx, &reset_password::handle, &event, deadline).await, "token");
    assert!(test.engine.take_calls().is_empty(), "the table was not asked");
}

fn refused(reply: &Value, field: &str) {
    let problem: Value =
        serde_json::from_str(reply["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!((&reply["statusCode"], &problem["code"]), (&json!(422), &json!("INVALID_INPUT")));
    assert_eq!(problem["errors"][0]["field"], format!("/{field}"), "{problem}");
    assert!(problem.to_string().len() < 2_000, "what was wrong is not repeated");
}
