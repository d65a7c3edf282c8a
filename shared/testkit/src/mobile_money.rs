//! The provider of mobile money, played: MTN's MoMo API (Collections) as far as Matricula speaks it. What a push comes to
//! is said by the payer's number, by MTN's own test numbers and some more; callbacks are not signed, as in life, and
//! come again while they are not taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

const TOKEN: &str = "momo-token";
const LATE: Duration = Duration::from_secs(5);
/// Longer than anybody waits for an answer.
const NEVER: Duration = Duration::from_mins(10);

/// What a payer's number makes of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Pays,
    Fails(&'static str),
    /// Never comes to an end by itself.
    Hangs,
    /// Pays, and the first request is never answered.
    TimesOut,
    CallsTwice,
    CallsLate,
    PaysAnotherAmount,
}

impl Behaviour {
    fn of(number: &str) -> Self {
        match number {
            "46733123450" => Self::Fails("INTERNAL_PROCESSING_ERROR"),
            "46733123451" => Self::Fails("APPROVAL_REJECTED"),
            "46733123452" => Self::Fails("EXPIRED"),
            "46733123453" => Self::Hangs,
            "46733123460" => Self::TimesOut,
            "46733123461" => Self::CallsTwice,
            "46733123462" => Self::CallsLate,
            "46733123463" => Self::PaysAnotherAmount,
            _ => Self::Pays,
        }
    }
}

/// What payers were asked for, by our reference.
#[derive(Debug, Default)]
pub struct MobileMoney {
    pushes: Mutex<BTreeMap<String, Value>>,
    callback_url: Option<String>,
    client: reqwest::Client,
}

impl MobileMoney {
    /// Calls back at the place beside the one where webhooks go.
    pub fn beside(webhook_url: Option<&str>) -> Arc<Self> {
        let callback_url = webhook_url.map(|url| url.replace("/payments", "/mobile-money"));
        Arc::new(Self { callback_url, ..Self::default() })
    }

    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/collection/token/", post(token))
            .route("/collection/v1_0/requesttopay", post(request_to_pay))
            .route("/collection/v1_0/requesttopay/{reference}", get(status))
            .with_state(Arc::clone(self))
    }

    pub fn pushes(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.pushes.lock().expect("no handler panics while it holds the pushes")
    }
}

async fn token(headers: HeaderMap) -> Response {
    let basic = text(&headers, "authorization").starts_with("Basic ");
    if !basic || text(&headers, "ocp-apim-subscription-key").is_empty() {
        return reply(StatusCode::UNAUTHORIZED, &json!({ "error": "login_failed" }));
    }
    let granted =
        json!({ "access_token": TOKEN, "token_type": "access_token", "expires_in": 3_600 });
    reply(StatusCode::OK, &granted)
}

fn is_authorized(headers: &HeaderMap) -> bool {
    text(headers, "authorization") == format!("Bearer {TOKEN}")
        && !text(headers, "ocp-apim-subscription-key").is_empty()
        && !text(headers, "x-target-environment").is_empty()
}

async fn request_to_pay(
    State(provider): State<Arc<MobileMoney>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if !is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "AUTHORIZATION_FAILED");
    }
    let reference = text(&headers, "x-reference-id").to_owned();
    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
    let number = asked["payer"]["partyId"].as_str().unwrap_or_default();
    let is_number = number.len() >= 7 && number.bytes().all(|byte| byte.is_ascii_digit());
    if reference.len() != 36 || !is_number || asked["amount"].as_str().is_none() {
        return refused(StatusCode::BAD_REQUEST, "INVALID_REQUEST");
    }
    let behaviour = Behaviour::of(number);
    let push = push(&asked, behaviour);
    {
        let mut pushes = provider.pushes();
        if pushes.contains_key(&reference) {
            return refused(StatusCode::CONFLICT, "RESOURCE_ALREADY_EXIST");
        }
        pushes.insert(reference.clone(), push.clone());
    }
    let url = text(&headers, "x-callback-url").to_owned();
    tokio::spawn(call_back(provider, (reference, url), behaviour, push));
    if behaviour == Behaviour::TimesOut {
        tokio::time::sleep(NEVER).await;
    }
    reply(StatusCode::ACCEPTED, &Value::Null)
}

fn push(asked: &Value, behaviour: Behaviour) -> Value {
    let mut push = asked.clone();
    push["financialTransactionId"] = json!(fastrand::u32(..).to_string());
    let (status, reason) = match behaviour {
        Behaviour::Fails(reason) => ("FAILED", json!(reason)),
        Behaviour::Hangs | Behaviour::CallsLate => ("PENDING", Value::Null),
        _ => ("SUCCESSFUL", Value::Null),
    };
    push["status"] = json!(status);
    push["reason"] = reason;
    if behaviour == Behaviour::PaysAnotherAmount {
        let amount = asked["amount"].as_str().and_then(|amount| amount.parse::<i64>().ok());
        push["amount"] = json!((amount.unwrap_or_default() + 1).to_string());
    }
    push
}

async fn status(
    State(provider): State<Arc<MobileMoney>>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "AUTHORIZATION_FAILED");
    }
    match provider.pushes().get(&reference) {
        Some(push) => reply(StatusCode::OK, push),
        None => refused(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND"),
    }
}

/// Tells what came of a push, where anybody is there to be told.
async fn call_back(
    provider: Arc<MobileMoney>,
    (reference, asked_for): (String, String),
    behaviour: Behaviour,
    mut push: Value,
) {
    if behaviour == Behaviour::Hangs {
        return;
    }
    if behaviour == Behaviour::CallsLate {
        tokio::time::sleep(LATE).await;
        push["status"] = json!("SUCCESSFUL");
        provider.pushes().insert(reference, push.clone());
    }
    let asked_for = Some(asked_for).filter(|url| !url.is_empty());
    let Some(url) = provider.callback_url.clone().or(asked_for) else { return };
    let times = if behaviour == Behaviour::CallsTwice { 2 } else { 1 };
    for _ in 0..times {
        deliver(&provider.client, &url, &push).await;
    }
}

async fn deliver(client: &reqwest::Client, url: &str, push: &Value) {
    const ATTEMPTS_MAX: u32 = 8;
    const FIRST_WAIT: Duration = Duration::from_millis(250);
    const TIMEOUT: Duration = Duration::from_secs(15);
    for attempt in 0..ATTEMPTS_MAX {
        let call = client.post(url).timeout(TIMEOUT).header("content-type", "application/json");
        let called = call.body(push.to_string()).send().await;
        if called.is_ok_and(|reply| reply.status().is_success()) {
            return;
        }
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt)).await;
    }
}

fn refused(status: StatusCode, code: &str) -> Response {
    reply(status, &json!({ "code": code, "message": "refused" }))
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .expect("a response with a body")
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::{PaymentProvider, PaymentProviderSettings};

    use super::*;

    #[tokio::test]
    async fn a_reference_is_pushed_once_and_strangers_are_told_nothing() {
        let provider = PaymentProvider::start(PaymentProviderSettings::default()).await;
        let client = reqwest::Client::new();
        let url = format!("{}/collection/v1_0/requesttopay", provider.url());
        let reference = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let push = async |token: &str, number: &str| {
            let body = json!({ "amount": "5", "currency": "XAF", "payer": { "partyId": number } });
            let request = client.post(&url).bearer_auth(token).header("x-reference-id", reference);
            let request = request
                .header("ocp-apim-subscription-key", "key")
                .header("x-target-environment", "sandbox")
                .body(body.to_string());
            request.send().await.expect("it answers").status().as_u16()
        };
        assert_eq!(push("guessed", "237670000001").await, 401);
        assert_eq!(push(TOKEN, "nobody").await, 400);
        assert_eq!(push(TOKEN, "237670000001").await, 202);
        assert_eq!(push(TOKEN, "237670000001").await, 409);
        assert_eq!(provider.pushes().len(), 1);
        assert_eq!(provider.pushes()[0]["status"], "SUCCESSFUL");
    }
}
