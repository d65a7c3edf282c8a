//! For tests: S3, EventBridge and Step Functions as far as this context calls them, and the context around a
//! test's table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use bucket::Bucket;
use events::ImportApplied;
use kernel::{Id, ImportId};
use serde_json::{Value, json};
use shell::Failure;
use table::{OUTBOX_SHARDS, OutboxItem, Table};

use crate::Ctx;
use crate::bus::{Bus, Outboxes};
use crate::domain::{Format, Import};
use crate::machine::Machine;

/// What the calls find and leave.
#[derive(Default)]
struct World {
    objects: BTreeMap<String, Vec<u8>>,
    events: Vec<Value>,
    refused_events: BTreeSet<String>,
    /// Names of executions, and whether they still run.
    executions: Vec<(String, bool)>,
    answers: Vec<String>,
    calls: HashMap<String, u32>,
    failing: HashMap<String, String>,
}

pub struct Stub {
    url: String,
    world: Arc<Mutex<World>>,
    task: tokio::task::JoinHandle<()>,
}

impl Stub {
    pub async fn start() -> Self {
        let world = Arc::<Mutex<World>>::default();
        let router = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(async { axum::serve(listener, router).await.expect("it serves") });
        Self { url, world, task }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test panics while it holds the world")
    }

    pub fn config(&self) -> SdkConfig {
        config(&self.url)
    }

    /// From now on this call (`PutEvents`, or an HTTP method of S3) is answered with a server error.
    pub fn fail(&self, call: &str) {
        self.fail_with(call, "InternalFailure");
    }

    pub fn fail_with(&self, call: &str, code: &str) {
        self.world().failing.insert(call.to_owned(), code.to_owned());
    }

    pub fn mend(&self) {
        self.world().failing.clear();
    }

    pub fn calls(&self, call: &str) -> u32 {
        self.world().calls.get(call).copied().unwrap_or_default()
    }

    /// The bus will not take the event with this id.
    pub fn refuse_event(&self, id: &str) {
        self.world().refused_events.insert(id.to_owned());
    }

    /// The events that the bus took.
    pub fn events(&self) -> Vec<Value> {
        self.world().events.clone()
    }

    /// Every object by `/bucket/key`.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.world().objects.clone()
    }

    pub fn put_object(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.world().objects.insert(path.to_owned(), body.into());
    }

    pub fn executions(&self) -> Vec<String> {
        self.world().executions.iter().map(|(name, _)| name.clone()).collect()
    }

    pub fn end_execution(&self, ended: &str) {
        for (name, runs) in &mut self.world().executions {
            *runs &= name != ended;
        }
    }

    pub fn forget_executions(&self) {
        self.world().executions.clear();
    }

    /// What waiting executions were answered.
    pub fn answers(&self) -> Vec<String> {
        self.world().answers.clone()
    }

    pub fn forget_answers(&self) {
        self.world().answers.clear();
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "stub");
    shell::aws::sdk_config_for(credentials, "eu-west-1".to_owned(), Some(url.to_owned()))
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut world = world.lock().expect("no answer panics");
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let call = target.map_or(method.as_str(), |target| target.rsplit('.').next().unwrap_or(target));
    *world.calls.entry(call.to_owned()).or_default() += 1;
    if let Some(code) = world.failing.get(call).cloned() {
        let ours = code == "InternalFailure";
        let status = if ours { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
        return reply(
            status,
            json!({ "__type": code, "message": "as the test wants" }).to_string(),
        );
    }
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    match call {
        "PutEvents" => put_events(&mut world, &request),
        "StartExecution" => start_execution(&mut world, &request),
        "SendTaskSuccess" => {
            world.answers.push(request["output"].as_str().unwrap_or_default().to_owned());
            reply(StatusCode::OK, "{}")
        }
        "PUT" => {
            world.objects.insert(uri.path().to_owned(), body.to_vec());
            reply(StatusCode::OK, "")
        }
        _ => match world.objects.get(uri.path()) {
            Some(object) => reply(StatusCode::OK, object.clone()),
            None => reply(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>"),
        },
    }
}

fn put_events(world: &mut World, request: &Value) -> Response {
    let mut results = Vec::new();
    for entry in request["Entries"].as_array().expect("entries") {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().expect("a detail"))
            .expect("a detail is JSON");
        let id = detail["id"].as_str().expect("an event has an id");
        if world.refused_events.contains(id) {
            results.push(json!({ "ErrorCode": "ThrottlingException", "ErrorMessage": "slower" }));
        } else {
            results.push(json!({ "EventId": id }));
            world.events.push(entry.clone());
        }
    }
    let failed = results.iter().filter(|result| result["ErrorCode"].is_string()).count();
    reply(StatusCode::OK, json!({ "FailedEntryCount": failed, "Entries": results }).to_string())
}

fn start_execution(world: &mut World, request: &Value) -> Response {
    let name = request["name"].as_str().expect("a name").to_owned();
    match world.executions.iter().find(|(standing, _)| *standing == name) {
        Some((_, false)) => reply(
            StatusCode::BAD_REQUEST,
            json!({ "__type": "ExecutionAlreadyExists" }).to_string(),
        ),
        standing => {
            if standing.is_none() {
                world.executions.push((name, true));
            }
            let started = json!({ "executionArn": "arn:execution", "startDate": 1_800_000_000 });
            reply(StatusCode::OK, started.to_string())
        }
    }
}

fn reply(status: StatusCode, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).expect("a response")
}

/// The context around a table; everything else is nowhere.
pub fn ctx(table: &Table) -> Ctx {
    let nowhere = config("http://127.0.0.1:9");
    Ctx {
        table: table.clone(),
        bus: Bus::at(&nowhere, "matricula"),
        outboxes: Outboxes::of_tables(vec![table.clone()]),
        events: Bucket::at(&nowhere, "events"),
        imports: Bucket::at(&nowhere, "imports"),
        import_machine: Machine::at(&nowhere, "arn:machine"),
    }
}

/// The code of a refusal.
pub fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refusal)) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}

pub async fn new_import(table: &Table) -> ImportId {
    import_with(table, |_| {}).await
}

/// An import in the state that the test is about.
pub async fn import_with(table: &Table, change: impl FnOnce(&mut Import)) -> ImportId {
    let id: ImportId = testkit::call(()).new_id();
    let (ada, now) = (testkit::person("ada"), testkit::now());
    let mut import = Import::new(id, "all.zip".into(), Format::Oneroster, Some(ada), now);
    change(&mut import);
    let mut transaction = table.transaction();
    transaction.create(&import);
    transaction.commit().await.expect("writes");
    id
}

/// Writes events as any operation would.
pub async fn write_events(table: &Table, count: u32) {
    for number in 0..count {
        let event = ImportApplied { import: ImportId::derived_from(&number.to_string()), rows: 1 };
        let mut transaction = table.transaction();
        transaction.event(event, 1, testkit::now(), "test");
        transaction.commit().await.expect("writes");
    }
}

/// Every outbox item, shard by shard.
pub async fn outbox(table: &Table) -> Vec<OutboxItem> {
    let mut items = Vec::new();
    for shard in 0..OUTBOX_SHARDS {
        items.extend(table.outbox(shard, None, 1_000).await.expect("the outbox can be read"));
    }
    items
}
