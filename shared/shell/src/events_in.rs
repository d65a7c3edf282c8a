//! Consumers: a batch of SQS messages, each with an event of the bus; what fails comes again, alone, until its
//! dead-letter queue takes it.

use events::{Envelope, Event};
use kernel::{Id, Timestamp};
use serde_json::{Value, json};
use table::Transaction;
use table::deadline::BEGIN_MIN;
use tokio::time::Instant;

use crate::telemetry::Outcome;
use crate::{Context, Failure, Fault, operation, run_step, runtime};

/// One event, on its way to one consumer.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub envelope: Envelope,
    /// The operation that consumes it; with the event's id, what is deduplicated on.
    pub consumer: String,
    pub now: Timestamp,
}

impl Delivery {
    /// The event's data, when it is an `E`.
    pub fn event<E: Event>(&self) -> Result<E, Failure> {
        if self.envelope.name != E::NAME || self.envelope.version != E::VERSION {
            return Err(Fault::defect(format!(
                "{} consumes {} version {}, not {} version {}",
                self.consumer,
                E::NAME,
                E::VERSION,
                self.envelope.name,
                self.envelope.version
            ))
            .into());
        }
        serde_path_to_error::deserialize(&self.envelope.data).map_err(|error| {
            let field = error.path();
            Fault::defect(format!("{} cannot be read at {field}", self.envelope.id)).into()
        })
    }

    /// Marks the event as seen, in the transaction of its effect.
    pub fn mark_seen(&self, transaction: &mut Transaction<'_>) {
        transaction.seen(&self.consumer, &self.envelope.id, self.now);
    }

    /// An id that follows from the event: delivered again, the event makes nothing new.
    pub fn derived_id<I: Id>(&self) -> I {
        I::derived_from(&format!("{}#{}", self.consumer, self.envelope.id))
    }
}

/// Serves an operation that consumes events.
pub async fn events<X: Context>(
    context: &X,
    handler: impl AsyncFn(&X, &Delivery) -> Result<(), Failure>,
) -> Result<(), lambda_runtime::Error> {
    let operation = operation();
    runtime::serve(async |invocation| {
        Ok(consume_batch(&operation, context, &handler, &invocation.payload, invocation.deadline)
            .await)
    })
    .await
}

/// Lets the operation consume a batch of SQS messages; answers which of them have to come again.
pub async fn consume_batch<X: Context>(
    operation: &str,
    context: &X,
    handler: &impl AsyncFn(&X, &Delivery) -> Result<(), Failure>,
    batch: &Value,
    ends_at: Instant,
) -> Value {
    let mut failures = Vec::new();
    for message in batch["Records"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let began = Instant::now();
        let id = message["messageId"].as_str().unwrap_or_default();
        let result = if ends_at < Instant::now() + BEGIN_MIN {
            // What is not begun comes again whole; what is begun and cut off may have had its effect.
            Err(Fault::out_of_time().into())
        } else {
            runtime::in_time(ends_at, consume(operation, context, handler, message)).await
        };
        let code =
            result.as_ref().map_or_else(|failure| code_of(failure, operation, id), |()| "OK");
        let correlation_id = &correlation_id_of(message);
        Outcome { operation, correlation_id, request_id: id, code, began }.log();
        if result.is_err() {
            failures.push(json!({ "itemIdentifier": id }));
        }
    }
    json!({ "batchItemFailures": failures })
}

async fn consume<X: Context>(
    operation: &str,
    context: &X,
    handler: &impl AsyncFn(&X, &Delivery) -> Result<(), Failure>,
    message: &Value,
) -> Result<(), Failure> {
    // Without serde's own words: they quote the value, and events hold names and addresses.
    let unreadable = |error: serde_json::Error| {
        Failure::from(Fault::defect(format!("a message is not an event: {:?}", error.classify())))
    };
    let body: Value =
        serde_json::from_str(message["body"].as_str().unwrap_or_default()).map_err(unreadable)?;
    let envelope: Envelope = serde_json::from_value(body["detail"].clone()).map_err(unreadable)?;
    let delivery = Delivery { envelope, consumer: operation.to_owned(), now: crate::now() };
    // A duplicate has had its effect: nothing is left to do.
    let deduplicated = async || match handler(context, &delivery).await {
        Err(Failure::DoneBefore) => Ok(()),
        other => other,
    };
    run_step(deduplicated).await
}

/// As far as the message can be read: also a failure is to be found by it.
fn correlation_id_of(message: &Value) -> String {
    let body: Value =
        serde_json::from_str(message["body"].as_str().unwrap_or_default()).unwrap_or_default();
    body["detail"]["correlation_id"].as_str().unwrap_or_default().to_owned()
}

fn code_of(failure: &Failure, operation: &str, message: &str) -> &'static str {
    match failure {
        Failure::Refused(refusal) => {
            tracing::error!(operation, message, code = refusal.code(), "the event was refused");
            refusal.code()
        }
        Failure::Conflict { .. } | Failure::DoneBefore => "BUSY",
        Failure::Fault(fault) => {
            tracing::error!(operation, message, error = fault.chain(), "the event had no effect");
            if fault.retryable { "UNAVAILABLE" } else { "INTERNAL" }
        }
    }
}
