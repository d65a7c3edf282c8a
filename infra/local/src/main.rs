//! The developer's command, `cargo matricula …`: all that is done with a checkout on one machine.
mod api;
mod audit;
mod bootstraps;
mod checkout;
mod cloud;
mod demo;
mod deployment;
mod endpoint;
mod failure;
mod fingerprints;
mod functions;
mod imports;
mod mutations;
mod narration;
mod packages;
mod processes;
mod provider;
mod services;
mod sign_in_provider;
mod state;
mod suite;
mod tally;
mod toolchain;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

use crate::checkout::Checkout;
use crate::failure::{Explain, Failure};
use crate::packages::Arch;

/// Matricula on your machine.
#[derive(Parser)]
#[command(name = "cargo matricula", bin_name = "cargo matricula", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring everything up: build, start a local cloud, deploy, run the demo. Safe to run again
    Up {
        /// Use the local cloud that answers here instead of starting one
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// Leave the demo out
        #[arg(long)]
        no_demo: bool,
    },
    /// Stop what `up` has started
    Down {
        /// Also remove all that was installed and packaged for it
        #[arg(long)]
        wipe: bool,
    },
    /// Build what changed and deploy it
    Deploy,
    /// Run the demo on what is deployed
    Demo,
    /// Say what runs, where, since when, and whether it answers
    Status,
    /// Bring a OneRoster 1.2 zip, or people as CSV or XLSX, to the running cloud as the demo's registrar
    Import {
        /// It ends in .zip, .csv or .xlsx
        file: PathBuf,
        /// Approve and apply it once it is checked; else nothing is applied
        #[arg(long)]
        approve: bool,
    },
    /// Show the last hour of a function's log; on a terminal then whatever comes
    Logs {
        /// The function, such as enrollment-submit
        function: String,
        /// Go on showing what comes, also where no terminal is
        #[arg(long, short, conflicts_with = "no_follow")]
        follow: bool,
        /// End with what is there
        #[arg(long)]
        no_follow: bool,
    },
    /// Call one function by itself
    Invoke {
        /// The function, such as operations-health
        function: String,
        /// A file with its event; else events/samples/FUNCTION.json where there is one, else an empty event
        event: Option<PathBuf>,
    },
    /// The audit trail of the running cloud
    Audit {
        #[command(subcommand)]
        task: AuditTask,
    },
    /// Build the packages for AWS
    Package {
        /// The processor that the functions will run on
        #[arg(long)]
        arch: Arch,
    },
    /// Run a benchmark; without a name, say which there are
    Bench {
        /// Its name and options, such as --json
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all checks and tests; the last line is their sum
    Test {
        /// Also the model of registration over 100,000 steps, and the defects that it must notice
        #[arg(long)]
        deep: bool,
    },
}

#[derive(Subcommand)]
enum AuditTask {
    /// Prove that nothing of it was changed, removed or cut off; fails where something was
    Prove {
        /// One chain alone, by the id of its person
        #[arg(default_value = "all")]
        chain: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    perform(arguments.task, &Checkout::find()).unwrap_or_else(|failure| {
        narration::failure(&failure);
        ExitCode::FAILURE
    })
}

fn perform(task: Task, checkout: &Checkout) -> Result<ExitCode, Failure> {
    match task {
        Task::Up { endpoint, no_demo } => services::up(checkout, endpoint, !no_demo)?,
        Task::Down { wipe } => services::down(checkout, wipe)?,
        Task::Deploy => services::deploy(checkout)?,
        Task::Demo => services::demonstrate(checkout)?,
        Task::Status => services::status(checkout)?,
        Task::Import { file, approve } => imports::import(checkout, &file, approve)?,
        Task::Logs { function, follow, no_follow } => {
            let follows = follow || (narration::is_watched() && !no_follow);
            functions::logs(checkout, &function, follows)?;
        }
        Task::Invoke { function, event } => {
            functions::invoke(checkout, &function, event.as_deref())?;
        }
        Task::Audit { task: AuditTask::Prove { chain } } => {
            let whole = audit::prove(checkout, &chain)?;
            return Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Task::Package { arch } => packages::package(checkout, arch)?,
        Task::Bench { arguments } => return bench(checkout, &arguments),
        Task::Test { deep } => return suite::run(checkout, deep),
    }
    Ok(ExitCode::SUCCESS)
}

/// Its reply is the benchmark's own; what cargo says while building goes to the standard error.
fn bench(checkout: &Checkout, arguments: &[String]) -> Result<ExitCode, Failure> {
    let mut bench = Command::new("cargo");
    bench.args(["run", "--release", "--package", "bench", "--"]).args(arguments);
    // Most benches start what they need; one asks what is deployed.
    if let Ok(cloud) = services::current(checkout) {
        suite::tell_where(&mut bench, &cloud)?;
    }
    let status = bench
        .current_dir(checkout.root())
        .status()
        .explain(|| "cargo cannot be run".into(), "Put cargo on the PATH.")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
