//! A deployed function, as the bench plays it: one operation of a bootstrap, as many processes as asked for, and the
//! Runtime API they poll.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testkit::{Bootstrap, RuntimeApi};

use crate::cpu;
use crate::engine_process::table_of;
use crate::failure::{Explain, Failure};
use crate::programs::Programs;

/// API Gateway waits no longer than this for a function.
pub const DEADLINE: Duration = Duration::from_secs(29);
/// How long the bench waits for an answer: longer than every deadline, including the wait for a free process.
const PATIENCE: Duration = Duration::from_mins(5);

/// What the deployment puts into functions' environments, all of it: a function takes what it knows.
const VARIABLES: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "bench"),
    ("AWS_SECRET_ACCESS_KEY", "bench"),
    ("AWS_REGION", "eu-west-1"),
    ("BUS_NAME", "matricula"),
    ("CURSOR_SECRET", "cursor"),
    (
        "ENROLLMENT_STATE_MACHINE_ARN",
        "arn:aws:states:eu-west-1:000000000000:stateMachine:enrollment",
    ),
    ("EVENTS_BUCKET", "events"),
    ("IDENTITY_SECRET", "identity"),
    ("IMPORTS_BUCKET", "imports"),
    ("IMPORT_STATE_MACHINE_ARN", "arn:aws:states:eu-west-1:000000000000:stateMachine:import"),
    // Where what is played on this machine may be asked.
    ("MATRICULA_STAGE", "dev"),
    ("PAYMENT_PROVIDER_SECRET", PAYMENT_PROVIDER_SECRET),
    ("LEGAL_ENTITY", "MAT"),
    ("TIME_ZONE", "UTC"),
    ("FISCAL_YEAR_FIRST_MONTH", "1"),
    ("PAYMENT_TERMS_DAYS", "7"),
    ("MOODLE_TOKENS", "moodle"),
    ("PAYMENT_WEBHOOK_SECRET", PAYMENT_WEBHOOK_SECRET),
    ("PORTAL_URL", NOWHERE),
    ("RECEIPTS_BUCKET", "receipts"),
    ("SECOND_FACTOR_SECRET", "second-factor"),
    ("SENDER_ADDRESS", "no-reply@matricula.example"),
    ("SES_CONFIGURATION_SET", "matricula"),
    ("SIGNING_SECRET", "signing"),
    ("STAFF_SECOND_FACTOR", "optional"),
    ("TABLE_NAMES", "matricula-operations"),
    ("TOKEN_ISSUER", "https://bench.matricula.example"),
    ("VERIFICATION_SECRET", VERIFICATION_SECRET),
];

/// Names of secrets, of which [`testkit::secret_not_put`] gives the texts.
pub const VERIFICATION_SECRET: &str = "verification";
pub const PAYMENT_PROVIDER_SECRET: &str = "provider";
pub const PAYMENT_WEBHOOK_SECRET: &str = "webhook";
const NOWHERE: &str = "http://127.0.0.1:9";

/// Where a function's calls go.
#[derive(Debug, Clone)]
pub struct Outside {
    pub engine: String,
    pub payment_provider: String,
}

impl Outside {
    /// Nobody takes payments.
    pub fn engine(url: &str) -> Self {
        Self { engine: url.to_owned(), payment_provider: NOWHERE.to_owned() }
    }
}

/// Starts one process of an operation.
pub fn spawn(
    binary: &Path,
    context: &str,
    operation: &str,
    api: &RuntimeApi,
    outside: &Outside,
) -> Bootstrap {
    let environment = environment(context, outside);
    let environment: Vec<_> = environment.iter().map(|(name, text)| (*name, &**text)).collect();
    Bootstrap::spawn(binary, operation, api, &environment)
}

/// What a function of this context finds in its environment.
pub fn environment(context: &str, outside: &Outside) -> Vec<(&'static str, String)> {
    let known = VARIABLES.iter().map(|(name, text)| (*name, (*text).to_owned()));
    let here = [
        ("AWS_ENDPOINT_URL", outside.engine.clone()),
        ("PAYMENT_PROVIDER_URL", outside.payment_provider.clone()),
        ("TABLE_NAME", table_of(context)),
    ];
    known.chain(here).collect()
}

/// Ends a process that the bench started, and waits until it is gone.
pub async fn stop(mut bootstrap: Bootstrap) -> Result<(), Failure> {
    bootstrap.process.kill().await.explain("a bootstrap does not end")
}

pub async fn invoke(api: &RuntimeApi, name: &str, payload: Value) -> Result<Value, Failure> {
    let answer = tokio::time::timeout(PATIENCE, api.invoke(payload)).await;
    let answer = answer.explain(&format!("{name} does not answer"))?;
    answer.map_err(|error| Failure(format!("{name} failed: {error}")))
}

pub struct Function {
    invoker: Invoker,
    processes: Vec<Bootstrap>,
}

/// What whoever calls a function needs of it; its processes stay with the bench, which ends them.
#[derive(Clone)]
pub struct Invoker {
    name: Arc<str>,
    api: Arc<RuntimeApi>,
}

impl Invoker {
    /// Whichever process is free takes it.
    pub async fn invoke(&self, payload: Value) -> Result<Value, Failure> {
        invoke(&self.api, &self.name, payload).await
    }
}

impl Function {
    pub async fn start(
        programs: &Programs,
        outside: &Outside,
        context: &str,
        operation: &str,
        processes: usize,
    ) -> Self {
        Self::start_for(DEADLINE, programs, outside, context, operation, processes).await
    }

    /// Of a function that may take so long.
    pub async fn start_for(
        deadline: Duration,
        programs: &Programs,
        outside: &Outside,
        context: &str,
        operation: &str,
        processes: usize,
    ) -> Self {
        let api = RuntimeApi::start(deadline).await;
        let binary = programs.file(context);
        let start = |_| spawn(&binary, context, operation, &api, outside);
        let processes = (0..processes).map(start).collect();
        let name = format!("{context}-{operation}").into();
        Self { invoker: Invoker { name, api: Arc::new(api) }, processes }
    }

    pub fn invoker(&self) -> Invoker {
        self.invoker.clone()
    }

    /// The most memory that any of its processes has had.
    pub fn peak_kib(&self) -> Result<u64, Failure> {
        let peaks: Option<Vec<u64>> = self.processes.iter().map(Bootstrap::peak_kib).collect();
        let peak = peaks.and_then(|peaks| peaks.into_iter().max());
        peak.explain("a process does not tell its memory")
    }

    /// Processor time of all its processes so far.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let of = |process: &Bootstrap| {
            cpu::of_process(process.process.id().explain("a bootstrap has ended")?)
        };
        self.processes.iter().map(of).sum()
    }

    pub async fn stop(self) -> Result<(), Failure> {
        for process in self.processes {
            stop(process).await?;
        }
        Ok(())
    }
}

/// Functions of one process each, started when they are first called.
pub struct Functions<'a> {
    programs: &'a Programs,
    outside: Outside,
    running: BTreeMap<(&'static str, &'static str), Function>,
}

impl<'a> Functions<'a> {
    pub fn new(programs: &'a Programs, outside: Outside) -> Self {
        Self { programs, outside, running: BTreeMap::new() }
    }

    pub async fn invoke(
        &mut self,
        context: &'static str,
        operation: &'static str,
        payload: Value,
    ) -> Result<Value, Failure> {
        if !self.running.contains_key(&(context, operation)) {
            let function =
                Function::start(self.programs, &self.outside, context, operation, 1).await;
            self.running.insert((context, operation), function);
        }
        self.running[&(context, operation)].invoker.invoke(payload).await
    }

    /// The most memory that a function which was called has had.
    pub fn peak_kib(&self, context: &'static str, operation: &'static str) -> Result<u64, Failure> {
        self.running[&(context, operation)].peak_kib()
    }

    pub async fn stop(self) -> Result<(), Failure> {
        for function in self.running.into_values() {
            function.stop().await?;
        }
        Ok(())
    }
}
