//! Registration day in small: many students ask at once, over real HTTP, for the few seats of one section. Exactly
//! the seats there are may be given, whatever happens on the wire.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client as DynamoDb;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use events::SectionOffered;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::Common;
use crate::engine_process::{EngineProcess, table_of};
use crate::failure::{Explain, Failure};
use crate::function::{Function, Functions, Invoker, Outside};
use crate::offering::{deliver, section};
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::{Request, student};
use crate::statistics::{milliseconds, percentile, rounded};

const ENROLLMENT: &str = "enrollment";
/// Bootstraps that work side by side, one invocation at a time each, as on Lambda.
const PROCESSES: usize = 4;
/// How often a student asks again, with the same Idempotency-Key, when the answer is a 503.
const RETRIES_MAX: u32 = 20;
const CALLER_HEADER: &str = "x-caller";

/// Many students at once for a few seats of one section, over real HTTP
///
/// The section is offered by the real `on-section-offered`; then every student sends one `POST /submissions`, all at
/// once, to an HTTP front that hands each to the next free of four `enrollment-submit` processes, which share nothing
/// but one engine. Who is answered 503 waits as long as `retry-after` says and asks again with the same
/// Idempotency-Key. `p99_ms` is the time that a student sees: from sending the first request until the final answer
/// is read, with connecting, waiting for a free process, and all retries in it; since all send at once, it is about
/// the time that all requests take together. `seconds` is from the first request to the last answer. The bench fails
/// unless exactly the seats were given, all others were refused with CLOSED, and the table says the same.
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
}

/// What became of one student's registration.
enum Outcome {
    Held,
    Closed,
    Other(String),
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
    p99: Duration,
    taken: i64,
    registrations: usize,
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
    let submit = Function::start(&programs, &outside, ENROLLMENT, "submit", PROCESSES).await;
    let (url, front) = open_front(submit.invoker())?;

    engine.set_faults(arguments.faults).await?;
    let began = Instant::now();
    let outcomes = storm(&url, &hot, arguments.requests).await?;
    let took = began.elapsed();
    engine.set_faults(None).await?;

    front.abort();
    submit.stop().await?;
    let (taken, registrations) = what_the_table_says(engine.url()).await?;
    engine.stop().await?;

    let day = Day::of(arguments, &outcomes, took, taken, registrations);
    print(arguments.common.json, &day.result(), || day.table());
    day.check()
}

/// Each student has a connection, and both of its ends are this process's.
fn allow_connections() -> Result<(), Failure> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).explain("the number of open files cannot be raised")
}

/// API Gateway, as far as this bench needs it.
fn open_front(submit: Invoker) -> Result<(String, JoinHandle<()>), Failure> {
    const BACKLOG: u32 = 4_096;
    let what = "the front cannot listen";
    let socket = TcpSocket::new_v4().explain(what)?;
    socket.bind(([127, 0, 0, 1], 0).into()).explain(what)?;
    let listener = socket.listen(BACKLOG).explain(what)?;
    let url = format!("http://{}", listener.local_addr().explain(what)?);
    let router = Router::new().route("/submissions", post(pass_on)).with_state(submit);
    let serving = async { axum::serve(listener, router).await.expect("the front serves") };
    Ok((url, tokio::spawn(serving)))
}

async fn pass_on(State(submit): State<Invoker>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let caller = header(CALLER_HEADER).and_then(|caller| serde_json::from_str(caller).ok());
    let (Some(caller), Ok(body)) = (caller, serde_json::from_slice(&body)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let key = header("idempotency-key").unwrap_or_default();
    let event = Request::post(body).by(caller).header("idempotency-key", &key).event();
    match submit.invoke(event).await {
        Ok(reply) => response(&reply),
        Err(Failure(what)) => (StatusCode::BAD_GATEWAY, what).into_response(),
    }
}

/// From a function's reply (payload 2.0) to an HTTP response.
fn response(reply: &Value) -> Response {
    let status = reply["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let mut response = Response::builder().status(status.unwrap_or(502));
    for (name, value) in reply["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    let body = reply["body"].as_str().unwrap_or_default().to_owned();
    response.body(Body::from(body)).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}

/// All students at once; each one's outcome with the time that it took them.
async fn storm(
    url: &str,
    hot: &SectionOffered,
    requests: u32,
) -> Result<Vec<(Outcome, Duration)>, Failure> {
    let client = reqwest::Client::new();
    let url: Arc<str> = format!("{url}/submissions").into();
    let cart: Arc<str> =
        json!({ "term": hot.term.id, "sections": [hot.section] }).to_string().into();
    let mut students = JoinSet::new();
    for number in 0..requests {
        let (client, url, cart) = (client.clone(), Arc::clone(&url), Arc::clone(&cart));
        students.spawn(async move {
            let began = Instant::now();
            let outcome = register(&client, &url, &cart, number).await;
            outcome.map(|outcome| (outcome, began.elapsed()))
        });
    }
    students.join_all().await.into_iter().collect()
}

/// One student's registration, asked for until the answer is final.
async fn register(
    client: &reqwest::Client,
    url: &str,
    cart: &str,
    number: u32,
) -> Result<Outcome, Failure> {
    let caller = student(usize::try_from(number).expect("a number of a student"));
    let caller = json!(caller).to_string();
    let key = format!("registration-{number}");
    let mut retries = 0;
    loop {
        let request = client
            .post(url)
            .header(CALLER_HEADER, &caller)
            .header("idempotency-key", &key)
            .header("content-type", "application/json")
            .body(cart.to_owned());
        let response = request.send().await.explain("the front does not answer")?;
        let status = response.status().as_u16();
        let wait_s = response.headers().get("retry-after").and_then(|wait| wait.to_str().ok());
        let wait_s = wait_s.and_then(|wait| wait.parse().ok()).unwrap_or(1);
        let body = response.bytes().await.explain("the front breaks off")?;
        if status != 503 || retries == RETRIES_MAX {
            return Ok(Outcome::of(status, &serde_json::from_slice(&body).unwrap_or_default()));
        }
        retries += 1;
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
    }
}

impl Outcome {
    fn of(status: u16, body: &Value) -> Self {
        match (status, body["code"].as_str()) {
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
        outcomes: &[(Outcome, Duration)],
        took: Duration,
        taken: i64,
        registrations: usize,
    ) -> Self {
        let (mut held, mut closed, mut others) = (0, 0, BTreeMap::new());
        for (outcome, _) in outcomes {
            match outcome {
                Outcome::Held => held += 1,
                Outcome::Closed => closed += 1,
                Outcome::Other(answer) => *others.entry(answer.clone()).or_default() += 1,
            }
        }
        let times: Vec<_> = outcomes.iter().map(|(_, took)| *took).collect();
        let seats = usize::try_from(arguments.seats).expect("a number of seats");
        let p99 = percentile(&times, 99);
        Self {
            requests: outcomes.len(),
            seats,
            held,
            closed,
            others,
            took,
            p99,
            taken,
            registrations,
        }
    }

    fn other(&self) -> usize {
        self.others.values().sum()
    }

    fn seconds(&self) -> f64 {
        rounded(self.took.as_secs_f64())
    }

    fn result(&self) -> Value {
        json!({
            "requests": self.requests,
            "seats": self.seats,
            "held": self.held,
            "closed": self.closed,
            "other": self.other(),
            "seconds": self.seconds(),
            "p99_ms": milliseconds(self.p99),
        })
    }

    fn table(&self) -> Vec<Vec<String>> {
        vec![
            row([&"requests", &self.requests]),
            row([&"seats", &self.seats]),
            row([&"held", &self.held]),
            row([&"closed", &self.closed]),
            row([&"other", &self.other()]),
            row([&"seconds", &self.seconds()]),
            row([&"p99 ms", &milliseconds(self.p99)]),
        ]
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
            p99: Duration::from_secs(1),
            taken: 30,
            registrations: 30,
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
        let held = json!({ "bundles": [{}] });
        assert!(matches!(Outcome::of(201, &held), Outcome::Held));
        assert!(matches!(Outcome::of(409, &json!({ "code": "CLOSED" })), Outcome::Closed));
        assert!(matches!(Outcome::of(503, &json!({ "code": "BUSY" })), Outcome::Other(_)));
        assert!(matches!(Outcome::of(201, &json!({ "bundles": [] })), Outcome::Other(_)));
    }
}
