//! The worker's bench: a registration day into one site, what a silent site costs the others, and how soon a single
//! enrolment is there.

use std::collections::BTreeSet;

use events::{RegistrationConfirmed, WorkMarked};
use kernel::{Id, PersonId, PersonName, RegistrationId, SectionId};
use moodle::domain::{
    CohortRule, CourseRule, GroupRule, HiddenCourses, Kind, MoodleRoles, Naming, Profile,
    Registrations, Section, Site, SiteCode, SiteSettings, Standing, Work, WorkId,
};
use serde_json::{Value, json};
use table::{PageRequest, Partition, Record, Table};
use testkit::{MoodleAsked, MoodleFault, MoodleSite, MoodleSiteSettings, secret_not_put};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use crate::Common;
use crate::engine_process::{EngineProcess, table_at};
use crate::failure::{Explain, Failure};
use crate::function::{Function, Functions, Invoker, Outside};
use crate::offering::deliver;
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::student_id;
use crate::statistics::{mebibytes, median, percentile, rounded};

const MOODLE: &str = "moodle";
const WORKER: &str = "on-work-marked";
/// As the worker is deployed.
const WORKER_TIMEOUT: Duration = Duration::from_mins(5);
const WORKERS: usize = 6;
const COURSES_OF_A_STUDENT: usize = 4;
const STUDENT_ROLE: i64 = 5;
/// What the worker promises of itself.
const CONNECTIONS_MAX: u64 = 4;
/// A second's worth that was saved, and what a second brings.
const A_SECOND_MAX: u64 = 40;
const ENROLMENTS_PER_REQUEST_MIN: f64 = 25.0;
const PEAK_GROWTH_MAX: f64 = 1.2;
const PENALTY_MAX: f64 = 0.05;
const VISIBLE_P95_MAX_S: f64 = 10.0;

/// A registration day into Moodle, and what a site that is down costs the others
///
/// Registrations of students, four each, lie in the table with nothing sent: courses, accounts and enrolments are all
/// new. One process of the real `moodle-on-work-marked` brings them into a played site with the latencies that were
/// measured; a tenth of them first, since memory must not grow with their number. Then two sites are brought into step
/// by six processes, with a third one that has nothing to do and with one that never answers, three times in turn.
/// At last single registrations are confirmed on a quiet site, each of somebody new. The bench fails where an
/// enrolment is missing, or a bar is missed that `README.md` names.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(400..=40_000))]
    enrolments: u32,
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(40..=2_000))]
    courses: u32,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let programs = Programs::ready(&[MOODLE], false, arguments.common.no_build)?;
    let size = |number: u32| usize::try_from(number).expect("a number of things");
    let (enrolments, courses) = (size(arguments.enrolments), size(arguments.courses));
    let tenth = day(&programs, enrolments / 10, courses / 10).await?;
    let day = day(&programs, enrolments, courses).await?;
    let penalty = down_site_penalty(&programs, enrolments / 10, courses / 10).await?;
    let visible_p95_s = visible_p95_s(&programs).await?;
    let enrolling = "enrol_manual_enrol_users";
    let requests = day.asked.requests.get(enrolling).copied().unwrap_or_default();
    let sent = day.asked.items.get(enrolling).copied().unwrap_or_default();
    let result = json!({
        "enrolments": enrolments,
        "requests": requests,
        "enrolments_per_request": ratio(sent, requests),
        "look_ups": look_ups(&day.asked),
        "connections_max": day.asked.at_once_max,
        "requests_a_second_max": day.asked.a_second_max,
        "seconds": rounded(day.seconds),
        "peak_mib": day.peak_mib,
        "peak_mib_of_a_tenth": tenth.peak_mib,
        "down_site_penalty": penalty,
        "visible_p95_s": visible_p95_s,
    });
    print(arguments.common.json, &result, || rows(&result));
    check(&result)
}

fn rows(result: &Value) -> Vec<Vec<String>> {
    let members = result.as_object().into_iter().flatten();
    members.map(|(name, value)| row([name, value])).collect()
}

fn check(result: &Value) -> Result<(), Failure> {
    let number = |name: &str| result[name].as_f64().unwrap_or(f64::INFINITY);
    let growth = number("peak_mib") / number("peak_mib_of_a_tenth");
    for (is_met, bar) in [
        (number("enrolments_per_request") >= ENROLMENTS_PER_REQUEST_MIN, "requests are not full"),
        (result["connections_max"].as_u64() <= Some(CONNECTIONS_MAX), "too many connections"),
        (result["requests_a_second_max"].as_u64() <= Some(A_SECOND_MAX), "asked too often"),
        (growth <= PEAK_GROWTH_MAX, "memory grows with the number of enrolments"),
        (number("down_site_penalty") < PENALTY_MAX, "a site that is down costs the others time"),
        (number("visible_p95_s") < VISIBLE_P95_MAX_S, "a single enrolment takes too long"),
    ] {
        is_met.then_some(()).explain(bar)?;
    }
    Ok(())
}

fn look_ups(asked: &MoodleAsked) -> u64 {
    let is_look_up = |name: &str| name.contains("_get_");
    asked.requests.iter().filter(|(name, _)| is_look_up(name)).map(|(_, count)| count).sum()
}

struct Day {
    asked: MoodleAsked,
    seconds: f64,
    peak_mib: f64,
}

async fn day(programs: &Programs, enrolments: usize, courses: usize) -> Result<Day, Failure> {
    let engine = EngineProcess::start(&[MOODLE]).await?;
    let table = table_at(engine.url(), MOODLE);
    let site = played_site("academics").await;
    put_university(&table, enrolments, courses).await?;
    add_site(&table, "academics", site.url(), enrolments, courses).await?;
    let outside = Outside::engine(engine.url());
    let worker = worker(programs, &outside, 1).await;
    let began = Instant::now();
    bring_into_step(&worker.invoker(), &table, "academics").await?;
    let seconds = began.elapsed().as_secs_f64();
    let peak_mib = mebibytes(worker.peak_kib()?);
    worker.stop().await?;
    engine.stop().await?;
    all_are_there(&site, enrolments)?;
    Ok(Day { asked: site.take_asked(), seconds, peak_mib })
}

async fn worker(programs: &Programs, outside: &Outside, processes: usize) -> Function {
    Function::start_for(WORKER_TIMEOUT, programs, outside, MOODLE, WORKER, processes).await
}

/// With the token of the site of this code; `function.rs` says under what it lies.
async fn played_site(code: &str) -> MoodleSite {
    let token = secret_not_put(&format!("moodle/{code}"));
    let settings = MoodleSiteSettings { token, latency_per_cent: 100, ..Default::default() };
    MoodleSite::start(settings).await
}

fn all_are_there(site: &MoodleSite, enrolments: usize) -> Result<(), Failure> {
    let active = site.enrolments().iter().filter(|one| one["suspended"] == false).count();
    (active == enrolments).then_some(()).explain(&format!("{active} enrolments stand there"))
}

/// Wakes the worker until nothing of the site is due; each time as the queue would.
async fn bring_into_step(worker: &Invoker, table: &Table, site: &str) -> Result<(), Failure> {
    const WAKES_MAX: u32 = 200;
    for _ in 0..WAKES_MAX {
        wake(worker, site).await?;
        if !is_anything_marked(table, site).await? {
            return Ok(());
        }
    }
    Err(Failure(format!("{site} does not come into step")))
}

async fn wake(worker: &Invoker, site: &str) -> Result<(), Failure> {
    let event = WorkMarked { site: site.to_owned(), kind: "site".into(), entity: "bench".into() };
    let envelope = testkit::delivery(WORKER, event).envelope;
    let reply = worker.invoke(testkit::sqs_batch(&[envelope])).await?;
    let is_taken = reply["batchItemFailures"].as_array().is_some_and(Vec::is_empty);
    is_taken.then_some(()).explain("the worker did not take the wake-up in")
}

async fn is_anything_marked(table: &Table, site: &str) -> Result<bool, Failure> {
    let first = PageRequest { after: None, limit: 1 };
    for kind in Kind::MARKED {
        let due = Partition::<Work>::in_index(format!("DUE#{site}#{}", kind.name()), "");
        let page = table.query(&due, &first).await.explain("what is due cannot be read")?;
        if !page.records.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn section_id(number: usize) -> SectionId {
    SectionId::derived_from(&format!("section {number}"))
}

/// Sections, students and their registrations, as the events of other contexts would have left them.
async fn put_university(table: &Table, enrolments: usize, courses: usize) -> Result<(), Failure> {
    let mut writer = Writer::new(table);
    for number in 0..courses {
        writer.put(&section(number)).await?;
    }
    for number in 0..enrolments / COURSES_OF_A_STUDENT {
        writer.put(&profile(number)).await?;
    }
    for (section, student) in registered(enrolments, courses) {
        let mut known = Registrations::none(section, student);
        let id = RegistrationId::derived_from(&format!("{section}{student}"));
        known.learn(id, Standing::Confirmed);
        writer.put(&known).await?;
    }
    writer.commit().await
}

/// A site with everything of the university marked in it.
async fn add_site(
    table: &Table,
    code: &str,
    url: &str,
    enrolments: usize,
    courses: usize,
) -> Result<(), Failure> {
    let now = shell::now();
    let site = SiteCode(code.to_owned());
    let mut writer = Writer::new(table);
    let settings = settings(code, url);
    writer.put(&Site { code: site.clone(), settings, changed_at: now }).await?;
    let marked = |kind, entity: String| {
        let id = WorkId { site: site.clone(), kind, entity };
        Work::marked(&id, None, now, "bench")
    };
    for number in 0..courses {
        writer.put(&marked(Kind::Course, section_id(number).to_string())).await?;
    }
    for number in 0..enrolments / COURSES_OF_A_STUDENT {
        writer.put(&marked(Kind::User, student_id(number).to_string())).await?;
    }
    for (section, student) in registered(enrolments, courses) {
        writer.put(&marked(Kind::Enrolment, moodle::sync::entity_of(section, student))).await?;
    }
    writer.commit().await
}

/// Every student in as many sections, spread evenly.
fn registered(enrolments: usize, courses: usize) -> impl Iterator<Item = (SectionId, PersonId)> {
    let apart = courses / COURSES_OF_A_STUDENT;
    (0..enrolments).map(move |number| {
        let (student, nth) = (number / COURSES_OF_A_STUDENT, number % COURSES_OF_A_STUDENT);
        (section_id((student + nth * apart) % courses), student_id(student))
    })
}

fn section(number: usize) -> Section {
    Section {
        section: section_id(number),
        section_version: 1,
        code: format!("MATH{number}-A"),
        term_code: "2027S".into(),
        course_code: format!("MATH{number}"),
        course_title: "Calculus & Analysis".into(),
        department: "MATH".into(),
        starts_at_s: 0,
        ends_at_s: 0,
        teachers: BTreeSet::new(),
    }
}

fn profile(number: usize) -> Profile {
    Profile {
        person: student_id(number),
        name: PersonName { given: "Zoé".into(), family: format!("Ngono {number}") },
        email: format!("student{number}@matricula.example").parse().expect("an address"),
        profile_version: 1,
    }
}

fn settings(code: &str, url: &str) -> SiteSettings {
    SiteSettings {
        title: "Bench".into(),
        url: url.to_owned(),
        token_secret: code.to_owned(),
        is_active: true,
        people: Vec::new(),
        courses: CourseRule::All,
        roles: MoodleRoles { student: STUDENT_ROLE, teacher: None },
        naming: Naming {
            username: "{email}".into(),
            course_full_name: "{course_title} ({section_code})".into(),
            course_short_name: "{section_code} {term_code}".into(),
            categories: vec!["{term_code}".into(), "{department}".into()],
        },
        cohorts: Vec::<CohortRule>::new(),
        groups: GroupRule::None,
        hidden_courses: HiddenCourses::default(),
        requests_per_second: SiteSettings::requests_per_second(),
        auth: "manual".into(),
    }
}

/// Records in transactions that are as large as they may be.
struct Writer<'t> {
    table: &'t Table,
    transaction: table::Transaction<'t>,
    count: usize,
}

impl<'t> Writer<'t> {
    const AT_ONCE_MAX: usize = 100;

    fn new(table: &'t Table) -> Self {
        Self { table, transaction: table.transaction(), count: 0 }
    }

    async fn put(&mut self, record: &impl Record) -> Result<(), Failure> {
        self.transaction.create(record);
        self.count += 1;
        if self.count == Self::AT_ONCE_MAX {
            self.count = 0;
            let full = std::mem::replace(&mut self.transaction, self.table.transaction());
            full.commit().await.explain("the university cannot be written")?;
        }
        Ok(())
    }

    async fn commit(self) -> Result<(), Failure> {
        if self.transaction.is_empty() {
            return Ok(());
        }
        self.transaction.commit().await.explain("the university cannot be written")
    }
}

/// By how much two sites are slowed by a third one that never answers.
async fn down_site_penalty(
    programs: &Programs,
    enrolments: usize,
    courses: usize,
) -> Result<f64, Failure> {
    const ROUNDS: u32 = 3;
    let (mut idle, mut down) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        idle.push(two_sites(programs, enrolments, courses, false).await?);
        down.push(two_sites(programs, enrolments, courses, true).await?);
    }
    Ok(rounded(median(&down).as_secs_f64() / median(&idle).as_secs_f64() - 1.0))
}

/// How long two sites take into step, while a third one has nothing to do or never answers.
async fn two_sites(
    programs: &Programs,
    enrolments: usize,
    courses: usize,
    with_silent_site: bool,
) -> Result<Duration, Failure> {
    let engine = EngineProcess::start(&[MOODLE]).await?;
    let table = table_at(engine.url(), MOODLE);
    put_university(&table, enrolments, courses).await?;
    let live =
        [("academics", played_site("academics").await), ("finance", played_site("finance").await)];
    for (code, site) in &live {
        add_site(&table, code, site.url(), enrolments, courses).await?;
    }
    let silent = played_site("hr").await;
    silent.break_after(0, MoodleFault::CarriedOutUnanswered, u64::MAX);
    if with_silent_site {
        add_site(&table, "hr", silent.url(), enrolments, courses).await?;
    }
    let worker = worker(programs, &Outside::engine(engine.url()), WORKERS).await;
    let began = Instant::now();
    let mut wakes: JoinSet<Result<(&'static str, Duration), Failure>> = JoinSet::new();
    // As many wake-ups of each site as it has courses, mixed as they would lie in the queue.
    for _ in 0..courses {
        for site in ["academics", "finance", "hr"] {
            if site != "hr" || with_silent_site {
                let worker = worker.invoker();
                wakes.spawn(
                    async move { wake(&worker, site).await.map(|()| (site, began.elapsed())) },
                );
            }
        }
    }
    let ended: Vec<_> = wakes.join_all().await.into_iter().collect::<Result<_, _>>()?;
    worker.stop().await?;
    engine.stop().await?;
    for (_, site) in &live {
        all_are_there(site, enrolments)?;
    }
    let of_live = ended.into_iter().filter(|(site, _)| *site != "hr").map(|(_, after)| after);
    of_live.max().explain("nobody was woken")
}

/// From a confirmed registration of somebody new until their enrolment stands in the site; without stream, bus and
/// queue, which only a deployed stack has.
async fn visible_p95_s(programs: &Programs) -> Result<f64, Failure> {
    const TIMES: usize = 40;
    let engine = EngineProcess::start(&[MOODLE]).await?;
    let table = table_at(engine.url(), MOODLE);
    let site = played_site("academics").await;
    put_university(&table, TIMES * COURSES_OF_A_STUDENT, COURSES_OF_A_STUDENT).await?;
    add_site(&table, "academics", site.url(), 0, COURSES_OF_A_STUDENT).await?;
    let outside = Outside::engine(engine.url());
    let worker = worker(programs, &outside, 1).await;
    bring_into_step(&worker.invoker(), &table, "academics").await?;
    let mut functions = Functions::new(programs, outside.clone());
    let mut waited = Vec::new();
    for number in 0..TIMES {
        let event = RegistrationConfirmed {
            registration: RegistrationId::derived_from(&format!("single {number}")),
            student: student_id(number),
            section: section_id(0),
            ..events::Event::example()
        };
        let began = Instant::now();
        deliver(&mut functions, MOODLE, "on-registration-changed", event).await?;
        wake(&worker.invoker(), "academics").await?;
        waited.push(began.elapsed());
        let there = site.enrolments().len();
        (there > number).then_some(()).explain("a single enrolment did not arrive")?;
    }
    functions.stop().await?;
    worker.stop().await?;
    engine.stop().await?;
    Ok(rounded(percentile(&waited, 95).as_secs_f64()))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn ratio(whole: u64, parts: u64) -> f64 {
    rounded(whole as f64 / parts as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_student_is_in_as_many_different_sections() {
        let all: BTreeSet<_> = registered(400, 40).collect();
        assert_eq!(all.len(), 400);
        let of_one = all.iter().filter(|(_, student)| *student == student_id(7));
        assert_eq!(of_one.count(), COURSES_OF_A_STUDENT);
    }

    #[test]
    fn a_missed_bar_fails_the_bench() {
        let good = json!({
            "enrolments_per_request": 50.0, "connections_max": 4, "requests_a_second_max": 40, "peak_mib": 22.0,
            "peak_mib_of_a_tenth": 20.0, "down_site_penalty": 0.01, "visible_p95_s": 1.0,
        });
        assert!(check(&good).is_ok());
        for (name, bad) in [
            ("enrolments_per_request", json!(24.9)),
            ("connections_max", json!(5)),
            ("requests_a_second_max", json!(41)),
            ("peak_mib", json!(40.0)),
            ("down_site_penalty", json!(0.06)),
            ("visible_p95_s", json!(10.5)),
        ] {
            let mut missed = good.clone();
            missed[name] = bad;
            assert!(check(&missed).is_err(), "{name}");
        }
    }
}
