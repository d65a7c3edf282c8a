//! A day at Matricula: the real bootstraps, on an engine in a process of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;

use super::day::Day;
use super::load::{SUBMISSIONS, Seen, WAITLIST_ENTRIES, drive};
use super::truth::Truth;
use crate::engine_process::{Calls, EngineProcess, table_at};
use crate::failure::{Explain, Failure};
use crate::front;
use crate::function::{Function, Functions, Invoker, Outside};
use crate::offering::deliver;
use crate::programs::Programs;

pub const ENROLLMENT: &str = "enrollment";
/// Processes of each function, one invocation at a time each, as on Lambda.
const SUBMITTING: usize = 8;
const JOINING: usize = 4;

/// What a day came to.
pub struct Outcome {
    pub seen: Seen,
    pub truth: Truth,
    pub calls: Calls,
    /// Capacity units of reads and writes.
    pub units: (f64, f64),
    pub app_cpu: Duration,
    pub engine_cpu: Duration,
}

/// One day, with faults on the wire where a seed says so. `folder` is where the engine keeps its tables.
pub async fn run(
    day: &Arc<Day>,
    programs: &Programs,
    folder: PathBuf,
    clients: usize,
    faults: Option<u64>,
) -> Result<Outcome, Failure> {
    let mut engine = EngineProcess::start_in(folder, &[ENROLLMENT]).await?;
    let outside = Outside::engine(engine.url());
    open_the_day(day, programs, &outside).await?;
    let start = |operation, processes| {
        Function::start(programs, &outside, ENROLLMENT, operation, processes)
    };
    let submit = start("submit", SUBMITTING).await;
    let join = start("join-waitlist", JOINING).await;
    warm_up(&[submit.invoker(), join.invoker()], SUBMITTING).await?;
    let routes = [(SUBMISSIONS, submit.invoker()), (WAITLIST_ENTRIES, join.invoker())];
    let (url, front): (String, JoinHandle<()>) = front::open(routes.into())?;

    let cpu = |engine: &EngineProcess| Ok((submit.cpu()? + join.cpu()?, engine.cpu()?));
    let (app_before, engine_before) = cpu(&engine)?;
    engine.take_calls().await?;
    engine.take_units().await?;
    engine.set_faults(faults).await?;
    let seen = drive(day, &url, clients).await?;
    engine.set_faults(None).await?;
    let (app_after, engine_after) = cpu(&engine)?;
    let (calls, units) = (engine.take_calls().await?, engine.take_units().await?);

    front.abort();
    submit.stop().await?;
    join.stop().await?;
    let truth = Truth::read(engine.url(), ENROLLMENT).await?;
    engine.stop().await?;
    Ok(Outcome {
        seen,
        truth,
        calls,
        units,
        app_cpu: app_after.saturating_sub(app_before),
        engine_cpu: engine_after.saturating_sub(engine_before),
    })
}

/// The catalog has told of the term and its sections; what is known of students lies in the table.
async fn open_the_day(day: &Day, programs: &Programs, outside: &Outside) -> Result<(), Failure> {
    const STUDENTS_IN_ONE_TRANSACTION: usize = 30;
    let mut functions = Functions::new(programs, outside.clone());
    deliver(&mut functions, ENROLLMENT, "on-term-changed", day.term_changed()).await?;
    for section in &day.sections {
        deliver(&mut functions, ENROLLMENT, "on-section-offered", section.offered()).await?;
    }
    functions.stop().await?;
    let table = table_at(&outside.engine, ENROLLMENT);
    for students in day.students.chunks(STUDENTS_IN_ONE_TRANSACTION) {
        let mut transaction = table.transaction();
        for student in students {
            transaction.create(&student.known());
            transaction.create(&student.history());
            if let Some(hold) = student.hold() {
                transaction.create(&hold);
            }
        }
        transaction.commit().await.explain("students cannot be written")?;
    }
    Ok(())
}

/// No process begins cold: requests by nobody, which each refuses.
async fn warm_up(functions: &[Invoker], processes: usize) -> Result<(), Failure> {
    for function in functions {
        for _ in 0..2 * processes {
            function.invoke(testkit::http_event("POST", &[], &json!({}), None)).await?;
        }
    }
    Ok(())
}
