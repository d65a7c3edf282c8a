//! Warm HTTP operations on the embedded engine: how long a call takes, and how many calls of DynamoDB it makes.

mod operations;
mod world;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::engine_process::EngineProcess;
use crate::failure::Failure;
use crate::function::Functions;
use crate::programs::Programs;
use crate::report::{print, row};
use crate::requests::carried_out;
use crate::statistics::{median, milliseconds, percentile};
use crate::{Chosen, Common};
use operations::{OPERATIONS, Operation};
use world::World;

/// Calls of each operation before those that count: the first one builds validators and connections.
const WARM_UP: usize = 10;

/// Warm operations: how long a call takes, and how many calls of DynamoDB it makes
///
/// One process for each operation, called again and again by one caller. `p50_ms` and `p99_ms`: from handing
/// the event
/// to the Runtime API until the reply is there; gateway and authorizer are not in it. `reads` and `writes`: calls of
/// DynamoDB that one call makes, as the engine counts them (a transaction is one write), median.
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
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let contexts = &arguments.chosen.contexts;
    let programs = Programs::ready(contexts, false, arguments.common.no_build)?;
    let mut engine = EngineProcess::start(contexts).await?;
    let mut functions = Functions::new(&programs, engine.url());
    let calls = usize::try_from(arguments.calls).expect("a count of calls");
    let world = World::prepare(&mut functions, contexts, WARM_UP + calls).await?;
    let mut measured = Vec::new();
    let chosen = OPERATIONS
        .iter()
        .filter(|operation| contexts.iter().any(|context| context == operation.context));
    for operation in chosen {
        measured.push(measure(&mut functions, &mut engine, &world, operation, calls).await?);
    }
    functions.stop().await?;
    engine.stop().await?;
    print(arguments.common.json, &result(&measured), || table(&measured));
    Ok(())
}

async fn measure(
    functions: &mut Functions<'_>,
    engine: &mut EngineProcess,
    world: &World,
    operation: &Operation,
    calls: usize,
) -> Result<Measured, Failure> {
    let Operation { context, name, request } = operation;
    let (mut times, mut reads, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    engine.take_calls().await?;
    for number in 0..WARM_UP + calls {
        let event = request(world, number).event();
        let began = Instant::now();
        let reply = functions.invoke(context, name, event).await?;
        let took = began.elapsed();
        let made = engine.take_calls().await?;
        carried_out(&reply).map_err(|Failure(what)| Failure(format!("{context}-{name} {what}")))?;
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
    })
}

fn result(measured: &[Measured]) -> Value {
    let operation = |Measured { name, p50, p99, reads, writes }: &Measured| {
        let (p50, p99) = (milliseconds(*p50), milliseconds(*p99));
        (name.clone(), json!({ "p50_ms": p50, "p99_ms": p99, "reads": reads, "writes": writes }))
    };
    json!({ "operations": measured.iter().map(operation).collect::<serde_json::Map<_, _>>() })
}

fn table(measured: &[Measured]) -> Vec<Vec<String>> {
    let mut rows = vec![row([&"operation", &"p50 ms", &"p99 ms", &"reads", &"writes"])];
    rows.extend(measured.iter().map(|Measured { name, p50, p99, reads, writes }| {
        row([name, &milliseconds(*p50), &milliseconds(*p99), reads, writes])
    }));
    rows
}
