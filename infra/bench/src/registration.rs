//! Registration day: all students of a university with their carts, at Matricula and at a plain service on PostgreSQL.
//! Whether anybody is sold what is not there, and what a registration costs.

mod day;
mod load;
mod ours;
mod truth;
mod twin;
mod validation;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use self::day::Day;
use self::ours::ENROLLMENT;
use crate::Common;
use crate::failure::{Explain, Failure};
use crate::programs::Programs;
use crate::report::{print, row};
use crate::statistics::rounded;

pub use self::validation::measure as measure_validation;

/// A registration day of a whole university, beside FastAPI and PostgreSQL
///
/// `--students` students with carts of five sections, three sections for each 40 students, popular ones wanted by many
/// more than they have seats for, all from `--seed`. `--clients` clients take one student after the other: the cart
/// (every fiftieth is sent twice under its key), then a place in line for at most two sections without a free seat.
/// The same load goes over HTTP to the real `enrollment-submit` and `enrollment-join-waitlist`, on the embedded engine
/// on disk, and then to the service in `tests/bench/registration` on PostgreSQL, as many workers as cores. Before both,
/// a smaller day with faults on 5 % of the calls.
///
/// `per_second`: seats held a second, of which each is a registration. `p50_ms`, `p95_ms`, `p99_ms`: what a student
/// waits for one answer. `calls`, `wcu`, `rcu` and `usd` are DynamoDB's alone, for everything that the day asked,
/// refusals too; units follow from the items' sizes, prices are us-east-1's of 2025 on demand. `app_cpu` is the
/// processor time of our functions or of the twin's workers, `engine_cores` and `database_cores` what the engine and
/// PostgreSQL kept busy. The bench fails where a seat was given twice or was not there, a count does not agree, a line
/// is out of order, a refusal has no code, our functions take more than a tenth of the twin's processor time for a
/// registration, or a validation takes more than 200 µs or two reads.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(40..=50_000))]
    students: u32,
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Leave out the service that it is compared with
    #[arg(long)]
    no_twin: bool,
}

const APP_CPU_RATIO_MAX: f64 = 0.1;
const JUDGE_MAX_US: f64 = 200.0;
const READS_MAX: u64 = 2;
/// On-demand prices of one unit, in USD: us-east-1, 2025.
const USD_PER_WCU: f64 = 0.625e-6;
const USD_PER_RCU: f64 = 0.125e-6;
/// The day with faults has so many students less.
const FAULTY_PART: u32 = 10;
const FAULTY_MIN: u32 = 40;

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let programs = Programs::ready(&[ENROLLMENT], false, arguments.common.no_build)?;
    let Arguments { students, seed, .. } = *arguments;
    let clients = usize::from(arguments.clients);
    let of = |students: u32| {
        let students = usize::try_from(students).expect("a number of students");
        Arc::new(Day::of(students, seed))
    };
    let folder = Folder::make()?;

    let validation = validation::run().await?;
    let few = of((students / FAULTY_PART).max(FAULTY_MIN));
    let faulty_folder = folder.room("engine-with-faults")?;
    let faulty = ours::run(&few, &programs, faulty_folder, clients, Some(seed)).await?;
    let day = of(students);
    let ours = ours::run(&day, &programs, folder.room("engine")?, clients, None).await?;
    let twin = if arguments.no_twin {
        None
    } else {
        Some(twin::run(&day, &folder.room("twin")?, clients).await?)
    };

    let mut flaws = ours.truth.flaws(&ours.seen);
    let with_faults = faulty.truth.flaws(&faulty.seen);
    flaws.extend(with_faults.into_iter().map(|flaw| format!("with faults: {flaw}")));
    let of_twin = twin.iter().flat_map(twin::Outcome::flaws);
    flaws.extend(of_twin.map(|flaw| format!("the twin: {flaw}")));

    let result = result(&day, &ours, &faulty, twin.as_ref(), &validation);
    print(arguments.common.json, &result, || table(&result));
    check(&result, flaws)
}

/// What the day came to, for machines.
fn result(
    day: &Day,
    ours: &ours::Outcome,
    faulty: &ours::Outcome,
    twin: Option<&twin::Outcome>,
    validation: &Value,
) -> Value {
    let seen = &ours.seen;
    let registrations = seen.held.len();
    let (read, written) = ours.units;
    let calls = ours.calls.reads + ours.calls.writes;
    let wcu = ratio(written, number(registrations));
    let rcu = ratio(read, number(registrations));
    let mut result = json!({
        "students": day.students.len(),
        "sections": day.sections.len(),
        "seats": day.seats(),
        "requests": seen.times.len(),
        "registrations": registrations,
        "in_line": seen.in_line.len(),
        "refusals": seen.refusals,
        "per_second": seen.per_second(),
        "p50_ms": seen.percentile_ms(50),
        "p95_ms": seen.percentile_ms(95),
        "p99_ms": seen.percentile_ms(99),
        "oversold": ours.truth.oversold() + faulty.truth.oversold(),
        "duplicates": ours.truth.duplicates() + faulty.truth.duplicates(),
        "calls_per_registration": ratio(number(calls), number(registrations)),
        "wcu_per_registration": wcu,
        "rcu_per_registration": rcu,
        "wcu_per_second": rounded(wcu * seen.per_second()),
        "usd_per_1000": rounded((wcu * USD_PER_WCU + rcu * USD_PER_RCU) * 1_000.0),
        "app_cpu_ms_per_registration": per_registration(ours.app_cpu, registrations),
        "engine_cores": ratio(ours.engine_cpu.as_secs_f64(), seen.took.as_secs_f64()),
        "with_faults": {
            "requests": faulty.seen.times.len(),
            "registrations": faulty.seen.held.len(),
            "told_to_come_again": faulty.seen.retries,
        },
        "validation": validation,
    });
    let members = result.as_object_mut().expect("it is an object");
    if let Some(twin) = twin {
        beside(members, ours, twin);
    }
    result
}

fn beside(members: &mut Map<String, Value>, ours: &ours::Outcome, twin: &twin::Outcome) {
    let (our, their) = (&ours.seen, &twin.seen);
    let app_cpu = per_registration(twin.app_cpu, their.held.len());
    let our_app_cpu = per_registration(ours.app_cpu, our.held.len());
    let peer = json!({
        "registrations": their.held.len(),
        "per_second": their.per_second(),
        "p50_ms": their.percentile_ms(50),
        "p95_ms": their.percentile_ms(95),
        "p99_ms": their.percentile_ms(99),
        "app_cpu_ms_per_registration": app_cpu,
        "database_cores": ratio(twin.database_cpu.as_secs_f64(), their.took.as_secs_f64()),
    });
    members.insert("peer".to_owned(), peer);
    let ratios = [
        ("throughput_ratio", ratio(our.per_second(), their.per_second())),
        ("p99_ratio", ratio(our.percentile_ms(99), their.percentile_ms(99))),
        ("app_cpu_ratio", ratio(our_app_cpu, app_cpu)),
    ];
    members.extend(ratios.map(|(name, ratio)| (name.to_owned(), json!(ratio))));
}

fn table(result: &Value) -> Vec<Vec<String>> {
    let peer = &result["peer"];
    let mut rows = vec![row([&"", &"Matricula", &"FastAPI + PostgreSQL"])];
    let mut both = |what: &str, name: &str| {
        let theirs = if peer[name].is_null() { "–".to_owned() } else { peer[name].to_string() };
        rows.push(row([&what, &result[name], &theirs]));
    };
    both("students", "students");
    both("requests", "requests");
    both("registrations", "registrations");
    both("registrations a second", "per_second");
    both("p50 ms", "p50_ms");
    both("p95 ms", "p95_ms");
    both("p99 ms", "p99_ms");
    both("oversold", "oversold");
    both("duplicates", "duplicates");
    both("processor of the service, ms a registration", "app_cpu_ms_per_registration");
    let cores = [&result["engine_cores"], &peer["database_cores"]];
    rows.push(row([&"cores that the engine, or PostgreSQL, kept busy", cores[0], cores[1]]));
    let mut ours = |what: &str, value: &Value| rows.push(row([&what, value]));
    ours("DynamoDB calls a registration", &result["calls_per_registration"]);
    ours("write units a registration", &result["wcu_per_registration"]);
    ours("read units a registration", &result["rcu_per_registration"]);
    ours("write units a second that this would be", &result["wcu_per_second"]);
    ours("DynamoDB, USD per 1,000 registrations", &result["usd_per_1000"]);
    ours("throughput beside the other", &result["throughput_ratio"]);
    ours("p99 beside the other", &result["p99_ratio"]);
    ours("processor of the service beside the other", &result["app_cpu_ratio"]);
    ours("judging a cart of 8 against 40 courses, µs", &result["validation"]["judge_us"]);
    ours("validating it from event to reply, µs", &result["validation"]["operation_us"]);
    ours("reads of a validation", &result["validation"]["reads"]);
    for (code, times) in result["refusals"].as_object().into_iter().flatten() {
        rows.push(row([&format!("refused with {code}"), times]));
    }
    rows
}

/// Of many flaws the first are told.
const TOLD_MAX: usize = 20;

/// The bars. What is only a goal is told and not asked.
fn check(result: &Value, mut flaws: Vec<String>) -> Result<(), Failure> {
    let figure = |value: &Value| value.as_f64().unwrap_or(f64::INFINITY);
    let validation = &result["validation"];
    if figure(&validation["judge_us"]) > JUDGE_MAX_US {
        flaws.push(format!("judging a cart takes more than {JUDGE_MAX_US} µs"));
    }
    if validation["reads"].as_u64().is_none_or(|reads| reads > READS_MAX) {
        flaws.push(format!("a validation takes more than {READS_MAX} reads"));
    }
    if !result["peer"].is_null() && figure(&result["app_cpu_ratio"]) > APP_CPU_RATIO_MAX {
        let ratio = &result["app_cpu_ratio"];
        flaws.push(format!("app_cpu_ratio is {ratio}, more than {APP_CPU_RATIO_MAX}"));
    }
    let more = flaws.len().saturating_sub(TOLD_MAX);
    flaws.truncate(TOLD_MAX);
    if more > 0 {
        flaws.push(format!("and {more} more"));
    }
    if flaws.is_empty() { Ok(()) } else { Err(Failure(flaws.join("; "))) }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

/// Nothing of nothing is nothing.
fn ratio(one: f64, other: f64) -> f64 {
    if other > 0.0 { rounded(one / other) } else { 0.0 }
}

fn per_registration(cpu: Duration, registrations: usize) -> f64 {
    ratio(cpu.as_secs_f64() * 1_000.0, number(registrations))
}

/// Where engine and PostgreSQL keep their tables, on disk; gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    /// In `/var/tmp`, which is on disk and which anybody may reach: PostgreSQL is not run as root.
    fn make() -> Result<Self, Failure> {
        let path = Path::new("/var/tmp").join(format!("matricula-bench-{:x}", fastrand::u64(..)));
        std::fs::create_dir(&path).explain("there is no room in /var/tmp")?;
        Ok(Self(path))
    }

    fn room(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        std::fs::create_dir(&path).explain("there is no room in /var/tmp")?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("bench: {} stays behind: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(change: impl FnOnce(&mut Value)) -> Value {
        let mut result = json!({
            "peer": {},
            "app_cpu_ratio": 0.1,
            "validation": { "judge_us": 200.0, "reads": 2 },
        });
        change(&mut result);
        result
    }

    #[test]
    fn the_bars_are_met_or_the_bench_fails() {
        let passes = |result: &Value| check(result, Vec::new()).is_ok();
        assert!(passes(&result(|_| ())));
        assert!(!passes(&result(|it| it["app_cpu_ratio"] = json!(0.101))));
        assert!(!passes(&result(|it| it["validation"]["judge_us"] = json!(200.1))));
        assert!(!passes(&result(|it| it["validation"]["reads"] = json!(3))));
        assert!(passes(&result(|it| {
            it["peer"] = Value::Null;
            it["app_cpu_ratio"] = Value::Null;
        })));
        assert!(check(&result(|_| ()), vec!["a seat was oversold".to_owned()]).is_err());
    }
}
