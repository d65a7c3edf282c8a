//! Saga steps, operators' invocations and schedules: JSON in, JSON out, failures by name for the state machine.

use std::cell::OnceCell;

use kernel::{Id, Locale, Timestamp};
use lambda_runtime::Diagnostic;
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::telemetry::Outcome;
use crate::{Context, Failure, Refuse, RequestRefusal, operation, runtime, validation};

/// One call of a saga step.
#[derive(Debug, Clone)]
pub struct Step<C> {
    pub command: C,
    pub now: Timestamp,
    /// The execution's name, or the request id of an operator's invocation.
    pub correlation_id: String,
}

impl<C> Step<C> {
    /// An id that nobody has yet; what must be found again is derived from the input instead.
    pub fn new_id<I: Id>(&self) -> I {
        I::new(self.now, fastrand::u128(..))
    }
}

/// One call by the schedule.
#[derive(Debug, Clone)]
pub struct Tick {
    pub now: Timestamp,
    pub correlation_id: String,
}

/// Serves a saga step.
pub async fn step<X, C, R>(
    context: &X,
    handler: impl AsyncFn(&X, &Step<C>) -> Result<R, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    X: Context,
    C: DeserializeOwned + JsonSchema,
    R: Serialize,
{
    let validator = OnceCell::new();
    let operation = operation();
    runtime::serve(async |invocation| {
        let began = Instant::now();
        let mut input = invocation.payload;
        let correlation_id = take_correlation_id(&mut input, &invocation.request_id);
        let validator = validator.get_or_init(|| validation::validator(&schema_for!(C)));
        let work = async {
            let command =
                validation::command(validator, input).map_err(RequestRefusal::InvalidInput)?;
            let step = Step { command, now: crate::now(), correlation_id: correlation_id.clone() };
            run_step(async || handler(context, &step).await).await
        };
        let result = runtime::in_time(invocation.deadline, work).await;
        concluded(&operation, &correlation_id, &invocation.request_id, began, result)
    })
    .await
}

/// Serves an operation that the schedule calls.
pub async fn schedule<X, R>(
    context: &X,
    handler: impl AsyncFn(&X, &Tick) -> Result<R, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    X: Context,
    R: Serialize,
{
    let operation = operation();
    runtime::serve(async |invocation| {
        let began = Instant::now();
        let tick = Tick { now: crate::now(), correlation_id: invocation.request_id.clone() };
        let work = run_step(async || handler(context, &tick).await);
        let result = runtime::in_time(invocation.deadline, work).await;
        concluded(&operation, &tick.correlation_id, &invocation.request_id, began, result)
    })
    .await
}

/// Runs a step, again from the top when someone else wrote first. Steps are safe to repeat, so "done before" is rerun
/// too: the second run finds what the first one did.
pub async fn run_step<R>(work: impl AsyncFn() -> Result<R, Failure>) -> Result<R, Failure> {
    const RUNS_MAX: u32 = 8;
    let helps =
        |failure: &Failure| matches!(failure, Failure::Conflict { .. } | Failure::DoneBefore);
    run_again(RUNS_MAX, helps, work).await
}

/// Runs `work` from the top while it fails in a way that another run helps, as long as the deadline allows.
pub async fn run_again<R>(
    runs_max: u32,
    helps: impl Fn(&Failure) -> bool,
    work: impl AsyncFn() -> Result<R, Failure>,
) -> Result<R, Failure> {
    let mut run = 1;
    loop {
        let result = work().await;
        let again = result.as_ref().is_err_and(&helps);
        if !again || run == runs_max || table::deadline::back_off(run).await.is_none() {
            return result;
        }
        run += 1;
    }
}

fn take_correlation_id(input: &mut Value, request_id: &str) -> String {
    input
        .as_object_mut()
        .and_then(|fields| fields.remove("correlation_id"))
        .and_then(|id| id.as_str().map(str::to_owned))
        .unwrap_or_else(|| request_id.to_owned())
}

/// `Refused` is caught by the state machine, `Busy` and `Unavailable` are retried by it, `Defect` ends in the undo.
fn concluded<R: Serialize>(
    operation: &str,
    correlation_id: &str,
    request_id: &str,
    began: Instant,
    result: Result<R, Failure>,
) -> Result<Value, Diagnostic> {
    let failed = |error_type: &str, error_message: String| Diagnostic {
        error_type: error_type.to_owned(),
        error_message,
    };
    let (code, result) = match result {
        Ok(reply) => ("OK", Ok(serde_json::to_value(reply).expect("a reply is JSON"))),
        Err(Failure::Refused(refusal)) => {
            (refusal.code(), Err(failed("Refused", refused_message(refusal.as_ref()))))
        }
        Err(Failure::Conflict { .. } | Failure::DoneBefore) => {
            ("BUSY", Err(failed("Busy", "others are writing to the same items".to_owned())))
        }
        Err(Failure::Fault(fault)) => {
            tracing::error!(
                operation,
                correlation_id,
                retryable = fault.retryable,
                error = fault.chain(),
                "the step failed"
            );
            let (code, kind) = if fault.retryable {
                ("UNAVAILABLE", "Unavailable")
            } else {
                ("INTERNAL", "Defect")
            };
            (code, Err(failed(kind, fault.to_string())))
        }
    };
    Outcome { operation, correlation_id, request_id, code, began }.log();
    result
}

fn refused_message(refusal: &dyn Refuse) -> String {
    let extensions = refusal.extensions(Locale::En);
    if extensions.is_empty() {
        refusal.code().to_owned()
    } else {
        format!("{} {}", refusal.code(), Value::Object(extensions))
    }
}
