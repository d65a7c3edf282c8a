//! The local cloud as an operator sees it: functions, executions, tables, buckets and secrets, without a way
//! through the API.

use serde_json::{Value, json};
use ureq::http::Request;

use crate::api::agent;

const REGION: &str = "us-east-1";

/// What `cargo matricula test` tells of the deployed stack.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: `cargo matricula test` starts the journeys on a cloud of their own"
        )
    })
}

pub fn api_url() -> String {
    setting("MATRICULA_API_URL")
}

/// Calls a function by itself, as an operator or a schedule does.
pub fn invoke(function: &str, event: &Value) -> Value {
    let path = format!("/2015-03-31/functions/{function}/invocations");
    let (status, text) = rest("POST", "lambda", &path, &event.to_string());
    let reply: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let failed = !reply["errorType"].is_null() || !(200..300).contains(&status);
    assert!(!failed, "{function} failed ({status}): {reply}");
    reply
}

/// An item's stored value, in DynamoDB's own form; nothing where there is no such item.
pub fn stored(context: &str, pk: &str, sk: &str) -> Option<Value> {
    let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
    let question = json!({
        "TableName": format!("matricula-{context}"),
        "Key": key,
        "ConsistentRead": true,
    });
    let reply = json_call("dynamodb", "DynamoDB_20120810.GetItem", &question);
    reply.pointer("/Item/data/M").cloned()
}

/// An execution by its name, of the machine that this setting names.
fn execution(machine: &str, name: &str) -> String {
    let execution = setting(machine).replacen(":stateMachine:", ":execution:", 1);
    format!("{execution}:{name}")
}

/// The execution that carries a bundle.
fn saga(bundle: &str, attempt: u32) -> String {
    execution("MATRICULA_ENROLLMENT_STATE_MACHINE_ARN", &format!("{bundle}-{attempt}"))
}

/// The execution that works on an import.
fn import_run(import: &str, run: u32) -> String {
    execution("MATRICULA_IMPORT_STATE_MACHINE_ARN", &format!("{import}-{run}"))
}

/// The states that an execution has entered so far, the first thousand events of it.
pub fn entered_states(bundle: &str, attempt: u32) -> Vec<String> {
    let question = json!({ "executionArn": saga(bundle, attempt), "maxResults": 1_000 });
    let history = json_call("states", "AWSStepFunctions.GetExecutionHistory", &question);
    let events = history["events"].as_array().into_iter().flatten();
    let names = events.filter_map(|event| event["stateEnteredEventDetails"]["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Ends the execution that carries a bundle, as an operator could, or a defect of the service.
pub fn stop_saga(bundle: &str, attempt: u32) {
    stop(&saga(bundle, attempt));
}

/// The same with one that works on an import.
pub fn stop_import(import: &str, run: u32) {
    stop(&import_run(import, run));
}

/// How an execution that works on an import stands: `RUNNING`, `SUCCEEDED`, `ABORTED`.
pub fn import_status(import: &str, run: u32) -> String {
    let question = json!({ "executionArn": import_run(import, run) });
    let execution = json_call("states", "AWSStepFunctions.DescribeExecution", &question);
    execution["status"].as_str().unwrap_or_default().to_owned()
}

fn stop(execution: &str) {
    let order = json!({ "executionArn": execution, "error": "Stopped", "cause": "a journey" });
    json_call("states", "AWSStepFunctions.StopExecution", &order);
}

/// The definition of the machine that carries bundles, as it is deployed.
pub fn enrollment_machine() -> Value {
    let question = json!({ "stateMachineArn": setting("MATRICULA_ENROLLMENT_STATE_MACHINE_ARN") });
    let machine = json_call("states", "AWSStepFunctions.DescribeStateMachine", &question);
    let definition = machine["definition"].as_str().expect("a machine has a definition");
    serde_json::from_str(definition).expect("a definition is JSON")
}

/// Executions that begin from now on follow this definition.
pub fn replace_enrollment_machine(definition: &Value) {
    let order = json!({
        "stateMachineArn": setting("MATRICULA_ENROLLMENT_STATE_MACHINE_ARN"),
        "definition": definition.to_string(),
    });
    json_call("states", "AWSStepFunctions.UpdateStateMachine", &order);
}

pub fn secret(name: &str) -> String {
    let question = json!({ "SecretId": name });
    let reply = json_call("secretsmanager", "secretsmanager.GetSecretValue", &question);
    reply["SecretString"].as_str().expect("the secret is a text").to_owned()
}

/// As an operator adds one, beside those that the deployment makes.
pub fn create_secret(name: &str, text: &str) {
    let order = json!({ "Name": name, "SecretString": text });
    json_call("secretsmanager", "secretsmanager.CreateSecret", &order);
}

/// The keys in a bucket below a prefix: the first thousand.
pub fn object_keys(bucket: &str, prefix: &str) -> Vec<String> {
    let path = format!("/{bucket}?list-type=2&prefix={prefix}");
    let (status, text) = rest("GET", "s3", &path, "");
    assert_eq!(status, 200, "{bucket} cannot be listed: {text}");
    let keys = text.split("<Key>").skip(1);
    keys.filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
}

pub fn object(bucket: &str, key: &str) -> String {
    let (status, text) = rest("GET", "s3", &format!("/{bucket}/{key}"), "");
    assert_eq!(status, 200, "{bucket}/{key} cannot be read: {text}");
    text
}

/// Everything that the cloud has kept instead of sending it.
pub fn sent_mail() -> Value {
    let (status, text) = rest("GET", "ses", "/_ministack/ses/messages", "");
    assert_eq!(status, 200, "the kept mail cannot be read: {text}");
    serde_json::from_str(&text).expect("the kept mail is JSON")
}

fn json_call(service: &str, target: &str, body: &Value) -> Value {
    let request = request("POST", service, "/")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", target)
        .body(body.to_string());
    let (status, text) = send(request, target);
    assert_eq!(status, 200, "{target} was refused: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

fn rest(method: &str, service: &str, path: &str, body: &str) -> (u16, String) {
    let request = request(method, service, path).header("content-type", "application/json");
    send(request.body(body.to_owned()), path)
}

/// The local cloud routes by the scope of the signature, and checks none for the key `test`.
fn request(method: &str, service: &str, path: &str) -> ureq::http::request::Builder {
    let credential = format!("test/20260101/{REGION}/{service}/aws4_request");
    Request::builder()
        .method(method)
        .uri(format!("{}{path}", setting("MATRICULA_CLOUD_URL")))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"),
        )
}

fn send(request: Result<Request<String>, ureq::http::Error>, what: &str) -> (u16, String) {
    let request = request.expect("the call can be written");
    let response =
        agent().run(request).unwrap_or_else(|error| panic!("{what} got no answer: {error}"));
    let status = response.status().as_u16();
    let text = response.into_body().read_to_string();
    (status, text.unwrap_or_else(|error| panic!("{what}: the answer broke off: {error}")))
}
