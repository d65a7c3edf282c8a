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
use shell::Fault;

use crate::domain::{Payment, Report, Word};
use crate::secret::Secret;

/// What the provider said. That it said nothing is a fault: nobody knows then what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Report(Report),
    /// It will not carry this out, now or later.
    Refused {
        reason: String,
    },
    /// It knows no payment by this reference.
    Unknown,
}

pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send + 'a>>;

pub trait PaymentProvider: fmt::Debug + Send + Sync {
    /// Asks for the money. Asked again for the same payment, the provider answers what it did the first time.
    fn request<'a>(&'a self, payment: &'a Payment) -> Asked<'a>;

    /// Asks what became of a payment that it has given this reference.
    fn look_up<'a>(&'a self, provider_ref: &'a str) -> Asked<'a>;

    /// Asks that no money be taken any more for a payment that it has given this reference; it reports what became of
    /// it, which may be that the money was taken before.
    fn cancel<'a>(&'a self, provider_ref: &'a str) -> Asked<'a>;
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
        let currency = self.currency.to_ascii_uppercase().parse().ok()?;
        let minor = match word {
            Word::Succeeded => self.amount_received.unwrap_or(self.amount),
            Word::Failed { .. } | Word::Undecided => self.amount,
        };
        Some(Report {
            provider_ref: self.id.clone(),
            payment: self.metadata.payment.as_deref().and_then(|id| id.parse::<PaymentId>().ok()),
            amount: Money::new(minor, currency),
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

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, Fault> {
        let key = self.key.read().await?;
        let silent = |error| Fault::outside("the payment provider did not answer", error);
        let request = request.bearer_auth(key).header("stripe-version", Self::API_VERSION);
        let reply = request.send().await.map_err(silent)?;
        let status = reply.status().as_u16();
        let body = reply.text().await.map_err(silent)?;
        answer(status, &body)
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
        let request = self
            .client()
            .post(self.url("/v1/payment_intents"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("idempotency-key", payment.id.to_string())
            .body(form);
        Box::pin(self.ask(request))
    }

    fn look_up<'a>(&'a self, provider_ref: &'a str) -> Asked<'a> {
        let request = self.client().get(self.url(&format!("/v1/payment_intents/{provider_ref}")));
        Box::pin(self.ask(request))
    }

    fn cancel<'a>(&'a self, provider_ref: &'a str) -> Asked<'a> {
        let path = format!("/v1/payment_intents/{provider_ref}/cancel");
        let request = self.client().post(self.url(&path));
        let cancellation = async {
            match self.ask(request).await? {
                // What has ended cannot be cancelled: how it ended is asked then.
                Answer::Refused { .. } => self.look_up(provider_ref).await,
                answer => Ok(answer),
            }
        };
        Box::pin(cancellation)
    }
}

/// A decline (402) is an answer, and so is a request that the provider calls wrong (400). That it was asked something
/// else before under the same key says nothing of what it did then. All else leaves open what it did.
fn answer(status: u16, body: &str) -> Result<Answer, Fault> {
    #[derive(Deserialize)]
    struct Declined {
        error: ProviderError,
    }
    let unreadable = |error: serde_json::Error| {
        Fault::outside(format!("the payment provider's reply {status} cannot be read"), error)
    };
    let report_of = |intent: &PaymentIntent, word| {
        intent.report(word).ok_or_else(|| {
            Fault::defect(format!("the payment provider uses {:?}", intent.currency))
        })
    };
    match status {
        200 => {
            let intent: PaymentIntent = serde_json::from_str(body).map_err(unreadable)?;
            Ok(Answer::Report(report_of(&intent, intent.word())?))
        }
        400 | 402 | 404 => {
            let Declined { error } = serde_json::from_str(body).map_err(unreadable)?;
            let reason = error.code.unwrap_or_else(|| "payment_failed".to_owned());
            match (status, error.payment_intent) {
                (402, Some(intent)) => {
                    Ok(Answer::Report(report_of(&intent, Word::Failed { reason })?))
                }
                (404, _) => Ok(Answer::Unknown),
                _ if error.r#type.as_deref() == Some("idempotency_error") => Err(Fault::defect(
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
    /// `payment_intent.succeeded`, `payment_intent.payment_failed`; others are taken and left alone.
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

/// The report in a webhook; none where it tells of something else.
pub fn read_webhook(body: &str) -> Result<Option<Report>, Malformed> {
    let event: WebhookEvent = serde_json::from_str(body).map_err(|_| Malformed)?;
    let word = |intent: &PaymentIntent| match event.r#type.as_str() {
        "payment_intent.succeeded" => Some(Word::Succeeded),
        "payment_intent.payment_failed" | "payment_intent.canceled" => {
            Some(Word::Failed { reason: intent.failure_reason() })
        }
        _ => None,
    };
    if !event.r#type.starts_with("payment_intent.") {
        return Ok(None);
    }
    let intent: PaymentIntent = serde_json::from_value(event.data.object).map_err(|_| Malformed)?;
    word(&intent).map(|word| intent.report(word).ok_or(Malformed)).transpose()
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
        let Ok(Answer::Report(report)) = answer(402, &declined) else {
            panic!("a decline is told")
        };
        assert_eq!(report.word, Word::Failed { reason: "authentication_required".into() });
        let wrong = r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#;
        let refused = Answer::Refused { reason: "resource_missing".into() };
        assert_eq!(answer(400, wrong).expect("an answer"), refused);
        assert_eq!(answer(404, wrong).expect("an answer"), Answer::Unknown);
        let other = r#"{"error":{"type":"idempotency_error"}}"#;
        assert!(answer(400, other).is_err_and(|fault| !fault.retryable));
        for status in [401, 409, 429, 500, 503] {
            assert!(answer(status, "").is_err_and(|fault| fault.retryable), "{status}");
        }
    }
}
