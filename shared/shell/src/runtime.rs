//! What Lambda's environment says, and how every kind of operation is served.

use std::time::{Duration, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use table::Table;
use tokio::time::Instant;

use crate::{Failure, Fault};

/// What every context's operations share. Holds at least the context's table.
pub trait Context {
    fn table(&self) -> &Table;
}

/// The operation this function is, as its handler setting names it.
pub fn operation() -> String {
    required_environment("_HANDLER")
}

/// A variable that the function cannot do without: its absence is a defect of the deployment, said at init.
pub fn required_environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("the environment variable {name} is not set"))
}

/// One invocation as Lambda hands it over.
pub(crate) struct Invocation {
    pub payload: Value,
    pub request_id: String,
    pub deadline: Instant,
}

/// Kept back from the deadline, so that the reply still gets out.
const REPLY_MARGIN: Duration = Duration::from_millis(200);

/// Serves invocations one after the other until Lambda ends the environment.
pub(crate) async fn serve<F>(handle: F) -> Result<(), lambda_runtime::Error>
where
    F: AsyncFn(Invocation) -> Result<Value, Diagnostic>,
{
    crate::telemetry::init();
    let handle = &handle;
    // Boxed, since the layout of a whole operation nested in the runtime's overflows the compiler.
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        Box::pin(async move {
            let (payload, context) = event.into_parts();
            let deadline = instant_of(context.deadline());
            let invocation = Invocation { payload, request_id: context.request_id, deadline };
            table::deadline::within(deadline, handle(invocation)).await
        })
    }))
    .await
}

/// Ends the work when the deadline comes, while a reply can still be given.
pub(crate) async fn in_time<R>(
    deadline: Instant,
    work: impl Future<Output = Result<R, Failure>>,
) -> Result<R, Failure> {
    // Boxed, since a future that is handed on is laid out once more in each that holds it.
    let result = tokio::time::timeout_at(deadline, Box::pin(work)).await;
    result.unwrap_or_else(|_| Err(Fault::out_of_time().into()))
}

#[expect(clippy::disallowed_methods, reason = "Lambda gives its deadline by the wall clock")]
fn instant_of(deadline: SystemTime) -> Instant {
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(REPLY_MARGIN)
}
