//! One JSON line per invocation, which is at the same time its CloudWatch metrics (embedded metric format).

use std::sync::OnceLock;

use serde_json::{Value, json};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// Logs as JSON on standard output, warnings and worse unless `RUST_LOG` says otherwise.
pub fn init() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_ansi(false)
            .with_env_filter(filter)
            .finish();
        // Only a second subscriber in one process can be refused, and `ONCE` keeps that from happening.
        tracing::subscriber::set_global_default(subscriber).ok();
    });
}

/// What is said of an invocation when it ends.
pub struct Outcome<'a> {
    pub operation: &'a str,
    pub correlation_id: &'a str,
    pub request_id: &'a str,
    /// `OK`, or the code of the refusal or failure.
    pub code: &'a str,
    pub began: Instant,
}

impl Outcome<'_> {
    pub fn log(&self) {
        let duration_ms = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let duration_ms = format!("{}.{:03}", duration_ms / 1_000, duration_ms % 1_000);
        let mut line = json!({
            "function": function_name(),
            "operation": self.operation,
            "correlation_id": self.correlation_id,
            "request_id": self.request_id,
            "code": self.code,
            "duration_ms": serde_json::from_str::<Value>(&duration_ms).unwrap_or_default(),
        });
        // An alarm watches the average: the rate of what broke on our side. A refusal is no fault.
        let is_fault = matches!(self.code, "INTERNAL" | "UNAVAILABLE");
        line["faults"] = u8::from(is_fault).into();
        line["_aws"] = metrics(
            &[("duration_ms", "Milliseconds"), ("faults", "Count")],
            &[&["function"], &["function", "code"]],
        );
        emit(&line);
    }
}

/// `<context>-<operation>`, as Lambda itself says it.
fn function_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default())
}

/// A count of something that an alarm or a dashboard watches.
pub fn count(metric: &str, amount: u64, dimension: (&str, &str)) {
    let mut line = json!({ metric: amount, dimension.0: dimension.1 });
    line["_aws"] = metrics(&[(metric, "Count")], &[&[], &[dimension.0]]);
    emit(&line);
}

fn metrics(metrics: &[(&str, &str)], dimensions: &[&[&str]]) -> Value {
    let metrics: Vec<Value> =
        metrics.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
    json!({
        "Timestamp": crate::now().as_millisecond(),
        "CloudWatchMetrics": [{ "Namespace": "Matricula", "Dimensions": dimensions, "Metrics": metrics }],
    })
}

#[expect(clippy::print_stdout, reason = "standard output is Lambda's log")]
fn emit(line: &Value) {
    println!("{line}");
}
