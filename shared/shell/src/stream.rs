//! A table's stream: outbox items on their way to the bus, in the order they were written.

use serde_json::{Value, json};
use table::OutboxItem;
use tokio::time::Instant;

use crate::telemetry::Outcome;
use crate::{Context, Failure, Fault, operation, runtime};

/// An outbox item as the stream shows it, with its place in the stream and the table that it lies in.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRecord {
    pub sequence_number: String,
    pub table: String,
    pub item: OutboxItem,
}

/// Serves the operation that a table's stream feeds. The handler answers which records have to come again.
pub async fn stream<X: Context>(
    context: &X,
    handler: impl AsyncFn(&X, Vec<StreamRecord>) -> Result<Vec<String>, Failure>,
) -> Result<(), lambda_runtime::Error> {
    let operation = operation();
    runtime::serve(async |invocation| {
        Ok(publish_batch(
            &operation,
            &invocation.request_id,
            context,
            &handler,
            &invocation.payload,
        )
        .await)
    })
    .await
}

/// Hands a batch of stream records to the operation; answers which of them have to come again.
pub async fn publish_batch<X: Context>(
    operation: &str,
    request_id: &str,
    context: &X,
    handler: &impl AsyncFn(&X, Vec<StreamRecord>) -> Result<Vec<String>, Failure>,
    batch: &Value,
) -> Value {
    let began = Instant::now();
    let records = batch["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    let outbox: Vec<StreamRecord> = records.iter().filter_map(read).collect();
    let all: Vec<String> = outbox.iter().map(|record| record.sequence_number.clone()).collect();
    let (code, again) = match handler(context, outbox).await {
        Ok(again) if again.is_empty() => ("OK", again),
        Ok(again) => ("PARTLY_PUBLISHED", again),
        Err(failure) => {
            if let Failure::Fault(fault) = &failure {
                tracing::error!(
                    operation,
                    error = Fault::chain(fault),
                    "the batch was not published"
                );
            }
            ("UNAVAILABLE", all)
        }
    };
    Outcome { operation, correlation_id: request_id, request_id, code, began }.log();
    let failures: Vec<Value> =
        again.iter().map(|sequence| json!({ "itemIdentifier": sequence })).collect();
    json!({ "batchItemFailures": failures })
}

/// What is no new outbox item is none of the publisher's business.
fn read(record: &Value) -> Option<StreamRecord> {
    let change = &record["dynamodb"];
    let text = |name: &str| change["NewImage"][name]["S"].as_str().map(str::to_owned);
    if record["eventName"] != "INSERT" || text("kind")? != "outbox" {
        return None;
    }
    // arn:aws:dynamodb:region:account:table/NAME/stream/label
    let table = record["eventSourceARN"].as_str()?.split('/').nth(1)?.to_owned();
    Some(StreamRecord {
        sequence_number: change["SequenceNumber"].as_str()?.to_owned(),
        table,
        item: OutboxItem {
            pk: text("pk")?,
            sk: text("sk")?,
            detail: text("detail")?,
            name: text("name")?,
            written_at: text("written_at")?.parse().ok()?,
        },
    })
}
