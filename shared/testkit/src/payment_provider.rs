//! The payment provider, played: Stripe's published dialect as far as Matricula speaks it. What a payment comes to is
//! said by its payment method; intents are remembered by idempotency key, webhooks are signed and sent again
//! if refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

/// How the provider is set up; `Default` is one on a free port that sends no webhooks.
#[derive(Debug, Clone)]
pub struct PaymentProviderSettings {
    pub address: String,
    /// Where webhooks go.
    pub webhook_url: Option<String>,
    pub webhook_secret: String,
    pub api_key: String,
}

impl Default for PaymentProviderSettings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:0".to_owned(),
            webhook_url: None,
            webhook_secret: "whsec_test".to_owned(),
            api_key: "sk_test".to_owned(),
        }
    }
}

/// A provider that answers until it is dropped.
pub struct PaymentProvider {
    url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    settings: PaymentProviderSettings,
    client: reqwest::Client,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// By idempotency key: the request as it was made, and the intent that came of it.
    requests: HashMap<String, (Vec<u8>, String)>,
    /// By id.
    intents: HashMap<String, Value>,
    asked: u64,
}

/// What a payment method makes of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Succeeds,
    Declines,
    /// Takes the money, and never answers the first request.
    TimesOut,
    /// Tells of it twice.
    TellsTwice,
    /// Tells of it late.
    TellsLate,
    /// Takes another amount than asked for.
    TakesAnotherAmount,
    /// Never comes to an end by itself.
    Hangs,
}

impl Behaviour {
    fn of(payment_method: &str) -> Option<Self> {
        Some(match payment_method {
            "pm_card_visa" => Self::Succeeds,
            "pm_card_chargeDeclined" => Self::Declines,
            "pm_sim_timeout" => Self::TimesOut,
            "pm_sim_twice" => Self::TellsTwice,
            "pm_sim_late" => Self::TellsLate,
            "pm_sim_wrong_amount" => Self::TakesAnotherAmount,
            "pm_sim_hangs" => Self::Hangs,
            _ => return None,
        })
    }
}

const LATE: Duration = Duration::from_secs(5);
/// Longer than anybody waits for an answer.
const NEVER: Duration = Duration::from_mins(10);

impl PaymentProvider {
    pub async fn start(settings: PaymentProviderSettings) -> Self {
        let listener = TcpListener::bind(&settings.address).await.expect("the address is free");
        let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
        let shared =
            Arc::new(Shared { settings, client: reqwest::Client::new(), book: Mutex::default() });
        let router = Router::new()
            .route("/v1/payment_intents", post(create))
            .route("/v1/payment_intents/{id}", get(read))
            .route("/v1/payment_intents/{id}/cancel", post(cancel))
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async {
            axum::serve(listener, router).await.expect("the provider serves");
        });
        Self { url, shared, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every payment intent there is, in no particular order.
    pub fn intents(&self) -> Vec<Value> {
        self.shared.book().intents.values().cloned().collect()
    }

    /// How often anything was asked of it.
    pub fn asked(&self) -> u64 {
        self.shared.book().asked
    }

    /// Serves until the process ends.
    pub async fn served(mut self) {
        let ended = (&mut self.task).await;
        ended.expect("the provider serves until it is stopped");
    }
}

impl Drop for PaymentProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no handler panics while it holds the book")
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        text(headers, "authorization") == format!("Bearer {}", self.settings.api_key)
    }
}

/// The header `Stripe-Signature` of a webhook that was signed at this moment.
pub fn webhook_signature(secret: &str, signed_at_s: i64, body: &str) -> String {
    use std::fmt::Write as _;
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{signed_at_s}.{body}").as_bytes());
    let mut header = format!("t={signed_at_s},v1=");
    for byte in mac.finalize().into_bytes() {
        write!(header, "{byte:02x}").expect("a string takes everything");
    }
    header
}

/// The body of a webhook that tells of this intent.
pub fn webhook_body(intent: &Value) -> String {
    let succeeded = intent["status"] == "succeeded";
    let kind = if succeeded { "payment_intent.succeeded" } else { "payment_intent.payment_failed" };
    json!({
        "id": format!("evt_{:032x}", fastrand::u128(..)),
        "object": "event",
        "type": kind,
        "created": shell::now().as_second(),
        "data": { "object": intent },
    })
    .to_string()
}

async fn create(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !shared.is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key provided");
    }
    let fields: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let Some(behaviour) = Behaviour::of(field("payment_method")) else {
        return refused(StatusCode::BAD_REQUEST, "resource_missing", "No such PaymentMethod");
    };
    let Ok(amount) = field("amount").parse::<i64>() else {
        return refused(StatusCode::BAD_REQUEST, "parameter_invalid_integer", "Invalid integer");
    };
    let key = text(&headers, "idempotency-key").to_owned();
    let (intent, is_new) = {
        let mut book = shared.book();
        book.asked += 1;
        match book.requests.get(&key).filter(|_| !key.is_empty()) {
            Some((request, _)) if *request != body => {
                let message =
                    "Keys for idempotent requests can only be used with the same parameters";
                let error = json!({ "type": "idempotency_error", "message": message });
                return json_reply(StatusCode::BAD_REQUEST, &json!({ "error": error }));
            }
            Some((_, id)) => (book.intents[id].clone(), false),
            None => {
                let intent =
                    intent(behaviour, amount, field("currency"), field("metadata[payment]"));
                let id = intent["id"].as_str().unwrap_or_default().to_owned();
                book.requests.insert(key, (body.to_vec(), id.clone()));
                book.intents.insert(id, intent.clone());
                (intent, true)
            }
        }
    };
    if is_new {
        tokio::spawn(tell(Arc::clone(&shared), behaviour, intent.clone()));
        if behaviour == Behaviour::TimesOut {
            tokio::time::sleep(NEVER).await;
        }
    }
    reply(&intent)
}

async fn read(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !shared.is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key provided");
    }
    let mut book = shared.book();
    book.asked += 1;
    match book.intents.get(&id) {
        Some(intent) => json_reply(StatusCode::OK, intent),
        None => refused(StatusCode::NOT_FOUND, "resource_missing", "No such payment_intent"),
    }
}

/// What has ended cannot be cancelled; all else brings no money any more.
async fn cancel(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !shared.is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key provided");
    }
    let mut book = shared.book();
    book.asked += 1;
    let Some(intent) = book.intents.get_mut(&id) else {
        return refused(StatusCode::NOT_FOUND, "resource_missing", "No such payment_intent");
    };
    if matches!(intent["status"].as_str(), Some("succeeded" | "canceled")) {
        let code = "payment_intent_unexpected_state";
        return refused(StatusCode::BAD_REQUEST, code, "This PaymentIntent cannot be cancelled");
    }
    intent["status"] = json!("canceled");
    json_reply(StatusCode::OK, intent)
}

fn intent(behaviour: Behaviour, amount: i64, currency: &str, payment: &str) -> Value {
    let declined = behaviour == Behaviour::Declines;
    let received = match behaviour {
        Behaviour::Declines | Behaviour::Hangs => 0,
        Behaviour::TakesAnotherAmount => amount + 1,
        _ => amount,
    };
    let error = json!({
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "generic_decline",
        "message": "Your card was declined.",
    });
    json!({
        "id": format!("pi_{:032x}", fastrand::u128(..)),
        "object": "payment_intent",
        "amount": amount,
        "amount_received": received,
        "currency": currency,
        "status": match behaviour {
            Behaviour::Declines => "requires_payment_method",
            Behaviour::Hangs => "processing",
            _ => "succeeded",
        },
        "metadata": { "payment": payment },
        "created": shell::now().as_second(),
        "last_payment_error": if declined { error } else { Value::Null },
    })
}

/// A decline is answered 402, with the intent inside the error.
fn reply(intent: &Value) -> Response {
    if intent["last_payment_error"].is_null() {
        return json_reply(StatusCode::OK, intent);
    }
    let mut error = intent["last_payment_error"].clone();
    error["payment_intent"] = intent.clone();
    json_reply(StatusCode::PAYMENT_REQUIRED, &json!({ "error": error }))
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let error = json!({ "type": "invalid_request_error", "code": code, "message": message });
    json_reply(status, &json!({ "error": error }))
}

fn json_reply(status: StatusCode, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a response with a body")
}

async fn tell(shared: Arc<Shared>, behaviour: Behaviour, intent: Value) {
    let Some(url) = shared.settings.webhook_url.clone() else { return };
    if behaviour == Behaviour::Hangs {
        return;
    }
    if behaviour == Behaviour::TellsLate {
        tokio::time::sleep(LATE).await;
    }
    let body = webhook_body(&intent);
    let times = if behaviour == Behaviour::TellsTwice { 2 } else { 1 };
    for _ in 0..times {
        deliver(&shared, &url, &body).await;
    }
}

/// Sends a webhook, again and again while it is not taken.
async fn deliver(shared: &Shared, url: &str, body: &str) {
    const ATTEMPTS_MAX: u32 = 8;
    const FIRST_WAIT: Duration = Duration::from_millis(250);
    const TIMEOUT: Duration = Duration::from_secs(15);
    for attempt in 0..ATTEMPTS_MAX {
        let signed_at_s = shell::now().as_second();
        let signature = webhook_signature(&shared.settings.webhook_secret, signed_at_s, body);
        let sent = shared
            .client
            .post(url)
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .header("stripe-signature", signature)
            .body(body.to_owned())
            .send()
            .await;
        if sent.is_ok_and(|reply| reply.status().is_success()) {
            return;
        }
        tokio::time::sleep(FIRST_WAIT * 2_u32.pow(attempt)).await;
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    async fn ask(provider: &PaymentProvider, key: &str, method: &str) -> (u16, Value) {
        let body = format!("amount=500&currency=xaf&payment_method={method}&confirm=true");
        let reply = reqwest::Client::new()
            .post(format!("{}/v1/payment_intents", provider.url()))
            .bearer_auth("sk_test")
            .header("idempotency-key", key)
            .body(body)
            .send()
            .await
            .expect("the provider answers");
        let status = reply.status().as_u16();
        let text = reply.text().await.expect("whole");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    #[tokio::test]
    async fn an_intent_is_remembered_by_its_idempotency_key() {
        let provider = PaymentProvider::start(PaymentProviderSettings::default()).await;
        let (status, first) = ask(&provider, "one", "pm_card_visa").await;
        assert_eq!((status, first["status"].as_str()), (200, Some("succeeded")));
        assert_eq!(ask(&provider, "one", "pm_card_visa").await, (200, first.clone()));
        let (status, other) = ask(&provider, "one", "pm_sim_late").await;
        assert_eq!((status, other["error"]["type"].as_str()), (400, Some("idempotency_error")));
        let (status, declined) = ask(&provider, "two", "pm_card_chargeDeclined").await;
        let intent = &declined["error"]["payment_intent"];
        assert_eq!((status, intent["status"].as_str()), (402, Some("requires_payment_method")));
        assert_eq!(ask(&provider, "three", "pm_nonsense").await.0, 400);
        assert_eq!(provider.intents().len(), 2);
        let id = first["id"].as_str().expect("an id");
        let url = format!("{}/v1/payment_intents/{id}", provider.url());
        let client = reqwest::Client::new();
        let read = client.get(&url).bearer_auth("sk_test").send().await.expect("answers");
        assert_eq!(read.status(), 200);
        let stranger = client.get(&url).bearer_auth("guessed").send().await.expect("answers");
        assert_eq!(stranger.status(), 401);
    }

    #[tokio::test]
    async fn a_webhook_that_is_not_taken_comes_again() {
        let (sender, mut deliveries) = mpsc::unbounded_channel();
        let take = async move |headers: HeaderMap, body: String| {
            sender.send((text(&headers, "stripe-signature").to_owned(), body)).expect("it waits");
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
        let router = Router::new().fallback(take);
        tokio::spawn(async { axum::serve(listener, router).await.expect("serves") });
        let settings = PaymentProviderSettings {
            webhook_url: Some(url),
            ..PaymentProviderSettings::default()
        };
        let provider = PaymentProvider::start(settings).await;
        ask(&provider, "one", "pm_card_visa").await;
        let (signature, first) = deliveries.recv().await.expect("a webhook");
        let (_, second) = deliveries.recv().await.expect("the same webhook");
        assert_eq!(first, second);
        let signed_at_s = signature[2..].split(',').next().and_then(|s| s.parse().ok());
        let expected = webhook_signature("whsec_test", signed_at_s.expect("a moment"), &first);
        assert_eq!(signature, expected);
    }
}
