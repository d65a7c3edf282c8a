//! The Lambda authorizer: it finds out who calls, and nothing more. A token that is no good is passed on as the reason
//! for a refusal, so that the caller gets a problem document with a code instead of the gateway's bare "Forbidden".

use kernel::Timestamp;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::telemetry::Outcome;
use crate::{Caller, Context, Failure, Refuse, RequestRefusal, ServiceClient, operation, runtime};

/// Who a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorized {
    Person(Caller),
    Client(ServiceClient),
}

/// Serves the authorizer. The handler turns a bearer token into who it stands for, or refuses it.
pub async fn authorizer<X: Context>(
    context: &X,
    handler: impl AsyncFn(&X, &str, Timestamp) -> Result<Authorized, Failure>,
) -> Result<(), lambda_runtime::Error> {
    let operation = operation();
    runtime::serve(async |invocation| {
        let began = Instant::now();
        let answer = authorize(context, &handler, &invocation.payload).await;
        let code = answer.as_ref().map_or("UNAVAILABLE", |(code, _)| *code);
        let request_id = &invocation.request_id;
        Outcome { operation: &operation, correlation_id: request_id, request_id, code, began }
            .log();
        answer.map(|(_, context)| json!({ "isAuthorized": true, "context": context }))
    })
    .await
}

/// What broke on our side fails the invocation: the gateway answers 500 and remembers nothing, where an answer would
/// shut the caller out for as long as it is cached.
async fn authorize<X: Context>(
    context: &X,
    handler: &impl AsyncFn(&X, &str, Timestamp) -> Result<Authorized, Failure>,
    event: &Value,
) -> Result<(&'static str, Value), Diagnostic> {
    let header = event["headers"]["authorization"]
        .as_str()
        .or(event["identitySource"][0].as_str())
        .unwrap_or_default();
    let refused =
        |refusal: RequestRefusal| Ok((refusal.code(), json!({ "refusal": refusal.code() })));
    let Some(token) = bearer(header) else { return refused(RequestRefusal::TokenInvalid) };
    let broken = |error: String| {
        tracing::error!(error, "the token could not be checked");
        let error_message = "the token could not be checked".to_owned();
        Err(Diagnostic { error_type: "Unavailable".to_owned(), error_message })
    };
    match handler(context, token, crate::now()).await {
        // As text: the gateway hands on no objects.
        Ok(Authorized::Person(caller)) => {
            Ok(("OK", json!({ "caller": json!(caller).to_string() })))
        }
        Ok(Authorized::Client(client)) => {
            Ok(("OK", json!({ "client": json!(client).to_string() })))
        }
        Err(Failure::Refused(refusal)) => refused(match refusal.code() {
            "TOKEN_EXPIRED" => RequestRefusal::TokenExpired,
            "SESSION_ENDED" => RequestRefusal::SessionEnded,
            _ => RequestRefusal::TokenInvalid,
        }),
        Err(Failure::Fault(fault)) => broken(fault.chain()),
        Err(Failure::Conflict { .. } | Failure::DoneBefore) => {
            broken("a check that writes nothing met a conflict".to_owned())
        }
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}
