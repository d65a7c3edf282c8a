//! The benches: cold starts, warm operations, a registration day's hot section, the bursar's work, the memory of an
//! import, and what it costs to know who calls. Each builds what it measures, starts what it needs, stops it again, and
//! prints a table for people or one JSON object for machines.
#![expect(clippy::float_arithmetic, reason = "statistics of measured times; no money is here")]

mod auth;
mod bars;
mod billing;
mod client;
mod cold;
mod cpu;
mod engine_process;
mod failure;
mod front;
mod function;
mod gateway;
mod hot_section;
mod http;
mod imports;
mod moodle;
mod offering;
mod programs;
mod python;
mod registration;
mod report;
mod requests;
mod statistics;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;
use crate::programs::CONTEXTS;

/// Benches of Matricula, on an embedded DynamoDB engine in a process of its own.
#[derive(Parser)]
#[command(name = "bench", bin_name = "cargo matricula bench", disable_help_subcommand = true)]
#[command(arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    Cold(cold::Arguments),
    Gateway(gateway::Arguments),
    Http(http::Arguments),
    HotSection(hot_section::Arguments),
    Registration(registration::Arguments),
    /// The process that judges carts: started by `registration`
    #[command(hide = true)]
    MeasureValidation,
    Billing(billing::Arguments),
    Auth(auth::Arguments),
    /// The process that is measured: started by `auth`
    #[command(hide = true)]
    MeasureAuth,
    Moodle(moodle::Arguments),
    Imports(imports::Arguments),
    /// One replay of a journal: started by `billing`
    #[command(hide = true)]
    ReplayJournal {
        journal: std::path::PathBuf,
    },
    /// The engine's process: started by the others
    #[command(hide = true)]
    Engine {
        tables: Vec<String>,
        /// On disk, in this folder; else in memory
        #[arg(long)]
        folder: Option<std::path::PathBuf>,
    },
}

/// What several benches are asked alike.
#[derive(Args)]
struct Common {
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Measure the programs as they lie there, without building them
    #[arg(long)]
    no_build: bool,
}

#[derive(Args)]
struct Chosen {
    /// Only these contexts
    #[arg(long, value_delimiter = ',', value_name = "CONTEXT,…", default_values = CONTEXTS)]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CONTEXTS))]
    contexts: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().bench {
        Bench::Cold(arguments) => cold::run(&arguments).await,
        Bench::Gateway(arguments) => gateway::run(&arguments),
        Bench::Http(arguments) => http::run(&arguments).await,
        Bench::HotSection(arguments) => hot_section::run(&arguments).await,
        Bench::Registration(arguments) => registration::run(&arguments).await,
        Bench::MeasureValidation => registration::measure_validation().await,
        Bench::Billing(arguments) => billing::run(&arguments).await,
        Bench::Auth(arguments) => auth::run(&arguments).await,
        Bench::MeasureAuth => auth::measure().await,
        Bench::Moodle(arguments) => moodle::run(&arguments).await,
        Bench::Imports(arguments) => imports::run(&arguments).await,
        Bench::ReplayJournal { journal } => billing::replay_journal(&journal),
        Bench::Engine { tables, folder } => engine_process::serve(&tables, folder.as_deref()).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(what)) => {
            eprintln!("bench: {what}");
            ExitCode::FAILURE
        }
    }
}
