//! The same day at a plain service in Python on PostgreSQL: `tests/bench/registration` says what it does.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::day::Day;
use super::load::{Seen, drive};
use crate::cpu;
use crate::failure::{Explain, Failure};
use crate::python;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/bench/registration");
const REQUIREMENTS: &str = include_str!("../../../../tests/bench/registration/requirements.txt");
/// Connections of all workers together: PostgreSQL takes 100 as installed, and more than a few for each core help
/// nobody.
const CONNECTIONS: usize = 24;
/// How long PostgreSQL and the service may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Outcome {
    pub seen: Seen,
    pub told: Told,
    pub app_cpu: Duration,
    pub database_cpu: Duration,
}

/// What its tables say afterwards.
#[derive(Debug, Deserialize)]
pub struct Told {
    registrations: usize,
    waiting: usize,
    oversold: i64,
    duplicates: i64,
    miscounted: i64,
    disordered: i64,
}

pub async fn run(day: &Arc<Day>, folder: &Path, clients: usize) -> Result<Outcome, Failure> {
    let python = python::with("registration-twin", &requirements()).await?;
    let database = PostgreSql::start(folder).await?;
    let url = database.url();
    let file = folder.join("day.json");
    std::fs::write(&file, day.for_others().to_string()).explain("the day cannot be written")?;
    script(&python, "prepare.py", &[&url, &file.to_string_lossy()]).await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (service, address) = service(&python, &url, cores).await?;

    let cpu = || Ok((cpu::of_tree(service.id)?, cpu::of_tree(database.service.id)?));
    let (app_before, database_before) = cpu()?;
    let seen = drive(day, &address, clients).await?;
    let (app_after, database_after) = cpu()?;

    service.stop().await?;
    let told = script(&python, "check.py", &[&url]).await?;
    let told = serde_json::from_slice(&told).explain("the twin's tables say nothing")?;
    database.service.stop().await?;
    Ok(Outcome {
        seen,
        told,
        app_cpu: app_after.saturating_sub(app_before),
        database_cpu: database_after.saturating_sub(database_before),
    })
}

impl Outcome {
    /// Everything that is not as it must be: a twin that cheats is not compared with.
    pub fn flaws(&self) -> Vec<String> {
        let Told { registrations, waiting, oversold, duplicates, miscounted, disordered } =
            self.told;
        let counts = [
            ("seats were oversold", oversold),
            ("registrations are there twice", duplicates),
            ("sections are miscounted", miscounted),
            ("lines are out of order", disordered),
        ];
        let wrong = counts.iter().filter(|(_, times)| *times > 0);
        let mut flaws: Vec<String> = wrong.map(|(what, times)| format!("{times} {what}")).collect();
        if (registrations, waiting) != (self.seen.held.len(), self.seen.in_line.len()) {
            flaws.push("who has a seat or stands in line is not who was told so".to_owned());
        }
        flaws.extend(self.seen.wrong.iter().map(|(what, times)| format!("{times} times: {what}")));
        flaws
    }
}

fn requirements() -> Vec<&'static str> {
    REQUIREMENTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Runs one of the twin's scripts; what it says.
async fn script(python: &Path, name: &str, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let output = Command::new(python)
        .arg(Path::new(FOLDER).join(name))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .explain("Python does not start")?;
    output.status.success().then_some(()).explain(&format!("{name} failed"))?;
    Ok(output.stdout)
}

/// As many workers as there are cores, on a free port.
async fn service(
    python: &Path,
    database_url: &str,
    workers: usize,
) -> Result<(Service, String), Failure> {
    let port = free_port()?;
    let process = Command::new(python)
        .args(["-m", "uvicorn", "app:app", "--no-access-log", "--log-level", "warning"])
        .args(["--port", &port.to_string(), "--workers", &workers.to_string()])
        .current_dir(FOLDER)
        .env("DATABASE_URL", database_url)
        .env("POOL_SIZE", (CONNECTIONS / workers).max(1).to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .explain("the twin does not start")?;
    let service = Service::of(process, Signal::TERM)?;
    let url = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::new();
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let health = client.get(format!("{url}/health")).send().await;
        if health.is_ok_and(|answer| answer.status().is_success()) {
            // The other workers have had as long.
            tokio::time::sleep(Duration::from_secs(2)).await;
            return Ok((service, url));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Failure("the twin does not answer".to_owned()))
}

struct PostgreSql {
    service: Service,
    port: u16,
}

impl PostgreSql {
    /// A new cluster in this folder, with the settings that come with the installation.
    async fn start(folder: &Path) -> Result<Self, Failure> {
        let programs = installed()?;
        let account = account().await?;
        let data = folder.join("postgresql");
        std::fs::create_dir_all(&data).explain("there is no room for PostgreSQL")?;
        if let Some(account) = account {
            let id = id_of(account).await?;
            std::os::unix::fs::chown(&data, Some(id), None).explain("the folder stays root's")?;
        }
        let settings = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=bench"];
        let made = as_account(account, &programs.join("initdb"))
            .arg("--pgdata")
            .arg(&data)
            .args(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .current_dir("/")
            .status()
            .await
            .explain("initdb does not start")?;
        made.success().then_some(()).explain("PostgreSQL has no tables to begin with")?;
        let port = free_port()?;
        let log = std::fs::File::create(folder.join("postgresql.log")).explain("no log")?;
        let process = as_account(account, &programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-k"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .current_dir("/")
            .spawn()
            .explain("PostgreSQL does not start")?;
        // SIGINT is its fast way to end.
        let database = Self { service: Service::of(process, Signal::INT)?, port };
        database.answers().await?;
        Ok(database)
    }

    async fn answers(&self) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                // It listens a moment before it answers.
                tokio::time::sleep(Duration::from_secs(1)).await;
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure("PostgreSQL does not answer".to_owned()))
    }

    fn url(&self) -> String {
        format!("postgresql://bench@127.0.0.1:{}/postgres", self.port)
    }
}

/// The newest of the installed versions' programs.
fn installed() -> Result<PathBuf, Failure> {
    const WHERE: &str = "/usr/lib/postgresql";
    let versions = std::fs::read_dir(WHERE).into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let whole = versions.map(|entry| entry.path()).filter(|it| it.join("bin/initdb").exists());
    let newest = whole.max_by_key(number).map(|path| path.join("bin"));
    newest.explain("PostgreSQL is not installed: `apt-get install postgresql`, or `--no-twin`")
}

/// As whom PostgreSQL runs where we are root, which it refuses to be.
async fn account() -> Result<Option<&'static str>, Failure> {
    if !getuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if id_of(name).await.is_ok() {
            return Ok(Some(name));
        }
    }
    Err(Failure("there is neither a postgres nor a nobody to run PostgreSQL as".to_owned()))
}

async fn id_of(account: &str) -> Result<u32, Failure> {
    let output = Command::new("id").args(["-u", account]).output().await;
    let output = output.explain("`id` cannot be run")?;
    String::from_utf8_lossy(&output.stdout).trim().parse().explain("there is no such account")
}

/// The program, with no more rights than the account has. It becomes the process itself, so that its id is known.
fn as_account(account: Option<&str>, program: &Path) -> Command {
    let Some(account) = account else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={account}")).args(["--clear-groups", "--"]).arg(program);
    command
}

fn free_port() -> Result<u16, Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").explain("no port is free")?;
    Ok(listener.local_addr().explain("the port is unknown")?.port())
}

/// A process with children of its own, which ends when it is told to, and is told at the latest when this is dropped.
struct Service {
    process: Child,
    id: u32,
    signal: Signal,
}

impl Service {
    fn of(process: Child, signal: Signal) -> Result<Self, Failure> {
        let id = process.id().explain("a service ended before it began")?;
        Ok(Self { process, id, signal })
    }

    fn tell(&self) {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = id.map(|id| kill_process(id, self.signal)) {
            eprintln!("bench: process {} is not told to end: {error}", self.id);
        }
    }

    async fn stop(mut self) -> Result<(), Failure> {
        self.tell();
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.explain("a service does not end")?.map(drop).explain("a service does not end")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // What has ended has no id any more.
        if self.process.id().is_some() {
            self.tell();
        }
    }
}
