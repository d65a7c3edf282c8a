//! The embedded engine in a process of its own: the bench's binary once more, told over its standard input what to
//! do, and ended by its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Region};
use table::Table;
use testkit::{Engine, Faults, Limited};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::cpu;
use crate::failure::{Explain, Failure};

/// Calls that meet a fault where faults are asked for, in thousandths.
pub const FAULTS_PER_MILLE: u32 = 50;

/// A table's name, as it is deployed.
pub fn table_of(context: &str) -> String {
    format!("matricula-{context}")
}

/// A context's table, for what the bench itself has to write or to look up.
pub fn table_at(engine_url: &str, context: &str) -> Table {
    let credentials = Credentials::new("bench", "bench", None, None, "bench");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new("eu-west-1"))
        .endpoint_url(engine_url)
        .build();
    Table::new(aws_sdk_dynamodb::Client::from_conf(config), table_of(context))
}

/// The engine's side: says where it answers, then obeys line by line until there are no more.
#[expect(clippy::print_stdout, reason = "the bench that started this process reads it")]
pub async fn serve(tables: &[String], folder: Option<&Path>) -> Result<(), Failure> {
    let engine = match folder {
        Some(folder) => Engine::start_in(folder).await,
        None => Engine::start().await,
    };
    for table in tables {
        drop(engine.table(table).await);
    }
    println!("{}", engine.url());
    let mut orders: Lines<BufReader<Stdin>> = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.explain("the engine hears nothing")? {
        let reply = match order.split_once(' ').unwrap_or((&order, "")) {
            ("take-calls", _) => serde_json::json!(engine.take_calls()).to_string(),
            ("faults", seed) => {
                let seed = seed.parse().explain("the seed is no number")?;
                engine.set_faults(Faults::seeded(seed, FAULTS_PER_MILLE));
                "{}".to_owned()
            }
            ("no-faults", _) => {
                engine.set_faults(Faults::none());
                "{}".to_owned()
            }
            ("take-units", _) => {
                let units = engine.take_units();
                serde_json::json!([units.read, units.write]).to_string()
            }
            ("impose-limits", _) => {
                engine.impose_limits();
                "{}".to_owned()
            }
            ("take-limited", _) => serde_json::json!(engine.take_limited()).to_string(),
            _ => return Err(Failure(format!("the engine does not know {order:?}"))),
        };
        println!("{reply}");
    }
    Ok(())
}

/// The bench's side. The process ends with [`EngineProcess::stop`], and at the latest with the bench.
pub struct EngineProcess {
    process: Child,
    orders: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
    url: String,
}

/// Calls of DynamoDB since they were last taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub reads: u64,
    pub writes: u64,
}

impl EngineProcess {
    /// Starts an engine in memory with an empty table for each of these contexts.
    pub async fn start(contexts: &[impl AsRef<str>]) -> Result<Self, Failure> {
        Self::start_where(None, contexts).await
    }

    /// Starts one whose tables lie in this folder, on disk.
    pub async fn start_in(folder: PathBuf, contexts: &[impl AsRef<str>]) -> Result<Self, Failure> {
        Self::start_where(Some(folder), contexts).await
    }

    async fn start_where(
        folder: Option<PathBuf>,
        contexts: &[impl AsRef<str>],
    ) -> Result<Self, Failure> {
        let bench = std::env::current_exe().explain("where the bench itself lies is unknown")?;
        let folder = folder.map(|folder| ["--folder".into(), folder.into_os_string()]);
        let mut process = Command::new(bench)
            .arg("engine")
            .args(folder.into_iter().flatten())
            .args(contexts.iter().map(|context| table_of(context.as_ref())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .explain("the engine does not start")?;
        let orders = process.stdin.take().expect("its standard input is piped");
        let output = process.stdout.take().expect("its standard output is piped");
        let mut replies = BufReader::new(output).lines();
        let url = replies.next_line().await.explain("the engine is not heard")?;
        let url = url.explain("the engine ended before it began")?;
        Ok(Self { process, orders, replies, url })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    async fn order(&mut self, order: &str) -> Result<String, Failure> {
        self.orders
            .write_all(format!("{order}\n").as_bytes())
            .await
            .explain("the engine takes no orders")?;
        let reply = self.replies.next_line().await.explain("the engine is not heard")?;
        reply.explain("the engine ended")
    }

    pub async fn take_calls(&mut self) -> Result<Calls, Failure> {
        let reply = self.order("take-calls").await?;
        let calls: BTreeMap<String, u64> =
            serde_json::from_str(&reply).explain("the engine counts in no known way")?;
        Ok(Calls::of(&calls))
    }

    /// Capacity units of reads and of writes since they were last taken; none are counted before the first time.
    pub async fn take_units(&mut self) -> Result<(f64, f64), Failure> {
        let reply = self.order("take-units").await?;
        serde_json::from_str(&reply).explain("the engine counts in no known way")
    }

    /// From now on calls meet DynamoDB's own limits.
    pub async fn impose_limits(&mut self) -> Result<(), Failure> {
        self.order("impose-limits").await.map(drop)
    }

    /// How often they did since this was last taken.
    pub async fn take_limited(&mut self) -> Result<Limited, Failure> {
        let reply = self.order("take-limited").await?;
        serde_json::from_str(&reply).explain("the engine counts in no known way")
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        cpu::of_process(self.process.id().explain("the engine has ended")?)
    }

    /// From now on calls meet faults by this seed, or none.
    pub async fn set_faults(&mut self, seed: Option<u64>) -> Result<(), Failure> {
        let order = seed.map_or_else(|| "no-faults".to_owned(), |seed| format!("faults {seed}"));
        self.order(&order).await.map(drop)
    }

    pub async fn stop(mut self) -> Result<(), Failure> {
        drop(self.orders);
        self.process.wait().await.map(drop).explain("the engine does not end")
    }
}

impl Calls {
    fn of(calls: &BTreeMap<String, u64>) -> Self {
        let sum = |names: &[&str]| names.iter().filter_map(|name| calls.get(*name)).sum();
        Self {
            reads: sum(&["GetItem", "BatchGetItem", "Query"]),
            writes: sum(&["TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"]),
        }
    }
}
