//! The Lambda authorizer: it finds out who calls, and nothing more. A token that is no good is passed on as
//! the reason
//! for a refusal, so that the caller gets a problem document with a code instead of the gateway's bare "Forbidden".

use kernel::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::telemetry::Outcome;
use crate::{Caller, Context, Failure, Refuse, RequestRefusal, operation, runtime};

/// Serves the authorizer. The handler turns a bearer token into its caller, or refuses it.
pub async fn authorizer<X: Context>(
    context: &X,
    handler: impl AsyncFn(&X, &str, Timestamp) -> Result<Caller, Failure>,
) -> Result<(), lambda_runtime::Error> {
    let operation = operation();
    runtime::serve(async |invocation| {
        let began = Instant::now();
        let (code, context) = authorize(context, &handler, &invocation.payload).await;
        let request_id = &invocation.request_id;
        Outcome { operation: &operation, correlation_id: request_id, request_id, code, began }
            .log();
        Ok(json!({ "isAuthorized": true, "context": context }))
    })
    .await
}

async fn authorize<X: Context>(
    context: &X,
    handler: &impl AsyncFn(&X, &str, Timestamp) -> Result<Caller, Failure>,
    event: &Value,
) -> (&'static str, Value) {
    let header = event["headers"]["authorization"]
        .as_str()
        .or(event["identitySource"][0].as_str())
        .unwrap_or_default();
    let refused = |refusal: RequestRefusal| (refusal.code(), json!({ "refusal": refusal.code() }));
    let Some(token) = bearer(header) else { return refused(RequestRefusal::TokenInvalid) };
    match handler(context, token, crate::now()).await {
        Ok(caller) => {
            let caller = serde_json::to_string(&caller).expect("a caller is JSON");
            ("OK", json!({ "caller": caller }))
        }
        Err(Failure::Refused(refusal)) if refusal.code() == "TOKEN_EXPIRED" => {
            refused(RequestRefusal::TokenExpired)
        }
        Err(Failure::Fault(fault)) => {
            tracing::error!(error = fault.chain(), "the token could not be checked");
            refused(RequestRefusal::TokenInvalid)
        }
        Err(_) => refused(RequestRefusal::TokenInvalid),
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}
