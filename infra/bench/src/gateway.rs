//! What one caller waits for, through the gateway of the local cloud: the journeys are walked one after the other, and
//! every call of theirs that was carried out counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::bars;
use crate::failure::{Explain, Failure};
use crate::report::{print, row};
use crate::statistics::{median, milliseconds, percentile};

/// Calls through the gateway of the local cloud that `cargo matricula up` has brought up, by one caller at a time
///
/// Walks the journeys one after the other and notes each call of theirs. `p50_ms` and `p95_ms`: from sending a request
/// until its answer was read, with gateway, authorizer and cold starts, of those calls that were carried out (2xx).
/// `seen-in-moodle`: from a student's knowing that a registration is confirmed until the enrolment stands in a played
/// site that takes as long as a real one. `not_called`: operations that no journey has carried out. The bench fails where
/// an operation's p95 is 200 ms or more.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// Every operation's p95 lies below.
const P95_BELOW: Duration = Duration::from_millis(200);
/// Not an operation: it waits for another machine's work.
const SEEN_IN_MOODLE: &str = "seen-in-moodle";
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Journeys that send many calls at once, break something on purpose, or need a provider that only the tests start.
const LEFT_OUT: [&str; 7] = [
    "authorization",
    "hot_section",
    "repetition",
    "restart",
    "saga_laws",
    "sign_in",
    "stopped_saga",
];

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if std::env::var_os("MATRICULA_API_URL").is_none() {
        return Err(Failure("no cloud is there: run `cargo matricula up` first".into()));
    }
    let operations = Operations::read()?.with_events();
    let folder = Path::new(REPOSITORY).join("target/tmp");
    fs::create_dir_all(&folder).explain("the calls cannot be noted")?;
    let file = folder.join("gateway-calls.txt");
    fs::write(&file, "").explain("the calls cannot be noted")?;
    walk_journeys(&file)?;
    let calls = fs::read_to_string(&file).explain("the notes of the calls cannot be read")?;
    let mut times: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for (operation, took) in calls.lines().filter_map(|line| operations.carried_out(line)) {
        times.entry(operation).or_default().push(took);
    }
    let not_called: Vec<&str> =
        operations.names().filter(|name| !times.contains_key(*name)).collect();
    print(arguments.json, &result(&times, &not_called), || table(&times, &not_called));
    check(&times)
}

fn check(times: &BTreeMap<String, Vec<Duration>>) -> Result<(), Failure> {
    let operations = times.iter().filter(|(name, _)| *name != SEEN_IN_MOODLE);
    let over = operations.filter_map(|(name, times)| {
        let p95 = percentile(times, 95);
        (p95 >= P95_BELOW).then(|| format!("{name} has a p95 of {} ms", milliseconds(p95)))
    });
    bars::check(&over.collect::<Vec<_>>())
}

fn walk_journeys(file: &Path) -> Result<(), Failure> {
    let skipped = LEFT_OUT.iter().flat_map(|journey| ["--skip", journey]);
    let status = Command::new("cargo")
        .args(["test", "--workspace", "--test", "journeys", "--", "--test-threads", "1"])
        .args(skipped)
        .current_dir(REPOSITORY)
        .env("MATRICULA_CALLS", file)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .explain("cargo cannot be run")?;
    status.success().then_some(()).explain("a journey failed, so that its calls say nothing")
}

/// Every operation of the API: method and path, split at the slashes.
struct Operations(Vec<(String, Vec<String>, String)>);

impl Operations {
    fn read() -> Result<Self, Failure> {
        let document = Path::new(REPOSITORY).join("docs/openapi.json");
        let document = fs::read_to_string(document).explain("docs/openapi.json is lacking")?;
        let document: Value = serde_json::from_str(&document).explain("OpenAPI is not JSON")?;
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, methods)| {
            methods.as_object().into_iter().flatten().filter_map(|(method, operation)| {
                let name = operation["operationId"].as_str()?.to_owned();
                Some((method.to_uppercase(), parts(path), name))
            })
        });
        Ok(Self(operations.collect()))
    }

    /// What is waited for without a call of one's own.
    fn with_events(mut self) -> Self {
        self.0.push(("EVENT".to_owned(), parts(SEEN_IN_MOODLE), SEEN_IN_MOODLE.to_owned()));
        self
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, _, name)| name.as_str())
    }

    /// From a line as the journeys write it: which operation it was, and how long it took; nothing where it was
    /// refused.
    fn carried_out(&self, line: &str) -> Option<(String, Duration)> {
        let mut words = line.split(' ');
        let (method, path) = (words.next()?, parts(words.next()?.split('?').next()?));
        let status: u16 = words.next()?.parse().ok()?;
        let took = Duration::from_micros(words.next()?.parse().ok()?);
        let fits = |known: &[String]| {
            let fits_part =
                |(known, part): (&String, &String)| known.starts_with('{') || known == part;
            known.len() == path.len() && known.iter().zip(&path).all(fits_part)
        };
        let known = self.0.iter().filter(|(known, path, _)| known == method && fits(path));
        // A word in a path is nearer than a parameter.
        let parameters = |path: &[String]| path.iter().filter(|part| part.starts_with('{')).count();
        let (_, _, name) = known.min_by_key(|(_, path, _)| parameters(path))?;
        (200..300).contains(&status).then(|| (name.clone(), took))
    }
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

fn result(times: &BTreeMap<String, Vec<Duration>>, not_called: &[&str]) -> Value {
    let operation = |(name, times): (&String, &Vec<Duration>)| {
        let (p50, p95) = (milliseconds(median(times)), milliseconds(percentile(times, 95)));
        (name.clone(), json!({ "calls": times.len(), "p50_ms": p50, "p95_ms": p95 }))
    };
    let operations: serde_json::Map<_, _> = times.iter().map(operation).collect();
    json!({ "operations": operations, "not_called": not_called })
}

fn table(times: &BTreeMap<String, Vec<Duration>>, not_called: &[&str]) -> Vec<Vec<String>> {
    let mut rows = vec![row([&"operation", &"calls", &"p50 ms", &"p95 ms"])];
    rows.extend(times.iter().map(|(name, times)| {
        let (p50, p95) = (milliseconds(median(times)), milliseconds(percentile(times, 95)));
        row([name, &times.len(), &p50, &p95])
    }));
    rows.extend(not_called.iter().map(|name| row([name, &0, &"–", &"–"])));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_method_and_path() {
        let known = |method: &str, path: &str, name: &str| {
            (method.to_owned(), parts(path), name.to_owned())
        };
        let operations = Operations(vec![
            known("GET", "/terms/{term}", "read"),
            known("GET", "/terms/current", "current"),
            known("POST", "/terms", "create"),
        ]);
        let name = |line| operations.carried_out(line).map(|(name, _)| name);
        assert_eq!(name("GET /terms/trm_1?limit=1 200 1500").as_deref(), Some("read"));
        assert_eq!(name("GET /terms/current 200 1500").as_deref(), Some("current"));
        assert_eq!(name("POST /terms 201 1500").as_deref(), Some("create"));
        assert_eq!(name("POST /terms 409 1500"), None, "what was refused does not count");
        assert_eq!(name("GET /nowhere 200 1500"), None);
    }

    #[test]
    fn an_operation_is_too_slow_by_its_p95_and_what_moodle_takes_is_not_ours() {
        let told = |name: &str, ms| {
            check(&BTreeMap::from([(name.to_owned(), vec![Duration::from_millis(ms); 20])]))
        };
        assert!(told("enrollment-submit", 199).is_ok());
        let Failure(slow) = told("enrollment-submit", 200).expect_err("as slow as the bar");
        assert_eq!(slow, "enrollment-submit has a p95 of 200 ms");
        assert!(told(SEEN_IN_MOODLE, 9_000).is_ok());
    }
}
