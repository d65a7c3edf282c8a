//! DynamoDB in the test's own process, behind a front that counts calls and can put faults on the wire, or the limits
//! that DynamoDB has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_types::SdkConfig;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use table::Table;
use tokio::net::TcpListener;

use crate::faults::Verdict;
use crate::limits::{Admission, Limited, Limits};
use crate::units::{self, Units};
use crate::{Faults, step_functions};

/// An engine with its front. It stops when it is dropped.
pub struct Engine {
    url: String,
    direct_url: String,
    pub(crate) database: dynoxide::Database,
    pub(crate) front: Arc<Front>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

pub(crate) struct Front {
    engine_url: String,
    client: reqwest::Client,
    faults: Mutex<Faults>,
    calls: Mutex<BTreeMap<String, u64>>,
    transaction_items: AtomicU64,
    /// Nothing as long as nobody wants to know.
    units: Mutex<Option<Units>>,
    limits: OnceLock<Arc<Limits>>,
    written: Mutex<BTreeSet<(String, String)>>,
    secrets: Mutex<BTreeMap<String, Secret>>,
}

impl Engine {
    /// Starts an empty engine on free ports of the loopback interface.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0").await
    }

    /// Starts an empty engine whose front listens on `address`.
    pub async fn start_on(address: &str) -> Self {
        let database = dynoxide::Database::memory().expect("an engine in memory");
        Self::of(database, address).await
    }

    /// Starts an engine whose tables lie in this folder, on disk.
    pub async fn start_in(folder: &Path) -> Self {
        let file = folder.join("tables.sqlite");
        let file = file.to_str().expect("the folder's path is text");
        let database = dynoxide::Database::new(file).expect("an engine on disk");
        Self::of(database, "127.0.0.1:0").await
    }

    async fn of(database: dynoxide::Database, address: &str) -> Self {
        let engine = bind("127.0.0.1:0").await;
        let direct_url = url_of(&engine);
        let serving = tokio::spawn(dynoxide::server::serve_on(engine, database.clone()));
        let front = Arc::new(Front {
            engine_url: direct_url.clone(),
            client: reqwest::Client::new(),
            faults: Mutex::new(Faults::none()),
            calls: Mutex::default(),
            transaction_items: AtomicU64::new(0),
            units: Mutex::default(),
            limits: OnceLock::new(),
            written: Mutex::default(),
            secrets: Mutex::default(),
        });
        let listener = bind(address).await;
        let url = url_of(&listener);
        let router = Router::new().fallback(forward).with_state(Arc::clone(&front));
        let fronting =
            tokio::spawn(async { axum::serve(listener, router).await.expect("the front serves") });
        Self { url, direct_url, database, front, tasks: vec![serving, fronting] }
    }

    /// All that stands in it now.
    pub fn snapshot(&self) -> Snapshot {
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let name = format!("matricula-engine-{}-{taken}.db", std::process::id());
        let file = std::env::temp_dir().join(name);
        self.database.vacuum_into(&file.to_string_lossy()).expect("a snapshot can be written");
        let secrets = self.front.secrets.lock().expect("a secret does not panic").clone();
        Snapshot { file, secrets }
    }

    /// Takes back whatever was done since.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.database.restore_from(&snapshot.file.to_string_lossy()).expect("it can be read");
        let mut secrets = self.front.secrets.lock().expect("a secret does not panic");
        secrets.clone_from(&snapshot.secrets);
    }

    /// Where the engine answers, through its front.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on the calls through the front meet these faults.
    pub fn set_faults(&self, faults: Faults) {
        *self.front.faults.lock().expect("no test panics while it holds the faults") = faults;
    }

    /// Calls by name since the last time they were taken.
    pub fn take_calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.front.calls.lock().expect("no test panics while it counts"))
    }

    /// Items in transactions, written or only checked, since the last time they were taken.
    pub fn take_transaction_items(&self) -> u64 {
        self.front.transaction_items.swap(0, Ordering::Relaxed)
    }

    /// Capacity units since they were last taken. None are counted before the first time.
    pub fn take_units(&self) -> Units {
        let mut units = self.front.units.lock().expect("no test panics while it counts");
        units.replace(Units::default()).unwrap_or_default()
    }

    /// From now on calls through the front meet DynamoDB's own limits.
    pub fn impose_limits(&self) {
        self.front.limits.get_or_init(Arc::default);
    }

    /// How often they were met since the last time this was taken.
    pub fn take_limited(&self) -> Limited {
        self.front.limits.get().map(|limits| limits.take_limited()).unwrap_or_default()
    }

    /// Partition and place of every item that was written in process since the last time this was taken.
    pub fn take_written(&self) -> BTreeSet<(String, String)> {
        std::mem::take(&mut *self.front.written.lock().expect("noting does not panic"))
    }

    /// Configuration of a client that talks through the front.
    pub fn sdk_config(&self) -> SdkConfig {
        config(&self.url)
    }

    /// A new empty table with the shape that every context's table has.
    pub async fn table(&self, name: &str) -> Table {
        create_table(&Client::new(&config(&self.direct_url)), name).await;
        Table::new(Client::new(&self.sdk_config()), name)
    }
}

impl Front {
    /// Counts the call, and asks the faults what becomes of it.
    pub(crate) fn judge(&self, call: &str, body: &[u8]) -> Verdict {
        let mut calls = self.calls.lock().expect("counting does not panic");
        *calls.entry(call.to_owned()).or_default() += 1;
        self.faults.lock().expect("a verdict does not panic").judge(call, body)
    }

    pub(crate) fn note_written(&self, keys: impl Iterator<Item = (String, String)>) {
        self.written.lock().expect("noting does not panic").extend(keys);
    }
}

/// An engine as it once stood; its file is gone with it.
pub struct Snapshot {
    file: PathBuf,
    secrets: BTreeMap<String, Secret>,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // One that is left behind harms nobody.
        std::fs::remove_file(&self.file).ok();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A table with an engine of its own.
pub struct TestTable {
    pub table: Table,
    pub engine: Engine,
}

impl TestTable {
    pub async fn new() -> Self {
        let engine = Engine::start().await;
        let table = engine.table("test").await;
        Self { table, engine }
    }
}

fn config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "testkit");
    shell::aws::sdk_config_for(credentials, "eu-west-1".to_owned(), Some(url.to_owned()))
}

async fn bind(address: &str) -> TcpListener {
    TcpListener::bind(address).await.expect("the address is free")
}

fn url_of(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().expect("the listener is bound"))
}

async fn create_table(client: &Client, name: &str) {
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .expect("name and type are set")
    };
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .expect("name and type are set")
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name("gsi1")
        .key_schema(key("gsi1pk", KeyType::Hash))
        .key_schema(key("gsi1sk", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .expect("name and keys are set");
    client
        .create_table()
        .table_name(name)
        .set_attribute_definitions(Some(["pk", "sk", "gsi1pk", "gsi1sk"].map(attribute).into()))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("the table is created");
}

/// Asks what becomes of the call, and passes it on.
async fn forward(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> Response {
    let target =
        headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let call = target.rsplit('.').next().unwrap_or_default().to_owned();
    if call == "TransactWriteItems" {
        let request: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let items = request["TransactItems"].as_array().map_or(0, Vec::len);
        front.transaction_items.fetch_add(items as u64, Ordering::Relaxed);
    }
    let verdict = front.judge(&call, &body);
    let passage = match front.limits.get().map(|limits| limits.admit(&call, &body)) {
        Some(Admission::Refused(body)) => return json_reply(StatusCode::BAD_REQUEST, body),
        Some(Admission::Granted(passage)) => Some(passage),
        None => None,
    };
    if let Some(passage) = &passage {
        passage.take_time().await;
    }
    match verdict {
        Verdict::Pass => carry_out(&front, &call, headers, body).await,
        Verdict::DropReply => {
            drop(carry_out(&front, &call, headers, body).await);
            let broken = futures_util::stream::once(async {
                Err::<Bytes, _>(std::io::Error::other("dropped"))
            });
            Response::builder()
                .header("content-length", "1000")
                .body(Body::from_stream(broken))
                .expect("a response without a body")
        }
        Verdict::Answer(status, body) => json_reply(status, body),
    }
}

async fn carry_out(front: &Front, call: &str, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    if target.is_some_and(|target| target.starts_with("secretsmanager.")) {
        let mut secrets = front.secrets.lock().expect("a secret does not panic");
        let puts = target.is_some_and(|call| call.ends_with(".PutSecretValue"));
        return secret(&mut secrets, puts, &body);
    }
    if target.is_some_and(|target| target.starts_with("AWSStepFunctions.")) {
        return json_reply(StatusCode::OK, step_functions::positive(call).to_string());
    }
    let counts_units = front.units.lock().expect("counting does not panic").is_some();
    let body = if counts_units { units::asking(&body) } else { body };
    let mut request = front.client.post(&front.engine_url).body(body);
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let reply = request.send().await.expect("the engine answers");
    let status = reply.status();
    let checksum = reply.headers().get("x-amz-crc32").cloned();
    let body = reply.bytes().await.expect("the engine's reply is whole");
    if let Some(units) = front.units.lock().expect("counting does not panic").as_mut() {
        units.add(call, &body);
    }
    let mut response = json_reply(status, body);
    if let Some(checksum) = checksum {
        response.headers_mut().insert("x-amz-crc32", checksum);
    }
    response
}

fn json_reply(status: StatusCode, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(body.into())
        .expect("a response with a body")
}

/// A secret as it was last put, with the texts that were put under each request token.
#[derive(Clone, Default)]
struct Secret {
    text: Option<String>,
    by_token: BTreeMap<String, String>,
}

/// The text of a secret that nobody has put: its own name, repeated.
pub fn secret_not_put(id: &str) -> String {
    format!("{id}-{id}-{id}-{id}")
}

/// Secrets Manager, as far as we need it.
fn secret(secrets: &mut BTreeMap<String, Secret>, puts: bool, body: &Bytes) -> Response {
    let request: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let id = text("SecretId");
    let secret = secrets.entry(id.clone()).or_default();
    if puts {
        let (token, put) = (text("ClientRequestToken"), text("SecretString"));
        let under_token = secret.by_token.entry(token).or_insert_with(|| put.clone());
        if *under_token != put {
            let error = r#"{"__type":"ResourceExistsException","message":"another text"}"#;
            return json_reply(StatusCode::BAD_REQUEST, error);
        }
        secret.text = Some(put);
    }
    let text = secret.text.clone().unwrap_or_else(|| secret_not_put(&id));
    let reply = serde_json::json!({ "Name": id, "SecretString": text });
    json_reply(StatusCode::OK, reply.to_string())
}
