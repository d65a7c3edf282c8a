//! The payment provider, played: Stripe's published dialect as far as Matricula speaks it. What a payment comes to,
//! what becomes of its refunds and whether its payer turns to their bank is said by its payment method; what was asked
//! for is remembered by idempotency key, webhooks are signed and sent again if refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::mobile_money::MobileMoney;

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
    mobile_money: Arc<MobileMoney>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    settings: PaymentProviderSettings,
    client: reqwest::Client,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// By idempotency key: the request as it was made, and the id of what came of it.
    requests: HashMap<String, (Vec<u8>, String)>,
    /// By id.
    intents: HashMap<String, Value>,
    behaviours: HashMap<String, Behaviour>,
    refunds: BTreeMap<String, Value>,
    disputes: BTreeMap<String, Value>,
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
    /// A refund of it is declined by the payer's bank, before or after it was paid.
    RefundFails,
    RefundBounces,
    /// A refund of it is refused at once.
    RefundRefused,
    /// Pays a refund of it, and never answers the first request.
    RefundTimesOut,
    /// The payer turns to their bank, which takes the money back.
    Disputed,
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
            "pm_sim_refund_fails" => Self::RefundFails,
            "pm_sim_refund_bounces" => Self::RefundBounces,
            "pm_sim_refund_refused" => Self::RefundRefused,
            "pm_sim_refund_timeout" => Self::RefundTimesOut,
            "pm_card_createDispute" => Self::Disputed,
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
        let mobile_money = MobileMoney::beside(settings.webhook_url.as_deref());
        let shared =
            Arc::new(Shared { settings, client: reqwest::Client::new(), book: Mutex::default() });
        let router = Router::new()
            .route("/v1/payment_intents", post(create))
            .route("/v1/payment_intents/{id}", get(read))
            .route("/v1/payment_intents/{id}/cancel", post(cancel))
            .route("/v1/refunds", post(refund).get(list_refunds))
            .route("/v1/refunds/{id}", get(read_refund))
            .route("/v1/disputes/{id}", post(give_evidence))
            .with_state(Arc::clone(&shared))
            .merge(mobile_money.router());
        let task = tokio::spawn(async {
            axum::serve(listener, router).await.expect("the provider serves");
        });
        Self { url, shared, mobile_money, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every payment intent there is, in no particular order.
    pub fn intents(&self) -> Vec<Value> {
        self.shared.book().intents.values().cloned().collect()
    }

    /// Everything that payers were asked for on their telephones.
    pub fn pushes(&self) -> Vec<Value> {
        self.mobile_money.pushes().values().cloned().collect()
    }

    /// Every refund there is.
    pub fn refunds(&self) -> Vec<Value> {
        self.shared.book().refunds.values().cloned().collect()
    }

    /// The refunds of this payment of ours.
    pub fn refunds_of(&self, payment: impl std::fmt::Display) -> Vec<Value> {
        let (book, payment) = (self.shared.book(), json!(payment.to_string()));
        let intent = |refund: &Value| {
            book.intents.get(refund["payment_intent"].as_str().unwrap_or_default())
        };
        let is_of = |refund: &&Value| {
            intent(refund).is_some_and(|intent| intent["metadata"]["payment"] == payment)
        };
        book.refunds.values().filter(is_of).cloned().collect()
    }

    /// Every dispute there is.
    pub fn disputes(&self) -> Vec<Value> {
        self.shared.book().disputes.values().cloned().collect()
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

impl Book {
    /// What came of this request, where it was made before under this key.
    fn asked_before(&mut self, key: &str, body: &[u8]) -> Result<Option<String>, Box<Response>> {
        self.asked += 1;
        match self.requests.get(key).filter(|_| !key.is_empty()) {
            Some((request, _)) if request != body => {
                let message =
                    "Keys for idempotent requests can only be used with the same parameters";
                let error = json!({ "type": "idempotency_error", "message": message });
                let error = json!({ "error": error });
                Err(Box::new(json_reply(StatusCode::BAD_REQUEST, &error)))
            }
            found => Ok(found.map(|(_, id)| id.clone())),
        }
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
    webhook_body_of(kind, intent)
}

/// The body of a webhook of this type.
pub fn webhook_body_of(kind: &str, object: &Value) -> String {
    json!({
        "id": format!("evt_{:032x}", fastrand::u128(..)),
        "object": "event",
        "type": kind,
        "created": shell::now().as_second(),
        "data": { "object": object },
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
        match book.asked_before(&key, &body) {
            Err(refused) => return *refused,
            Ok(Some(id)) => (book.intents[&id].clone(), false),
            Ok(None) => {
                let intent =
                    intent(behaviour, amount, field("currency"), field("metadata[payment]"));
                let id = intent["id"].as_str().unwrap_or_default().to_owned();
                book.requests.insert(key, (body.to_vec(), id.clone()));
                book.behaviours.insert(id.clone(), behaviour);
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

/// Pays back what was received, once for each key.
async fn refund(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !shared.is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key provided");
    }
    let fields: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let key = text(&headers, "idempotency-key").to_owned();
    let made = {
        let mut book = shared.book();
        match book.asked_before(&key, &body) {
            Err(refused) => return *refused,
            Ok(Some(id)) => return json_reply(StatusCode::OK, &book.refunds[&id]),
            Ok(None) => {
                book.refund(field("payment_intent"), field("amount"), field("metadata[refund]"))
            }
        }
    };
    let (refund, behaviour) = match made {
        Ok(made) => made,
        Err(refused) => return *refused,
    };
    let id = refund["id"].as_str().unwrap_or_default().to_owned();
    shared.book().requests.insert(key, (body.to_vec(), id));
    tokio::spawn(tell_refund(Arc::clone(&shared), behaviour, refund.clone()));
    if behaviour == Behaviour::RefundTimesOut {
        tokio::time::sleep(NEVER).await;
    }
    json_reply(StatusCode::OK, &refund)
}

impl Book {
    fn refund(
        &mut self,
        intent: &str,
        amount: &str,
        ours: &str,
    ) -> Result<(Value, Behaviour), Box<Response>> {
        let refused =
            |code, message| Err(Box::new(refused(StatusCode::BAD_REQUEST, code, message)));
        let (Some(behaviour), Some(found)) =
            (self.behaviours.get(intent).copied(), self.intents.get(intent))
        else {
            return refused("resource_missing", "No such payment_intent");
        };
        let before = self.refunds.values().filter(|one| one["payment_intent"] == intent);
        let before = before.filter(|one| one["status"] != "failed");
        let before: i64 = before.filter_map(|one| one["amount"].as_i64()).sum();
        let received = found["amount_received"].as_i64().unwrap_or_default();
        let Some(amount) = amount.parse::<i64>().ok().filter(|minor| *minor > 0) else {
            return refused("parameter_invalid_integer", "Invalid integer");
        };
        if amount > received - before || behaviour == Behaviour::RefundRefused {
            return refused("charge_already_refunded", "There is not so much left to refund");
        }
        let id = format!("re_{:032x}", fastrand::u128(..));
        let is_pending = behaviour == Behaviour::RefundFails;
        let refund = json!({
            "id": id,
            "object": "refund",
            "amount": amount,
            "currency": found["currency"],
            "payment_intent": intent,
            "status": if is_pending { "pending" } else { "succeeded" },
            "metadata": { "refund": ours },
            "created": shell::now().as_second(),
        });
        self.refunds.insert(id, refund.clone());
        Ok((refund, behaviour))
    }
}

async fn read_refund(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !shared.is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key provided");
    }
    match shared.book().refunds.get(&id) {
        Some(refund) => json_reply(StatusCode::OK, refund),
        None => refused(StatusCode::NOT_FOUND, "resource_missing", "No such refund"),
    }
}

async fn list_refunds(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if !shared.is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key provided");
    }
    let book = shared.book();
    let intent = query.get("payment_intent").map_or("", String::as_str);
    let of_intent = book.refunds.values().filter(|refund| refund["payment_intent"] == intent);
    let data: Vec<Value> = of_intent.cloned().collect();
    json_reply(StatusCode::OK, &json!({ "object": "list", "data": data, "has_more": false }))
}

/// Ends a dispute: `winning_evidence` wins it, all else loses it.
async fn give_evidence(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !shared.is_authorized(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API Key provided");
    }
    let wins = form_urlencoded::parse(&body).any(|(_, value)| value == "winning_evidence");
    let dispute = {
        let mut book = shared.book();
        let Some(dispute) = book.disputes.get_mut(&id) else {
            return refused(StatusCode::NOT_FOUND, "resource_missing", "No such dispute");
        };
        dispute["status"] = json!(if wins { "won" } else { "lost" });
        dispute.clone()
    };
    let told = dispute.clone();
    tokio::spawn(async move {
        tell_of(&shared, "charge.dispute.closed", &told).await;
        if wins {
            tell_of(&shared, "charge.dispute.funds_reinstated", &told).await;
        }
    });
    json_reply(StatusCode::OK, &dispute)
}

/// The dispute of a payment, for which the bank takes a fee of ten in a thousand.
fn dispute(intent: &Value) -> Value {
    let amount = intent["amount_received"].as_i64().unwrap_or_default();
    let moved = json!({
        "amount": -amount, "fee": amount / 100, "currency": intent["currency"],
    });
    json!({
        "id": format!("dp_{:032x}", fastrand::u128(..)),
        "object": "dispute",
        "amount": amount,
        "currency": intent["currency"],
        "payment_intent": intent["id"],
        "reason": "fraudulent",
        "status": "needs_response",
        "balance_transactions": [moved],
        "created": shell::now().as_second(),
    })
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
    if behaviour == Behaviour::Hangs {
        return;
    }
    if behaviour == Behaviour::TellsLate {
        tokio::time::sleep(LATE).await;
    }
    let body = webhook_body(&intent);
    let times = if behaviour == Behaviour::TellsTwice { 2 } else { 1 };
    for _ in 0..times {
        deliver(&shared, &body).await;
    }
    if behaviour == Behaviour::Disputed {
        let dispute = dispute(&intent);
        let id = dispute["id"].as_str().unwrap_or_default().to_owned();
        shared.book().disputes.insert(id, dispute.clone());
        tell_of(&shared, "charge.dispute.created", &dispute).await;
        tell_of(&shared, "charge.dispute.funds_withdrawn", &dispute).await;
    }
}

async fn tell_refund(shared: Arc<Shared>, behaviour: Behaviour, refund: Value) {
    tell_of(&shared, "refund.created", &refund).await;
    if matches!(behaviour, Behaviour::RefundFails | Behaviour::RefundBounces) {
        let mut failed = refund;
        failed["status"] = json!("failed");
        failed["failure_reason"] = json!("lost_or_stolen_card");
        let id = failed["id"].as_str().unwrap_or_default().to_owned();
        if shared.settings.webhook_url.is_some() {
            shared.book().refunds.insert(id, failed.clone());
        }
        tell_of(&shared, "refund.failed", &failed).await;
    }
}

async fn tell_of(shared: &Shared, kind: &str, object: &Value) {
    deliver(shared, &webhook_body_of(kind, object)).await;
}

/// Sends a webhook, again and again while it is not taken.
async fn deliver(shared: &Shared, body: &str) {
    const ATTEMPTS_MAX: u32 = 8;
    const FIRST_WAIT: Duration = Duration::from_millis(250);
    const TIMEOUT: Duration = Duration::from_secs(15);
    let Some(url) = &shared.settings.webhook_url else { return };
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
