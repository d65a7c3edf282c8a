//! Lambda's Runtime API, played for real bootstraps: each process polls for its next invocation and posts its answer.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

/// What an invocation came to: the reply, or the error that the bootstrap reported.
pub type Answer = Result<Value, Value>;

/// One Runtime API, for the processes of one function.
pub struct RuntimeApi {
    address: String,
    shared: Arc<Shared>,
    invocations: mpsc::UnboundedSender<Invocation>,
    task: tokio::task::JoinHandle<()>,
}

struct Invocation {
    payload: Value,
    answer: oneshot::Sender<Answer>,
}

struct Shared {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    first_poll: Notify,
    timeout: Duration,
}

impl RuntimeApi {
    /// Starts listening; `timeout` is the deadline that each invocation gets.
    pub async fn start(timeout: Duration) -> Self {
        let (invocations, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            waiting: tokio::sync::Mutex::new(waiting),
            running: Mutex::default(),
            first_poll: Notify::new(),
            timeout,
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the listener is bound").to_string();
        let task = tokio::spawn(async {
            axum::serve(listener, router).await.expect("the Runtime API serves");
        });
        Self { address, shared, invocations, task }
    }

    /// Invokes the function: whichever of its processes polls next takes it.
    pub async fn invoke(&self, payload: Value) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.invocations.send(Invocation { payload, answer }).expect("the Runtime API listens");
        answered.await.expect("every invocation is answered")
    }

    /// Waits until a process polls for the first time.
    pub async fn first_poll(&self) -> Instant {
        self.shared.first_poll.notified().await;
        Instant::now()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.first_poll.notify_one();
    let Some(invocation) = shared.waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = format!("{:032x}", fastrand::u128(..));
    shared.running.lock().expect("no handler panics").insert(id.clone(), invocation.answer);
    let deadline = shell::now().as_millisecond()
        + i64::try_from(shared.timeout.as_millis()).expect("a short timeout");
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:000000000000:function:test".to_owned(),
        ),
    ];
    (headers, invocation.payload.to_string()).into_response()
}

async fn response(
    State(shared): State<Arc<Shared>>,
    UrlPath(id): UrlPath<String>,
    body: Bytes,
) -> StatusCode {
    conclude(&shared, &id, Ok(serde_json::from_slice(&body).unwrap_or_default()))
}

async fn error(
    State(shared): State<Arc<Shared>>,
    UrlPath(id): UrlPath<String>,
    body: Bytes,
) -> StatusCode {
    conclude(&shared, &id, Err(serde_json::from_slice(&body).unwrap_or_default()))
}

fn conclude(shared: &Shared, id: &str, answer: Answer) -> StatusCode {
    let waiting = shared.running.lock().expect("no handler panics").remove(id);
    // A caller that no longer waits is no concern of the process.
    match waiting.map(|waiting| waiting.send(answer)) {
        Some(_) => StatusCode::ACCEPTED,
        None => StatusCode::NOT_FOUND,
    }
}

/// A running bootstrap. It is killed when it is dropped.
pub struct Bootstrap {
    pub process: Child,
    pub began: Instant,
}

impl Bootstrap {
    /// Starts `binary` as the function whose handler is `operation`, with nothing but this environment.
    pub fn spawn(
        binary: &Path,
        operation: &str,
        api: &RuntimeApi,
        environment: &[(&str, &str)],
    ) -> Self {
        let began = Instant::now();
        let process = Command::new(binary)
            .env_clear()
            .envs(environment.iter().copied())
            .env("_HANDLER", operation)
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", operation)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        Self { process, began }
    }

    /// Peak resident memory so far, in KiB.
    pub fn peak_kib(&self) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
    }
}
