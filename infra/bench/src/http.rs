//! Warm HTTP operations on the embedded engine: how long a call takes, and how many calls of DynamoDB it makes.

mod operations;
mod world;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bars;
use crate::engine_process::EngineProcess;
use crate::failure::Failure;
use crate::function::{Functions, Outside};
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::carried_out;
use crate::statistics::{mebibytes, median, milliseconds, percentile};
use crate::{Chosen, Common};
use operations::{LEFT_OUT, OPERATIONS, Operation};
use world::World;

/// Calls of each operation before those that count: the first one builds validators and connections.
const WARM_UP: usize = 10;

/// In how many calls an operation that writes nothing reads.
const READS_MAX: u64 = 1;
/// Those that need more (docs/decisions/0012): how many, and why.
const READS_THAT_TAKE_MORE: [(&str, u64, &str); 9] = [
    (
        "catalog-read-clashes",
        2,
        "which timetables to look into stands in the section; it is for planners, now and then",
    ),
    (
        "catalog-list-registration-groups",
        2,
        "a group is offered as long as all its sections are; kept in the group, every change of a section would write \
         to all its groups",
    ),
    (
        "identity-list-sessions",
        2,
        "the sessions, and since when all before are over; a session of its own record is what makes log-out a single \
         write",
    ),
    ("billing-preview-tuition", 2, "the prices of what is asked for, beside what the student has"),
    (
        "operations-list-import-report",
        2,
        "where it is empty: an import without findings is not the same as no import",
    ),
    ("moodle-list-sites", 2, OPERATORS_VIEW),
    ("moodle-read-site", 6, OPERATORS_VIEW),
    ("moodle-list-stuck-work", 6, OPERATORS_VIEW),
    ("moodle-read-accounts", 2, OPERATORS_VIEW),
];
const OPERATORS_VIEW: &str = "an operator's view of several kinds of things: settings, health, each kind of work; \
                              counters beside them would be a second truth";

/// Warm operations: how long a call takes, and how many calls of DynamoDB it makes
///
/// One process for each operation, called again and again by one caller. `p50_ms` and `p99_ms`: from handing the
/// event to the Runtime API until the reply is there; gateway and authorizer are not in it. `reads` and `writes`:
/// calls of DynamoDB that one call makes, as the engine counts them (a transaction is one write), median. `peak_mib`:
/// the most memory that the process has had after all its calls. The bench fails at more than 40 MiB, and where an
/// operation that writes nothing reads in more calls than it may: one, or what docs/decisions/0012 allows it.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    chosen: Chosen,
    /// Calls of each operation
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: u32,
}

struct Measured {
    name: String,
    p50: Duration,
    p99: Duration,
    reads: u64,
    writes: u64,
    peak_kib: u64,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let contexts = &arguments.chosen.contexts;
    let programs = Programs::ready(contexts, false, arguments.common.no_build)?;
    let mut engine = EngineProcess::start(contexts).await?;
    let calls = usize::try_from(arguments.calls).expect("a count of calls");
    let mut world = World::new(WARM_UP + calls).await;
    let outside = Outside {
        engine: engine.url().to_owned(),
        payment_provider: world.payment_provider.url().to_owned(),
    };
    let mut functions = Functions::new(&programs, outside);
    world.prepare(&mut functions, contexts).await?;
    let mut measured = Vec::new();
    for (name, reason) in LEFT_OUT {
        eprintln!("bench: {name} is not measured: it {reason}");
    }
    let chosen = OPERATIONS
        .iter()
        .filter(|operation| contexts.iter().any(|context| context == operation.context));
    for operation in chosen {
        let figures = measure(&mut functions, &mut engine, &mut world, operation).await?;
        measured.extend(operation.is_measured.then_some(figures));
    }
    functions.stop().await?;
    engine.stop().await?;
    print(arguments.common.json, &result(&measured), || table(&measured));
    bars::check(&measured.iter().flat_map(Measured::over).collect::<Vec<_>>())
}

impl Measured {
    /// Which bars it is over.
    fn over(&self) -> impl Iterator<Item = String> {
        let Self { name, reads, writes, peak_kib, .. } = self;
        let more = READS_THAT_TAKE_MORE.iter().find(|(known, ..)| known == name);
        let most = more.map_or(READS_MAX, |(_, most, _)| *most);
        let costly = (*writes == 0 && *reads > most)
            .then(|| format!("{name} reads in {reads} calls, more than {most}"));
        costly.into_iter().chain(bars::memory(name, *peak_kib))
    }
}

async fn measure(
    functions: &mut Functions<'_>,
    engine: &mut EngineProcess,
    world: &mut World,
    operation: &Operation,
) -> Result<Measured, Failure> {
    let Operation { context, name, label, request, .. } = operation;
    let (mut times, mut reads, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    if *context == "identity" {
        world.hear(engine.url()).await;
    }
    engine.take_calls().await?;
    for number in 0..world.calls {
        let event = request(world, number).event();
        let began = Instant::now();
        let reply = functions.invoke(context, name, event).await?;
        let took = began.elapsed();
        let made = engine.take_calls().await?;
        let reply = carried_out(&reply)
            .map_err(|Failure(what)| Failure(format!("{context}-{name} {what}")))?;
        world.keep(label, reply);
        if number >= WARM_UP {
            times.push(took);
            reads.push(made.reads);
            writes.push(made.writes);
        }
    }
    Ok(Measured {
        name: format!("{context}-{name}"),
        p50: median(&times),
        p99: percentile(&times, 99),
        reads: median(&reads),
        writes: median(&writes),
        peak_kib: functions.peak_kib(context, name)?,
    })
}

fn result(measured: &[Measured]) -> Value {
    let operation = |Measured { name, p50, p99, reads, writes, peak_kib }: &Measured| {
        let figures = json!({
            "p50_ms": milliseconds(*p50), "p99_ms": milliseconds(*p99), "reads": reads,
            "writes": writes, "peak_mib": mebibytes(*peak_kib),
        });
        (name.clone(), figures)
    };
    json!({ "operations": measured.iter().map(operation).collect::<serde_json::Map<_, _>>() })
}

fn table(measured: &[Measured]) -> Vec<Vec<String>> {
    let mut rows =
        vec![row([&"operation", &"p50 ms", &"p99 ms", &"reads", &"writes", &"peak MiB"])];
    rows.extend(measured.iter().map(|Measured { name, p50, p99, reads, writes, peak_kib }| {
        let (p50, p99) = (milliseconds(*p50), milliseconds(*p99));
        row([name, &p50, &p99, reads, writes, &mebibytes(*peak_kib)])
    }));
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_of_the_api_is_measured_or_left_out_for_a_reason() {
        let document: Value =
            serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("it is JSON");
        let methods = document["paths"].as_object().expect("paths").values();
        let there: BTreeSet<String> = methods
            .flat_map(|methods| methods.as_object().expect("methods").values())
            .map(|operation| operation["operationId"].as_str().expect("a name").to_owned())
            .collect();
        let measured = OPERATIONS.iter().filter(|operation| operation.is_measured);
        let known: BTreeSet<String> = measured
            .map(|Operation { context, name, .. }| format!("{context}-{name}"))
            .chain(LEFT_OUT.map(|(name, _)| name.to_owned()))
            .collect();
        assert_eq!(known, there);
        for (name, ..) in READS_THAT_TAKE_MORE {
            assert!(there.contains(name), "{name} may take more calls, and is not there");
        }
    }

    #[test]
    fn a_read_takes_one_call_or_what_it_is_allowed_and_nothing_takes_much_memory() {
        let over = |name: &str, reads, writes, peak_mib: u64| {
            let none = Duration::ZERO;
            let peak_kib = peak_mib * 1_024;
            let measured =
                Measured { name: name.into(), p50: none, p99: none, reads, writes, peak_kib };
            measured.over().collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(over("catalog-read-term", 1, 0, 40), none);
        assert_eq!(over("enrollment-submit", 2, 1, 40), none, "it writes");
        assert_eq!(over("catalog-read-clashes", 2, 0, 40), none);
        let costly = ["catalog-read-term reads in 2 calls, more than 1"];
        assert_eq!(over("catalog-read-term", 2, 0, 40), costly);
        let costly = ["catalog-read-clashes reads in 3 calls, more than 2"];
        assert_eq!(over("catalog-read-clashes", 3, 0, 40), costly);
        assert_eq!(
            over("enrollment-submit", 2, 1, 41),
            ["enrollment-submit takes 41 MiB, more than 40"]
        );
    }
}
