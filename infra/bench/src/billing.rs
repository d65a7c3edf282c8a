//! The bursar's benches: a tuition run over a whole university, many issuers of one series of invoices, and the
//! replay of a long ledger.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use billing::domain::{
    Account, Booking, JournalEntry, Line, PostingPeriod, PriceGroupCode, RegisterRow, Registered,
    Replay, Source, SourceKind, TermBill,
};
use events::ChargeableRegistration;
use kernel::{BundleId, Currency, Date, Id, Money, PersonId, RegistrationId, SectionId, TermId};
use serde_json::{Value, json};
use table::{PageRequest, Partition, Table};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Common;
use crate::engine_process::{EngineProcess, table_at};
use crate::failure::{Explain, Failure};
use crate::function::{Function, Functions, Invoker, Outside};
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::{Request, bursar, carried_out, step, student_id};
use crate::statistics::{mebibytes, rounded};

const BILLING: &str = "billing";
const TERM_CODE: &str = "2027S";
/// The bench's own deployment numbers its invoices so; see `function.rs`.
const ENTITY: &str = "MAT";

/// A tuition run, many issuers of one series, and the replay of a ledger
///
/// Tuition: bills of as many students as asked for lie in the table, with nothing billed; one process of the real
/// `billing-continue-tuition-runs` brings them all to what is due, tick by tick, and a second run must find
/// nothing to do. It is run for a tenth of the students first: memory must not grow with their number. Issue:
/// that many processes of the real `billing-charge` issue invoices of one series at once. Replay: a child
/// process reads a journal of that many lines as JSON Lines and folds it. The bench fails where a number is
/// missing or given twice, somebody is billed twice, or the replayed ledger does not balance.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    students: u32,
    /// Processes that issue at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=256))]
    issuers: u32,
    #[arg(long, default_value_t = 640, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    invoices: u32,
    /// Lines of the journal that is replayed
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(4..=10_000_000))]
    lines: u32,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let programs = Programs::ready(&[BILLING], false, arguments.common.no_build)?;
    let tenth = tuition(&programs, arguments.students / 10).await?;
    let tuition = tuition(&programs, arguments.students).await?;
    let issue = issue(&programs, arguments.issuers, arguments.invoices).await?;
    let replay = replay(arguments.lines).await?;
    let peak_growth = ratio(tuition.peak_mib, tenth.peak_mib);
    let result = json!({
        "tuition": {
            "students": tuition.students,
            "per_second": tuition.per_second,
            "peak_mib": tuition.peak_mib,
            "peak_mib_of_a_tenth": tenth.peak_mib,
            "peak_growth": peak_growth,
        },
        "issue": {
            "issuers": arguments.issuers,
            "invoices": issue.invoices,
            "per_second": issue.per_second,
            "gaps": issue.gaps,
            "duplicates": issue.duplicates,
        },
        "replay": replay,
    });
    print(arguments.common.json, &result, || rows(&result));
    if issue.gaps + issue.duplicates > 0 {
        return Err(Failure("the series has a gap, or a number twice".to_owned()));
    }
    (result["replay"]["sum"] == 0).then_some(()).explain("the replayed ledger does not balance")
}

fn rows(result: &Value) -> Vec<Vec<String>> {
    let (tuition, issue, replay) = (&result["tuition"], &result["issue"], &result["replay"]);
    vec![
        row([&"tuition run", &"students", &"a second", &"peak MiB", &"of a tenth"]),
        row([
            &"",
            &tuition["students"],
            &tuition["per_second"],
            &tuition["peak_mib"],
            &tuition["peak_mib_of_a_tenth"],
        ]),
        row([&"issue", &"invoices", &"a second", &"gaps", &"duplicates"]),
        row([&"", &issue["invoices"], &issue["per_second"], &issue["gaps"], &issue["duplicates"]]),
        row([&"replay", &"lines", &"seconds", &"peak MiB", &"sum"]),
        row([&"", &replay["lines"], &replay["seconds"], &replay["peak_mib"], &replay["sum"]]),
    ]
}

struct Tuition {
    students: u64,
    per_second: f64,
    peak_mib: f64,
}

async fn tuition(programs: &Programs, students: u32) -> Result<Tuition, Failure> {
    let engine = EngineProcess::start(&[BILLING]).await?;
    let table = table_at(engine.url(), BILLING);
    let term = TermId::derived_from(TERM_CODE);
    put_bills(&table, term, students).await?;
    let outside = Outside::engine(engine.url());
    let mut functions = Functions::new(programs, outside.clone());
    let run = start_run(&mut functions, term).await?;
    let ticks = Function::start(programs, &outside, BILLING, "continue-tuition-runs", 1).await;
    let began = Instant::now();
    let first = tick_until_done(&ticks.invoker(), &mut functions, &run).await?;
    let seconds = began.elapsed().as_secs_f64();
    let again = start_run(&mut functions, term).await?;
    let again = tick_until_done(&ticks.invoker(), &mut functions, &again).await?;
    let peak_mib = mebibytes(ticks.peak_kib()?);
    ticks.stop().await?;
    functions.stop().await?;
    engine.stop().await?;
    let seen = first["students"].as_u64().unwrap_or_default();
    let is_whole = seen == u64::from(students) && first["adjusted"] == first["students"];
    is_whole.then_some(()).explain(&format!("the run left somebody out: {first}"))?;
    (again["adjusted"] == 0).then_some(()).explain("the second run billed somebody again")?;
    Ok(Tuition { students: seen, per_second: rate(seen, seconds), peak_mib })
}

/// A bill of two registrations for each student, of which nothing is billed yet.
async fn put_bills(table: &Table, term: TermId, students: u32) -> Result<(), Failure> {
    const IN_ONE_TRANSACTION: u32 = 50;
    let mut number = 0;
    while number < students {
        let mut transaction = table.transaction();
        for _ in 0..IN_ONE_TRANSACTION.min(students - number) {
            transaction.create(&bill(term, number));
            number += 1;
        }
        transaction.commit().await.explain("bills cannot be written")?;
    }
    Ok(())
}

fn bill(term: TermId, number: u32) -> TermBill {
    let student = student_id(usize::try_from(number).expect("a number of a student"));
    let registered = |at: u32| Registered {
        registration: RegistrationId::derived_from(&format!("{number}#{at}")),
        bundle: BundleId::derived_from(&number.to_string()),
        section_code: format!("MATH10{at}-A"),
        course_title: "Calculus".into(),
        credits_hundredths: 600,
        price_group: PriceGroupCode("standard".into()),
        per_credit: francs(25_000),
        registered_on: Date::constant(2027, 1, 15),
        unwashed_hundredths: 600,
    };
    let mut bill = TermBill::new(student, term, TERM_CODE, francs(0).currency);
    bill.registered = vec![registered(1), registered(2)];
    bill
}

async fn start_run(functions: &mut Functions<'_>, term: TermId) -> Result<String, Failure> {
    let request = Request::post(json!({ "term": term })).by(bursar()).event();
    let run = carried_out(&functions.invoke(BILLING, "start-tuition-run", request).await?)?;
    run["id"].as_str().map(str::to_owned).explain("a run has an id")
}

/// Ticks as the schedule does, without its pauses.
async fn tick_until_done(
    ticks: &Invoker,
    functions: &mut Functions<'_>,
    run: &str,
) -> Result<Value, Failure> {
    const TICKS_MAX: u32 = 10_000;
    for _ in 0..TICKS_MAX {
        ticks.invoke(json!({})).await?;
        let request = Request::get().at("tuition_run", &run).by(bursar()).event();
        let read = carried_out(&functions.invoke(BILLING, "read-tuition-run", request).await?)?;
        if !read["finished_at"].is_null() {
            return Ok(read);
        }
    }
    Err(Failure("the tuition run does not end".to_owned()))
}

struct Issue {
    invoices: usize,
    per_second: f64,
    gaps: usize,
    duplicates: usize,
}

async fn issue(programs: &Programs, issuers: u32, invoices: u32) -> Result<Issue, Failure> {
    let engine = EngineProcess::start(&[BILLING]).await?;
    let outside = Outside::engine(engine.url());
    let mut functions = Functions::new(programs, outside.clone());
    let price = json!({ "per_credit": francs(25_000) });
    let price = Request::put(price).at("price_group", &"standard").by(bursar()).event();
    carried_out(&functions.invoke(BILLING, "set-price-group", price).await?)?;
    functions.stop().await?;
    let processes = usize::try_from(issuers).expect("a number of processes");
    let charge = Function::start(programs, &outside, BILLING, "charge", processes).await;
    let began = Instant::now();
    let mut work = JoinSet::new();
    for number in 0..invoices {
        work.spawn(charge_until_charged(charge.invoker(), number));
    }
    let issued: Vec<String> = work.join_all().await.into_iter().collect::<Result<_, _>>()?;
    let seconds = began.elapsed().as_secs_f64();
    charge.stop().await?;
    let numbers = register(&table_at(engine.url(), BILLING)).await?;
    engine.stop().await?;
    let distinct: BTreeSet<&String> = issued.iter().collect();
    let last = numbers.last().copied().unwrap_or_default();
    Ok(Issue {
        invoices: issued.len(),
        per_second: rate(issued.len() as u64, seconds),
        gaps: usize::try_from(last).unwrap_or_default().abs_diff(numbers.len()),
        duplicates: issued.len().abs_diff(distinct.len())
            + numbers.windows(2).filter(|pair| pair[0] == pair[1]).count()
            + issued.len().abs_diff(numbers.len()),
    })
}

/// Asked again while it is busy, as the state machine does; answers the invoice.
async fn charge_until_charged(charge: Invoker, number: u32) -> Result<String, Failure> {
    const ATTEMPTS_MAX: u32 = 50;
    let registration = ChargeableRegistration {
        registration: RegistrationId::derived_from(&number.to_string()),
        section: SectionId::derived_from("section"),
        section_code: "MATH101-A".into(),
        course_title: "Calculus".into(),
        credits_hundredths: 600,
        price_group: "standard".into(),
    };
    let command = step(json!({
        "bundle": BundleId::derived_from(&number.to_string()),
        "student": student_id(usize::try_from(number).expect("a number of a student")),
        "term": TermId::derived_from(TERM_CODE), "term_code": TERM_CODE,
        "registrations": [registration],
    }));
    let mut attempt = 0;
    loop {
        attempt += 1;
        match charge.invoke(command.clone()).await {
            Ok(reply) => {
                return reply["invoice"].as_str().map(str::to_owned).explain("no invoice");
            }
            Err(failure) if attempt == ATTEMPTS_MAX => return Err(failure),
            Err(_) => {}
        }
    }
}

/// The numbers in the register of this year's invoices.
async fn register(table: &Table) -> Result<Vec<u64>, Failure> {
    let year = shell::now().to_string()[..4].to_owned();
    let rows = Partition::<RegisterRow>::new(format!("REGISTER#{ENTITY}-{year}"), "");
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let mut numbers = Vec::new();
    loop {
        let found = table.query(&rows, &page).await.explain("the register cannot be read")?;
        numbers.extend(found.records.into_iter().map(|row| row.value.ordinal));
        page.after = found.next;
        if page.after.is_none() {
            return Ok(numbers);
        }
    }
}

/// In a process of its own, whose memory is nobody else's.
async fn replay(lines: u32) -> Result<Value, Failure> {
    let journal = Journal::write(lines)?;
    let bench = std::env::current_exe().explain("where the bench itself lies is unknown")?;
    let output = tokio::process::Command::new(bench)
        .arg("replay-journal")
        .arg(&journal.0)
        .output()
        .await
        .explain("the replay does not start")?;
    output.status.success().then_some(()).explain("the replay failed")?;
    serde_json::from_slice(&output.stdout).explain("the replay says nothing")
}

/// A journal as JSON Lines, gone when it is dropped.
struct Journal(PathBuf);

impl Drop for Journal {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            eprintln!("bench: {} stays behind: {error}", self.0.display());
        }
    }
}

impl Journal {
    /// Charges and payments in turn, of 10,000 students, two lines each.
    fn write(lines: u32) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("journal-{:x}.jsonl", fastrand::u64(..)));
        let file = File::create(&path).explain("the journal cannot be written")?;
        let journal = Self(path);
        let mut writer = BufWriter::new(file);
        for number in 0..lines / 2 {
            let entry = serde_json::to_vec(&entry(number)).explain("an entry is JSON")?;
            writer.write_all(&entry).explain("the journal cannot be written")?;
            writer.write_all(b"\n").explain("the journal cannot be written")?;
        }
        writer.flush().explain("the journal cannot be written")?;
        Ok(journal)
    }
}

fn entry(number: u32) -> JournalEntry {
    const STUDENTS: u32 = 10_000;
    let amount = francs(i64::from(number % 997) + 1);
    let taken = Money::new(-amount.minor, amount.currency);
    let is_charge = (number / STUDENTS).is_multiple_of(2);
    let (debit, credit) = if is_charge {
        (Account::Receivable, Account::Revenue)
    } else {
        (Account::Bank, Account::Receivable)
    };
    let effective_date = Date::constant(2027, 1, 15);
    let booking = Booking {
        booked_at: effective_date.in_tz("UTC").expect("a known time zone").timestamp(),
        effective_date,
        posting_period: PostingPeriod::of(effective_date),
    };
    let kind = if is_charge { SourceKind::Charge } else { SourceKind::Payment };
    let source = Source { kind, id: number.to_string() };
    let student = PersonId::derived_from(&(number % STUDENTS).to_string());
    let lines = [Line::new(debit, amount), Line::new(credit, taken)];
    JournalEntry::new(Some(student), booking, source, lines).expect("one amount on both sides")
}

/// The child's side: reads the journal line by line and folds it.
#[expect(clippy::print_stdout, reason = "the bench that started this process reads it")]
pub fn replay_journal(path: &Path) -> Result<(), Failure> {
    let began = std::time::Instant::now();
    let mut replay = Replay::default();
    let file = File::open(path).explain("the journal cannot be read")?;
    for line in BufReader::new(file).lines() {
        let line = line.explain("the journal cannot be read")?;
        let entry: JournalEntry = serde_json::from_str(&line).explain("an entry is JSON")?;
        replay.take(&entry).map_err(|refusal| Failure(format!("{refusal:?}")))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let sum = replay.trial_balance.sum(francs(0).currency);
    let result = json!({
        "lines": replay.trial_balance.lines,
        "students": replay.students().count(),
        "unbalanced": replay.unbalanced,
        "seconds": rounded(seconds),
        "peak_mib": mebibytes(own_peak_kib()?),
        "sum": i64::try_from(sum).unwrap_or(i64::MAX),
    });
    println!("{result}");
    Ok(())
}

fn own_peak_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status").explain("no memory is told")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.explain("no memory is told")
}

fn francs(minor: i64) -> Money {
    let currency: Currency = "XAF".parse().expect("a currency");
    Money::new(minor, currency)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn rate(count: u64, seconds: f64) -> f64 {
    rounded(count as f64 / seconds)
}

fn ratio(whole: f64, part: f64) -> f64 {
    rounded(whole / part)
}
