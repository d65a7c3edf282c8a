//! What it costs to judge a cart of eight sections against forty past courses: in a process of its own, whose time is
//! nobody else's.

use std::process::Stdio;
use std::time::Duration;

use enrollment::Ctx;
use enrollment::domain::{
    AcademicBackground, Background, Cart, Door, History, SectionSeats, StudentTerm, decide,
};
use enrollment::operations::validate_submission;
use events::SectionOffered;
use kernel::{CourseId, Date, Id, Meeting, PersonId, RegistrationId, SectionId, TermId, Weekday};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use shell::http::Door as HttpDoor;
use tokio::process::Command;
use tokio::time::Instant;

use super::ours::ENROLLMENT;
use crate::engine_process::{EngineProcess, table_at};
use crate::failure::{Explain, Failure};
use crate::function::{Outside, environment};
use crate::offering;
use crate::requests::{student, student_id};
use crate::statistics::{median, rounded};

const CART: usize = 8;
const PAST_COURSES: usize = 40;
const TIMES: usize = 300;
/// The first ones build validators and connections.
const WARM_UP: usize = 20;
/// Judgements that are timed together: one alone is nearly as short as reading the clock.
const AT_ONCE: u32 = 20;

/// Processor time: `judge_us` of the decision alone, `operation_us` from the gateway's event to the reply, with its
/// calls of DynamoDB, which answers in another process; and the calls of one validation.
pub async fn run() -> Result<Value, Failure> {
    let mut engine = EngineProcess::start(&[ENROLLMENT]).await?;
    let table = table_at(engine.url(), ENROLLMENT);
    let mut transaction = table.transaction();
    for section in sections() {
        transaction.create(&SectionSeats::offered(section, None));
    }
    transaction.create(&history());
    transaction.commit().await.explain("sections cannot be written")?;
    engine.take_calls().await?;
    let bench = std::env::current_exe().explain("where the bench itself lies is unknown")?;
    let output = Command::new(bench)
        .arg("measure-validation")
        .envs(environment(ENROLLMENT, &Outside::engine(engine.url())))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .explain("the measuring process does not start")?;
    output.status.success().then_some(()).explain("the measuring process failed")?;
    let calls = engine.take_calls().await?;
    engine.stop().await?;
    // Before it come the lines that a function logs.
    let lines = String::from_utf8_lossy(&output.stdout);
    let last = lines.lines().last().explain("the measuring process says nothing")?;
    let mut result: Value = serde_json::from_str(last).explain("what was measured is no JSON")?;
    let validations = u64::try_from(WARM_UP + TIMES).expect("few");
    (calls.writes == 0).then_some(()).explain("a validation writes")?;
    result["reads"] = json!(calls.reads.div_ceil(validations));
    Ok(result)
}

/// The other process: one thread, as a function has.
#[expect(clippy::print_stdout, reason = "the bench that started this process reads it")]
pub async fn measure() -> Result<(), Failure> {
    let measuring = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let judge_us = judgement()?;
        let operation_us = runtime.explain("there is no runtime")?.block_on(operation())?;
        Ok(json!({ "judge_us": judge_us, "operation_us": operation_us }))
    });
    let measured: Result<Value, Failure> = measuring.await.explain("the measuring broke off")?;
    println!("{}", measured?);
    Ok(())
}

/// Processor time of this thread.
fn spent() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

fn microseconds(times: &[Duration]) -> f64 {
    rounded(median(times).as_secs_f64() * 1_000_000.0)
}

fn judgement() -> Result<f64, Failure> {
    let seats: Vec<SectionSeats> =
        sections().into_iter().map(|section| SectionSeats::offered(section, None)).collect();
    let term = offering::section("section", 0).term.id;
    let items: Vec<(SectionId, RegistrationId)> = seats
        .iter()
        .map(|seats| (seats.section, RegistrationId::derived_from(&seats.code)))
        .collect();
    let seats = seats.into_iter().map(|seats| (seats.section, seats)).collect();
    let standing = StudentTerm::empty(somebody(), term);
    let (history, now) = (history(), shell::now());
    let mut times = Vec::new();
    for number in 0..WARM_UP + TIMES {
        let began = spent();
        for _ in 0..AT_ONCE {
            let known = AcademicBackground {
                term,
                first_day: None,
                terms: &[],
                history: &history,
                held_counts: false,
            };
            let background = Background {
                history: history.completed(),
                record: known.record(),
                attempts: known.attempts(),
                ..Background::default()
            };
            let cart = Cart { term, items: &items, door: Door::Public };
            let decision = decide(&cart, &seats, &standing, &background, now);
            let passed: usize = decision.bundles.iter().map(|bundle| bundle.entries.len()).sum();
            (passed == CART).then_some(()).explain("a section of the cart does not pass")?;
        }
        if number >= WARM_UP {
            times.push(spent().saturating_sub(began) / AT_ONCE);
        }
    }
    Ok(microseconds(&times))
}

async fn operation() -> Result<f64, Failure> {
    let ctx = Ctx::from_environment();
    let door = HttpDoor::<validate_submission::Command>::new(&validate_submission::ROUTE);
    let cart = json!({
        "term": offering::section("section", 0).term.id,
        "sections": sections().iter().map(|section| section.section).collect::<Vec<_>>(),
    });
    let event = testkit::http_event("POST", &[], &cart, Some(&student(0)));
    let mut times = Vec::new();
    for number in 0..WARM_UP + TIMES {
        let deadline = Instant::now() + Duration::from_secs(10);
        let began = spent();
        let reply = door.answer(&ctx, &validate_submission::handle, &event, deadline).await;
        if number >= WARM_UP {
            times.push(spent().saturating_sub(began));
        }
        let body = reply["body"].as_str().unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let passed = body["bundles"].as_array().map(Vec::len);
        (passed == Some(CART)).then_some(()).explain(&format!("the cart does not pass: {body}"))?;
    }
    Ok(microseconds(&times))
}

fn somebody() -> PersonId {
    student_id(0)
}

fn past_course(number: usize) -> String {
    format!("PAST{number:02}")
}

fn history() -> History {
    let mut history = History::empty(somebody());
    for number in 0..PAST_COURSES {
        let code = past_course(number);
        history.courses.push(CourseId::derived_from(&code));
        history.course_codes.insert(code, [TermId::derived_from("the term before")].into());
    }
    history
}

/// Each meets twice a week and requires two of three courses, or one that was not taken.
fn sections() -> Vec<SectionOffered> {
    (0..CART).map(section).collect()
}

fn section(number: usize) -> SectionOffered {
    let code = format!("SECTION{number}");
    let hour = |at: usize| format!("{:02}:00", 8 + at).parse().expect("a time");
    let meeting = Meeting::weekly(
        vec![Weekday::Monday, Weekday::Thursday],
        (hour(number), hour(number + 1)),
        (Date::constant(2027, 2, 1), Date::constant(2027, 6, 30)),
    );
    let [a, b, c] = [0, 1, 2].map(|at| past_course((number * 3 + at) % PAST_COURSES));
    let prerequisites = format!(
        "(course({a}) AND course({b})) OR (course(NEVER) AND n_of(2, course({b}), course({c})))"
    );
    let mut offered = offering::section(&code, 30);
    offered.code.clone_from(&code);
    offered.course.id = CourseId::derived_from(&code);
    offered.course.code = code;
    offered.course.prerequisites = Some(prerequisites.parse().expect("a requirement"));
    offered.credits_hundredths = 500;
    offered.meetings = vec![meeting];
    offered
}
