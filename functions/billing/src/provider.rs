//! The payment provider, a third party that we do not own: what we ask of it, and the dialect that Stripe publishes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use kernel::{Money, PaymentId};
use reqwest::RequestBuilder;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shell::Fault;

use crate::domain::{
    Channel, DisputeReport, DisputeState, Payment, Refund, RefundReport, RefundWord, Report, Word,
};
use crate::secret::Secret;

/// What the provider said. That it said nothing is a fault: nobody knows then what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<R = Report> {
    Report(R),
    /// It will not carry this out, now or later.
    Refused {
        reason: String,
    },
    /// It knows nothing by this reference.
    Unknown,
}

pub type Asked<'a, R = Report> =
    Pin<Box<dyn Future<Output = Result<Answer<R>, Fault>> + Send + 'a>>;

pub trait PaymentProvider: fmt::Debug + Send + Sync {
    /// Whether the institution has an account there.
    fn is_available(&self) -> bool {
        true
    }

    /// Asks for the money. Asked again for the same payment, the provider answers what it did the first time.
    fn request<'a>(&'a self, payment: &'a Payment) -> Asked<'a>;

    /// Asks what became of a payment that it has given this reference.
    fn look_up<'a>(&'a self, provider_ref: &'a str) -> Asked<'a>;

    /// Asks that no money be taken any more for a payment that it has given this reference; it reports what became of
    /// it, which may be that the money was taken before.
    fn cancel<'a>(&'a self, provider_ref: &'a str) -> Asked<'a>;

    /// Asks that money of a payment go back. Asked again for the same refund, it answers what it did the first time.
    fn refund<'a>(&'a self, refund: &'a Refund, payment_ref: &'a str) -> Asked<'a, RefundReport>;

    /// Asks what became of a refund that it has given this reference.
    fn look_up_refund<'a>(&'a self, provider_ref: &'a str) -> Asked<'a, RefundReport>;

    /// Asks for all refunds of a payment that it has given this reference, whoever asked for them.
    fn refunds_of<'a>(&'a self, payment_ref: &'a str) -> Asked<'a, Vec<RefundReport>>;
}

/// A payment intent as Stripe shows it, in replies and in webhooks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentIntent {
    pub id: String,
    pub status: String,
    /// Minor units, as asked for.
    pub amount: i64,
    /// Minor units, as came in; only once it succeeded.
    pub amount_received: Option<i64>,
    /// ISO 4217 in lower case.
    pub currency: String,
    #[serde(default)]
    pub metadata: Metadata,
    pub last_payment_error: Option<ProviderError>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Metadata {
    /// Our payment's id.
    pub payment: Option<String>,
    /// Our refund's id.
    pub refund: Option<String>,
}

/// A refund as Stripe shows it, in replies and in webhooks.
#[derive(Debug, Clone, Deserialize)]
struct StripeRefund {
    id: String,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    status: Option<String>,
    amount: i64,
    currency: String,
    payment_intent: Option<String>,
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

/// A dispute as Stripe shows it in webhooks.
#[derive(Debug, Clone, Deserialize)]
struct StripeDispute {
    id: String,
    status: String,
    amount: i64,
    currency: String,
    payment_intent: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    balance_transactions: Vec<BalanceTransaction>,
}

/// What a dispute moved of our balance with the provider.
#[derive(Debug, Clone, Deserialize)]
struct BalanceTransaction {
    fee: i64,
    currency: String,
}

/// A charge of which something was refunded; which refunds that are has to be asked.
#[derive(Debug, Clone, Deserialize)]
struct StripeCharge {
    payment_intent: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct List<T> {
    data: Vec<T>,
}

/// What a reply of the provider says in our words.
trait Told: DeserializeOwned {
    type Report;

    fn report(&self) -> Option<Self::Report>;

    /// That the money was declined, where the provider shows of what; that has no report where its currency is none.
    #[expect(
        clippy::option_option,
        reason = "what is not shown is not the same as what says nothing"
    )]
    fn declined(_: ProviderError, _: &str) -> Option<Option<Self::Report>> {
        None
    }
}

impl Told for PaymentIntent {
    type Report = Report;

    fn report(&self) -> Option<Report> {
        PaymentIntent::report(self, self.word())
    }

    fn declined(error: ProviderError, reason: &str) -> Option<Option<Report>> {
        let word = Word::Failed { reason: reason.to_owned() };
        error.payment_intent.map(|intent| intent.report(word))
    }
}

impl Told for StripeRefund {
    type Report = RefundReport;

    /// None where its currency is none, or where it is of no payment.
    fn report(&self) -> Option<RefundReport> {
        let word = match self.status.as_deref() {
            Some("succeeded") => RefundWord::Paid,
            Some(status @ ("failed" | "canceled")) => RefundWord::Failed {
                reason: self.failure_reason.clone().unwrap_or_else(|| status.to_owned()),
            },
            _ => RefundWord::Undecided,
        };
        let refund = self.metadata.as_ref().and_then(|metadata| metadata.refund.as_deref());
        Some(RefundReport {
            provider_ref: self.id.clone(),
            payment_ref: self.payment_intent.clone()?,
            refund: refund.and_then(|id| id.parse().ok()),
            amount: money(self.amount, &self.currency)?,
            word,
        })
    }
}

impl Told for List<StripeRefund> {
    type Report = Vec<RefundReport>;

    fn report(&self) -> Option<Vec<RefundReport>> {
        self.data.iter().map(Told::report).collect()
    }
}

impl StripeDispute {
    /// What an event of this name says of it; none where it says nothing of money.
    fn report(&self, kind: &str) -> Option<DisputeReport> {
        let word = match (kind, self.status.as_str()) {
            ("charge.dispute.funds_withdrawn", _) => DisputeState::Withdrawn,
            ("charge.dispute.closed", "lost") => DisputeState::Lost,
            ("charge.dispute.funds_reinstated", _)
            | ("charge.dispute.closed", "won" | "warning_closed") => DisputeState::Won,
            ("charge.dispute.created", _) => DisputeState::Open,
            _ => return None,
        };
        let fee = self.balance_transactions.iter().map(|moved| moved.fee).sum();
        let currency = self.balance_transactions.first().map(|moved| moved.currency.as_str());
        Some(DisputeReport {
            provider_ref: self.id.clone(),
            payment_ref: self.payment_intent.clone()?,
            amount: money(self.amount, &self.currency)?,
            fee: currency.and_then(|currency| money(fee, currency)),
            reason: self.reason.clone().unwrap_or_else(|| "general".to_owned()),
            word,
        })
    }
}

/// In a currency that the provider writes in lower case; none where it is none.
fn money(minor: i64, currency: &str) -> Option<Money> {
    currency.to_ascii_uppercase().parse().ok().map(|currency| Money::new(minor, currency))
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ProviderError {
    pub r#type: Option<String>,
    pub code: Option<String>,
    pub payment_intent: Option<Box<PaymentIntent>>,
}

impl PaymentIntent {
    /// The intent in our words; none when its currency is not one.
    pub fn report(&self, word: Word) -> Option<Report> {
        let minor = match word {
            Word::Succeeded => self.amount_received.unwrap_or(self.amount),
            Word::Failed { .. } | Word::Undecided => self.amount,
        };
        Some(Report {
            provider_ref: self.id.clone(),
            payment: self.metadata.payment.as_deref().and_then(|id| id.parse::<PaymentId>().ok()),
            amount: money(minor, &self.currency)?,
            channel: Channel::Card,
            word,
        })
    }

    pub fn failure_reason(&self) -> String {
        let code = self.last_payment_error.as_ref().and_then(|error| error.code.clone());
        code.unwrap_or_else(|| "payment_failed".to_owned())
    }

    fn word(&self) -> Word {
        match (self.status.as_str(), &self.last_payment_error) {
            ("succeeded", _) => Word::Succeeded,
            ("canceled", _) | ("requires_payment_method", Some(_)) => {
                Word::Failed { reason: self.failure_reason() }
            }
            _ => Word::Undecided,
        }
    }
}

#[derive(Debug)]
pub struct Stripe {
    /// Read when it is first needed: only the operations that call the provider have it.
    url: Option<String>,
    key: Secret,
    reply_timeout: Duration,
    client: OnceLock<reqwest::Client>,
}

impl Stripe {
    /// Its dialect changes with the version of its API: the one that this code was written for.
    const API_VERSION: &str = "2024-06-20";
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

    pub fn from_environment() -> Self {
        Self {
            url: None,
            key: Secret::Environment("PAYMENT_PROVIDER_SECRET"),
            reply_timeout: Self::REPLY_TIMEOUT,
            client: OnceLock::new(),
        }
    }

    pub fn at(url: String, key: &str, reply_timeout: Duration) -> Self {
        Self {
            url: Some(url),
            key: Secret::Known(key.into()),
            reply_timeout,
            client: OnceLock::new(),
        }
    }

    fn url(&self, path: &str) -> String {
        let url =
            self.url.clone().unwrap_or_else(|| shell::required_environment("PAYMENT_PROVIDER_URL"));
        format!("{}{path}", url.trim_end_matches('/'))
    }

    fn client(&self) -> &reqwest::Client {
        self.client.get_or_init(|| {
            reqwest::Client::builder()
                .connect_timeout(Self::CONNECT_TIMEOUT)
                .timeout(self.reply_timeout)
                .build()
                .expect("a client with time-outs can be built")
        })
    }

    /// Asked again under the same key, the provider answers what it did the first time.
    fn post_form(&self, path: &str, key: &str, form: String) -> RequestBuilder {
        self.client()
            .post(self.url(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("idempotency-key", key)
            .body(form)
    }

    async fn ask<T: Told>(&self, request: RequestBuilder) -> Result<Answer<T::Report>, Fault> {
        let key = self.key.read().await?;
        let silent = |error| Fault::outside("the payment provider did not answer", error);
        let request = request.bearer_auth(key).header("stripe-version", Self::API_VERSION);
        let reply = request.send().await.map_err(silent)?;
        let status = reply.status().as_u16();
        let body = reply.text().await.map_err(silent)?;
        answer::<T>(status, &body)
    }
}

impl PaymentProvider for Stripe {
    fn request<'a>(&'a self, payment: &'a Payment) -> Asked<'a> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("amount", &payment.amount.minor.to_string())
            .append_pair("currency", &payment.amount.currency.code().to_ascii_lowercase())
            .append_pair("payment_method", &payment.payment_method)
            .append_pair("payment_method_types[]", "card")
            .append_pair("confirm", "true")
            // Nobody sits at a browser here: a card that wants its owner to act is declined.
            .append_pair("error_on_requires_action", "true")
            .append_pair("metadata[payment]", &payment.id.to_string())
            .finish();
        let request = self.post_form("/v1/payment_intents", &payment.id.to_string(), form);
        Box::pin(self.ask::<PaymentIntent>(request))
    }

    fn look_up<'a>(&'a self, provider_ref: &'a str) -> Asked<'a> {
        let request = self.client().get(self.url(&format!("/v1/payment_intents/{provider_ref}")));
        Box::pin(self.ask::<PaymentIntent>(request))
    }

    fn cancel<'a>(&'a self, provider_ref: &'a str) -> Asked<'a> {
        let path = format!("/v1/payment_intents/{provider_ref}/cancel");
        let request = self.client().post(self.url(&path));
        let cancellation = async {
            match self.ask::<PaymentIntent>(request).await? {
                // What has ended cannot be cancelled: how it ended is asked then.
                Answer::Refused { .. } => self.look_up(provider_ref).await,
                answer => Ok(answer),
            }
        };
        Box::pin(cancellation)
    }

    fn refund<'a>(&'a self, refund: &'a Refund, payment_ref: &'a str) -> Asked<'a, RefundReport> {
        let id = refund.id.to_string();
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("payment_intent", payment_ref)
            .append_pair("amount", &refund.amount.minor.to_string())
            .append_pair("reason", "requested_by_customer")
            .append_pair("metadata[refund]", &id)
            .finish();
        let request = self.post_form("/v1/refunds", &id, form);
        Box::pin(self.ask::<StripeRefund>(request))
    }

    fn look_up_refund<'a>(&'a self, provider_ref: &'a str) -> Asked<'a, RefundReport> {
        let request = self.client().get(self.url(&format!("/v1/refunds/{provider_ref}")));
        Box::pin(self.ask::<StripeRefund>(request))
    }

    fn refunds_of<'a>(&'a self, payment_ref: &'a str) -> Asked<'a, Vec<RefundReport>> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("payment_intent", payment_ref)
            .append_pair("limit", "100")
            .finish();
        let request = self.client().get(self.url(&format!("/v1/refunds?{query}")));
        Box::pin(self.ask::<List<StripeRefund>>(request))
    }
}

/// A decline (402) is an answer, and so is a request that the provider calls wrong (400). That it was asked something
/// else before under the same key says nothing of what it did then. All else leaves open what it did.
fn answer<T: Told>(status: u16, body: &str) -> Result<Answer<T::Report>, Fault> {
    #[derive(Deserialize)]
    struct Declined {
        error: ProviderError,
    }
    let unreadable = |error: serde_json::Error| {
        Fault::outside(format!("the payment provider's reply {status} cannot be read"), error)
    };
    let in_our_words = |report: Option<T::Report>| {
        let told = report.ok_or_else(|| Fault::defect("the payment provider's words mean nothing"));
        told.map(Answer::Report)
    };
    match status {
        200 => in_our_words(serde_json::from_str::<T>(body).map_err(unreadable)?.report()),
        400 | 402 | 404 => {
            let Declined { error } = serde_json::from_str(body).map_err(unreadable)?;
            let reason = error.code.clone().unwrap_or_else(|| "payment_failed".to_owned());
            let is_of_same_key = error.r#type.as_deref() == Some("idempotency_error");
            if let Some(report) = T::declined(error, &reason).filter(|_| status == 402) {
                return in_our_words(report);
            }
            match status {
                404 => Ok(Answer::Unknown),
                _ if is_of_same_key => Err(Fault::defect(
                    "the payment provider was asked for something else under the same key",
                )),
                _ => Ok(Answer::Refused { reason }),
            }
        }
        _ => Err(Fault::outside("the payment provider failed", format!("status {status}"))),
    }
}

/// What the provider tells by webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WebhookEvent {
    pub id: String,
    /// Of payment intents, refunds, refunded charges and disputes; others are taken and left alone.
    pub r#type: String,
    pub data: WebhookData,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WebhookData {
    pub object: serde_json::Value,
}

/// A webhook's body that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// What a webhook tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Payment(Report),
    Refund(RefundReport),
    /// Something of this payment was refunded.
    Refunded {
        payment_ref: String,
    },
    Dispute(DisputeReport),
}

/// What is in a webhook; none where it tells of something else.
pub fn read_webhook(body: &str) -> Result<Option<Notice>, Malformed> {
    fn object<T: DeserializeOwned>(data: WebhookData) -> Result<T, Malformed> {
        serde_json::from_value(data.object).map_err(|_| Malformed)
    }
    let WebhookEvent { r#type: kind, data, .. } =
        serde_json::from_str(body).map_err(|_| Malformed)?;
    match kind.as_str() {
        "payment_intent.succeeded" => {
            let report = object::<PaymentIntent>(data)?.report(Word::Succeeded);
            report.map(|report| Some(Notice::Payment(report))).ok_or(Malformed)
        }
        "payment_intent.payment_failed" | "payment_intent.canceled" => {
            let intent: PaymentIntent = object(data)?;
            let report = intent.report(Word::Failed { reason: intent.failure_reason() });
            report.map(|report| Some(Notice::Payment(report))).ok_or(Malformed)
        }
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            let refund: StripeRefund = object(data)?;
            if refund.payment_intent.is_none() {
                return Ok(None);
            }
            refund.report().map(|report| Some(Notice::Refund(report))).ok_or(Malformed)
        }
        "charge.refunded" => {
            let charge: StripeCharge = object(data)?;
            Ok(charge.payment_intent.map(|payment_ref| Notice::Refunded { payment_ref }))
        }
        kind if kind.starts_with("charge.dispute.") => {
            Ok(object::<StripeDispute>(data)?.report(kind).map(Notice::Dispute))
        }
        kind if kind.starts_with("payment_intent.") => object::<PaymentIntent>(data).map(|_| None),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decline_a_wrong_request_and_a_request_asked_otherwise_before_are_told_apart() {
        let intent =
            r#"{"id":"pi_1","status":"requires_payment_method","amount":5,"currency":"xaf"}"#;
        let declined = format!(
            r#"{{"error":{{"type":"card_error","code":"authentication_required","payment_intent":{intent}}}}}"#
        );
        let Ok(Answer::Report(report)) = answer::<PaymentIntent>(402, &declined) else {
            panic!("a decline is told")
        };
        assert_eq!(report.word, Word::Failed { reason: "authentication_required".into() });
        let wrong = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
        let refused = Answer::Refused { reason: "resource_missing".into() };
        let answer = answer::<PaymentIntent>;
        assert_eq!(answer(400, wrong).expect("an answer"), refused);
        assert_eq!(answer(404, wrong).expect("an answer"), Answer::Unknown);
        let other = r#"{"error":{"type":"idempotency_error"}}"#;
        assert!(answer(400, other).is_err_and(|fault| !fault.retryable));
        for status in [401, 409, 429, 500, 503] {
            assert!(answer(status, "").is_err_and(|fault| fault.retryable), "{status}");
        }
    }
}
