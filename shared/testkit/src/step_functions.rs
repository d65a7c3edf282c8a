//! Step Functions as far as sagas call them: takes note of what is asked, and answers what the test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_types::SdkConfig;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::Engine;

/// It stops when it is dropped.
pub struct StepFunctions {
    url: String,
    notes: Arc<Mutex<Notes>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Notes {
    calls: Vec<(String, Value)>,
    /// Error codes by the last part of an execution's ARN, or by the operation.
    errors: BTreeMap<String, String>,
    running: Vec<String>,
}

impl StepFunctions {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
        let notes = Arc::<Mutex<Notes>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&notes));
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("it serves") });
        Self { url, notes, task }
    }

    /// Configuration of a client that talks to these.
    pub fn sdk_config(&self, engine: &Engine) -> SdkConfig {
        engine.sdk_config().into_builder().endpoint_url(&self.url).build()
    }

    /// From now on this operation, or the look-up of this execution, is answered with an error.
    pub fn refuse(&self, operation_or_execution: &str, code: &str) {
        let mut notes = self.notes.lock().expect("no test panics here");
        notes.errors.insert(operation_or_execution.to_owned(), code.to_owned());
    }

    /// This execution is under way; one of which nothing was said does not exist.
    pub fn run(&self, execution: &str) {
        self.notes.lock().expect("no test panics here").running.push(execution.to_owned());
    }

    /// What an operation was called with, in the order of the calls.
    pub fn calls(&self, operation: &str) -> Vec<Value> {
        let notes = self.notes.lock().expect("no test panics here");
        let of_operation = notes.calls.iter().filter(|(name, _)| name == operation);
        of_operation.map(|(_, input)| input.clone()).collect()
    }
}

impl Drop for StepFunctions {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State(notes): State<Arc<Mutex<Notes>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let mut notes = notes.lock().expect("no test panics here");
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
    let input: Value = serde_json::from_slice(&body).expect("a request is JSON");
    let execution = input["executionArn"].as_str().and_then(|arn| arn.rsplit(':').next());
    let execution = execution.unwrap_or_default().to_owned();
    notes.calls.push((operation.to_owned(), input));
    let error = notes.errors.get(operation).or_else(|| notes.errors.get(&execution));
    let is_unknown = operation == "DescribeExecution" && !notes.running.contains(&execution);
    let error = error.map(String::as_str).or(is_unknown.then_some("ExecutionDoesNotExist"));
    match error {
        Some(code) => (StatusCode::BAD_REQUEST, json!({ "__type": code }).to_string()),
        None => (StatusCode::OK, positive(operation).to_string()),
    }
}

/// What a call is answered that nothing stands against.
pub fn positive(operation: &str) -> Value {
    const ARN: &str = "arn:aws:states:eu-west-1:123456789012:execution:enrollment:one";
    const BEGAN: u64 = 1_800_000_000;
    match operation {
        "StartExecution" => json!({ "executionArn": ARN, "startDate": BEGAN }),
        "DescribeExecution" => json!({
            "executionArn": ARN,
            "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:enrollment",
            "status": "RUNNING",
            "startDate": BEGAN,
        }),
        _ => json!({}),
    }
}
