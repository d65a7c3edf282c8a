//! Registration day in small: many students ask at once, over real HTTP, for the few seats of one section. Exactly
//! the seats there are may be given, whatever happens on the wire.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use events::SectionOffered;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use testkit::Limited;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Common;
use crate::client::{self, Answer};
use crate::engine_process::{EngineProcess, table_of};
use crate::failure::{Explain, Failure};
use crate::front;
use crate::function::{Function, Functions, Outside};
use crate::offering::{deliver, section};
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::student_id;
use crate::statistics::{median, milliseconds, percentile, rounded};

const ENROLLMENT: &str = "enrollment";
const SUBMISSIONS: &str = "/submissions";

/// Many students at once for a few seats of one section, over real HTTP
///
/// The section is offered by the real `on-section-offered`; then every student sends one `POST /submissions`, all at
/// once, to an HTTP front that hands each to the next free of the `enrollment-submit` processes, which share nothing
/// but one engine. Who is answered 503 waits as long as `retry-after` says and asks again with the same
/// Idempotency-Key. `p99_ms` is the time that a student sees: from sending the first request until the final answer
/// is read, with connecting, waiting for a free process, and all retries in it; since all send at once, it is about
/// the time that all requests take together. `seconds` is from the first request to the last answer. The bench fails
/// unless exactly the seats were given, all others were refused with CLOSED, and the table says the same.
///
/// With `--limits` the engine has DynamoDB's own: 1,000 write and 3,000 read units a second for each partition key,
/// transactions that meet on an item are cancelled, and a read takes 4 ms, a transaction 15.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Students, of whom each sends one registration
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    requests: u32,
    /// Seats of the section
    #[arg(long, default_value_t = 30)]
    seats: u32,
    /// Put faults on the wire to the engine (5 % of the calls), chosen by this seed
    #[arg(long, value_name = "SEED")]
    faults: Option<u64>,
    /// Processes of `enrollment-submit` that work side by side, one invocation at a time each, as on Lambda
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=512))]
    processes: u16,
    /// Impose DynamoDB's own limits on the engine
    #[arg(long)]
    limits: bool,
}

/// What became of one student's registration.
enum Outcome {
    Held,
    Closed,
    Other(String),
}

/// One student's registration, with the time that it took them.
struct Asked {
    outcome: Outcome,
    took: Duration,
    /// How often they were told to come again.
    retries: u32,
}

/// What all students got, and what the table says afterwards.
struct Day {
    requests: usize,
    seats: usize,
    held: usize,
    closed: usize,
    /// Answers that are neither, by what they said.
    others: BTreeMap<String, usize>,
    took: Duration,
    p50: Duration,
    p99: Duration,
    retries: u64,
    taken: i64,
    registrations: usize,
    /// Where DynamoDB's limits were imposed.
    limited: Option<Limited>,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let programs = Programs::ready(&[ENROLLMENT], false, arguments.common.no_build)?;
    allow_connections()?;
    let mut engine = EngineProcess::start(&[ENROLLMENT]).await?;
    let hot = section("hot", arguments.seats);
    let outside = Outside::engine(engine.url());
    let mut functions = Functions::new(&programs, outside.clone());
    deliver(&mut functions, ENROLLMENT, "on-section-offered", hot.clone()).await?;
    functions.stop().await?;
    let processes = usize::from(arguments.processes);
    let submit = Function::start(&programs, &outside, ENROLLMENT, "submit", processes).await;
    let (url, front) = front::open([(SUBMISSIONS, submit.invoker())].into())?;

    engine.set_faults(arguments.faults).await?;
    if arguments.limits {
        engine.impose_limits().await?;
    }
    let began = Instant::now();
    let asked = storm(&url, &hot, arguments.requests).await?;
    let took = began.elapsed();
    engine.set_faults(None).await?;
    let limited = if arguments.limits { Some(engine.take_limited().await?) } else { None };

    front.abort();
    submit.stop().await?;
    let (taken, registrations) = what_the_table_says(engine.url()).await?;
    engine.stop().await?;

    let day = Day { limited, ..Day::of(arguments, &asked, took, (taken, registrations)) };
    print(arguments.common.json, &day.result(), || day.table());
    day.check()
}

/// Each student has a connection, and both of its ends are this process's.
fn allow_connections() -> Result<(), Failure> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).explain("the number of open files cannot be raised")
}

/// All students at once.
async fn storm(url: &str, hot: &SectionOffered, requests: u32) -> Result<Vec<Asked>, Failure> {
    let client = reqwest::Client::new();
    let url: Arc<str> = format!("{url}{SUBMISSIONS}").into();
    let cart: Arc<str> =
        json!({ "term": hot.term.id, "sections": [hot.section] }).to_string().into();
    let mut students = JoinSet::new();
    for number in 0..requests {
        let (client, url, cart) = (client.clone(), Arc::clone(&url), Arc::clone(&cart));
        students.spawn(async move {
            let began = Instant::now();
            let student = student_id(usize::try_from(number).expect("a number of a student"));
            let key = format!("registration-{number}");
            let answer = client::post(&client, &url, (student, &key), &cart).await?;
            let (outcome, took) = (Outcome::of(&answer), began.elapsed());
            Ok(Asked { outcome, took, retries: answer.retries })
        });
    }
    students.join_all().await.into_iter().collect()
}

impl Outcome {
    fn of(Answer { status, body, .. }: &Answer) -> Self {
        match (*status, body["code"].as_str()) {
            (201, _) if body["bundles"].as_array().is_some_and(|bundles| bundles.len() == 1) => {
                Self::Held
            }
            (409, Some("CLOSED")) => Self::Closed,
            (status, code) => Self::Other(format!("{status} {}", code.unwrap_or_default())),
        }
    }
}

/// Seats taken of the section and registrations that there are, read past all operations.
async fn what_the_table_says(engine_url: &str) -> Result<(i64, usize), Failure> {
    let credentials = Credentials::new("bench", "bench", None, None, "bench");
    let region = "eu-west-1".to_owned();
    let config = shell::aws::sdk_config_for(credentials, region, Some(engine_url.to_owned()));
    let items = DynamoDb::new(&config)
        .scan()
        .table_name(table_of(ENROLLMENT))
        .consistent_read(true)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| Failure(format!("the table cannot be read: {error:?}")))?;
    let of_kind = |kind: &'static str| {
        let kind_of =
            |item: &HashMap<String, AttributeValue>| item.get("kind")?.as_s().ok().cloned();
        items.iter().filter(move |item| kind_of(item).as_deref() == Some(kind))
    };
    let taken = of_kind("section-seats")
        .filter_map(|item| item.get("data")?.as_m().ok()?.get("taken")?.as_n().ok()?.parse().ok())
        .collect::<Vec<i64>>();
    let [taken] = taken[..] else {
        return Err(Failure(format!("the table has {} sections, not one", taken.len())));
    };
    Ok((taken, of_kind("registration").count()))
}

impl Day {
    fn of(
        arguments: &Arguments,
        asked: &[Asked],
        took: Duration,
        (taken, registrations): (i64, usize),
    ) -> Self {
        let (mut held, mut closed, mut others) = (0, 0, BTreeMap::new());
        for it in asked {
            match &it.outcome {
                Outcome::Held => held += 1,
                Outcome::Closed => closed += 1,
                Outcome::Other(answer) => *others.entry(answer.clone()).or_default() += 1,
            }
        }
        let times: Vec<_> = asked.iter().map(|it| it.took).collect();
        Self {
            requests: asked.len(),
            seats: usize::try_from(arguments.seats).expect("a number of seats"),
            held,
            closed,
            others,
            took,
            p50: median(&times),
            p99: percentile(&times, 99),
            retries: asked.iter().map(|it| u64::from(it.retries)).sum(),
            taken,
            registrations,
            limited: None,
        }
    }

    fn other(&self) -> usize {
        self.others.values().sum()
    }

    fn seconds(&self) -> f64 {
        rounded(self.took.as_secs_f64())
    }

    fn result(&self) -> Value {
        let mut result = json!({
            "requests": self.requests,
            "seats": self.seats,
            "held": self.held,
            "closed": self.closed,
            "other": self.other(),
            "seconds": self.seconds(),
            "p50_ms": milliseconds(self.p50),
            "p99_ms": milliseconds(self.p99),
            "retries": self.retries,
        });
        if let Some(limited) = self.limited {
            result["limited"] = json!(limited);
        }
        result
    }

    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![
            row([&"requests", &self.requests]),
            row([&"seats", &self.seats]),
            row([&"held", &self.held]),
            row([&"closed", &self.closed]),
            row([&"other", &self.other()]),
            row([&"seconds", &self.seconds()]),
            row([&"p50 ms", &milliseconds(self.p50)]),
            row([&"p99 ms", &milliseconds(self.p99)]),
            row([&"told to come again", &self.retries]),
        ];
        if let Some(limited) = self.limited {
            rows.push(row([&"transactions that met", &limited.conflicts]));
            rows.push(row([&"writes too many for an item", &limited.throttled_writes]));
            rows.push(row([&"reads too many for an item", &limited.throttled_reads]));
        }
        rows
    }

    fn check(&self) -> Result<(), Failure> {
        let expected = self.seats.min(self.requests);
        let refused = self.requests - expected;
        if (self.held, self.closed, self.others.len()) != (expected, refused, 0) {
            return Err(Failure(format!(
                "{expected} seats were to be given and {refused} students to be refused with \
                 CLOSED, not {} and {}; other answers: {:?}",
                self.held, self.closed, self.others
            )));
        }
        let taken = usize::try_from(self.taken).unwrap_or_default();
        if (taken, self.registrations) != (expected, expected) {
            return Err(Failure(format!(
                "the table says {} seats taken and {} registrations, not {expected}",
                self.taken, self.registrations
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(change: impl FnOnce(&mut Day)) -> Day {
        let mut day = Day {
            requests: 1_000,
            seats: 30,
            held: 30,
            closed: 970,
            others: BTreeMap::new(),
            took: Duration::from_secs(1),
            p50: Duration::from_secs(1),
            p99: Duration::from_secs(1),
            retries: 0,
            taken: 30,
            registrations: 30,
            limited: None,
        };
        change(&mut day);
        day
    }

    #[test]
    fn a_day_is_good_only_when_every_seat_is_accounted_for() {
        assert!(day(|_| ()).check().is_ok());
        let few = day(|day| (day.requests, day.held, day.closed) = (20, 20, 0));
        assert!(few.check().is_err(), "twenty hold thirty seats");
        assert!(day(|day| (day.held, day.closed) = (31, 969)).check().is_err());
        assert!(day(|day| day.closed = 969).check().is_err());
        assert!(day(|day| _ = day.others.insert("503 BUSY".to_owned(), 1)).check().is_err());
        assert!(day(|day| day.taken = 31).check().is_err());
        assert!(day(|day| day.registrations = 29).check().is_err());
    }

    #[test]
    fn an_answer_is_a_seat_a_refusal_or_neither() {
        let outcome = |status, body| Outcome::of(&Answer { status, body, retries: 0 });
        assert!(matches!(outcome(201, json!({ "bundles": [{}] })), Outcome::Held));
        assert!(matches!(outcome(409, json!({ "code": "CLOSED" })), Outcome::Closed));
        assert!(matches!(outcome(503, json!({ "code": "BUSY" })), Outcome::Other(_)));
        assert!(matches!(outcome(201, json!({ "bundles": [] })), Outcome::Other(_)));
    }
}
