//! Mobile money, the provider's second dialect: MTN's MoMo API (Collections), as published. The payer is asked on their
//! telephone, under a reference of ours that is known before anything is asked: asked again, it is the same payment.
//! What this provider calls back is not signed, so that a call is a reason to ask, and nothing more.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kernel::{Money, PaymentId};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use shell::Fault;

use crate::domain::{Channel, Payment, Refund, RefundReport, Report, Word, amount_of};
use crate::provider::{Answer, Asked, PaymentProvider};
use crate::secret::Secret;

#[derive(Debug)]
pub struct MobileMoney {
    /// Read when it is first needed: only the operations that call the provider have it.
    url: Option<String>,
    /// Which of its countries is asked; read when it is first needed.
    environment: Option<String>,
    credentials: Secret,
    reply_timeout: Duration,
    client: OnceLock<reqwest::Client>,
    token: Mutex<Option<Token>>,
}

/// What opens the API for a while.
#[derive(Clone)]
struct Token {
    text: String,
    good_until: Instant,
}

/// Never printed.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Whom the provider knows: `user:key:subscription key` in the secret.
struct Credentials {
    user: String,
    key: String,
    subscription: String,
}

impl MobileMoney {
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
    /// A token is not used so shortly before it expires.
    const MARGIN: Duration = Duration::from_mins(1);

    pub fn from_environment() -> Self {
        let credentials = Secret::Environment("MOBILE_MONEY_SECRET");
        Self::new((None, None), credentials, Self::REPLY_TIMEOUT)
    }

    pub fn at(url: String, credentials: &str, reply_timeout: Duration) -> Self {
        let environment = Some("sandbox".to_owned());
        Self::new((Some(url), environment), Secret::Known(credentials.into()), reply_timeout)
    }

    fn new(
        (url, environment): (Option<String>, Option<String>),
        credentials: Secret,
        reply_timeout: Duration,
    ) -> Self {
        let (client, token) = (OnceLock::new(), Mutex::new(None));
        Self { url, environment, credentials, reply_timeout, client, token }
    }

    /// Absent where the institution takes no mobile money.
    fn base_url(&self) -> Option<String> {
        let of_environment = || std::env::var("MOBILE_MONEY_URL").ok();
        self.url.clone().or_else(of_environment).filter(|url| !url.is_empty())
    }

    fn url(&self, path: &str) -> Result<String, Fault> {
        let url = self.base_url().ok_or_else(|| Fault::defect("no mobile money is taken here"))?;
        Ok(format!("{}{path}", url.trim_end_matches('/')))
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

    async fn credentials(&self) -> Result<Credentials, Fault> {
        let text = self.credentials.read().await?;
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(user), Some(key), Some(subscription)) => {
                Ok(Credentials { user, key, subscription })
            }
            _ => Err(Fault::defect("the secret of mobile money is not user:key:subscription")),
        }
    }

    fn kept_token(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(&self, credentials: &Credentials) -> Result<String, Fault> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u64,
        }
        if let Some(token) = self.kept_token().as_ref()
            && Instant::now() < token.good_until
        {
            return Ok(token.text.clone());
        }
        let asked = Instant::now();
        let request = self.client().post(self.url("/collection/token/")?);
        let request = request
            .basic_auth(&credentials.user, Some(&credentials.key))
            .header("ocp-apim-subscription-key", &credentials.subscription);
        let (status, body) = sent(request).await?;
        let granted: Option<Granted> = serde_json::from_str(&body).ok().filter(|_| status == 200);
        let Some(Granted { access_token, expires_in }) = granted else {
            return Err(failed(status));
        };
        let valid = Duration::from_secs(expires_in).saturating_sub(Self::MARGIN);
        let token = Token { text: access_token.clone(), good_until: asked + valid };
        *self.kept_token() = Some(token);
        Ok(access_token)
    }

    async fn ask(&self, request: RequestBuilder) -> Result<(u16, String), Fault> {
        let credentials = self.credentials().await?;
        let token = self.token(&credentials).await?;
        let of_environment = || shell::required_environment("MOBILE_MONEY_ENVIRONMENT");
        let environment = self.environment.clone().unwrap_or_else(of_environment);
        let request = request
            .bearer_auth(token)
            .header("ocp-apim-subscription-key", &credentials.subscription)
            .header("x-target-environment", environment);
        let (status, body) = sent(request).await?;
        if status == 401 {
            *self.kept_token() = None;
        }
        Ok((status, body))
    }

    async fn request_to_pay(&self, payment: &Payment) -> Result<Answer, Fault> {
        let Some(phone) = &payment.phone else {
            return Ok(Answer::Refused { reason: "no_phone_number".to_owned() });
        };
        let reference = reference_of(payment.id);
        let body = json!({
            "amount": decimal(payment.amount),
            "currency": payment.amount.currency,
            "externalId": payment.id,
            "payer": { "partyIdType": "MSISDN", "partyId": phone.digits() },
            "payerMessage": "Matricula",
            "payeeNote": payment.id,
        });
        let mut request = self
            .client()
            .post(self.url("/collection/v1_0/requesttopay")?)
            .header("x-reference-id", &reference)
            .header("content-type", "application/json");
        if let Ok(url) = std::env::var("MOBILE_MONEY_CALLBACK_URL") {
            request = request.header("x-callback-url", url);
        }
        let (status, body) = self.ask(request.body(body.to_string())).await?;
        match status {
            202 => Ok(Answer::Report(Report {
                provider_ref: reference,
                payment: Some(payment.id),
                amount: payment.amount,
                channel: Channel::MobileMoney,
                word: Word::Undecided,
            })),
            // It was asked before under this reference: what became of it?
            409 => self.status_of(&reference).await,
            400 => Ok(Answer::Refused { reason: code_in(&body) }),
            _ => Err(failed(status)),
        }
    }

    async fn status_of(&self, reference: &str) -> Result<Answer, Fault> {
        let url = self.url(&format!("/collection/v1_0/requesttopay/{reference}"))?;
        let (status, body) = self.ask(self.client().get(url)).await?;
        match status {
            200 => told(reference, &body).map(Answer::Report),
            404 => Ok(Answer::Unknown),
            _ => Err(failed(status)),
        }
    }
}

impl PaymentProvider for MobileMoney {
    fn is_available(&self) -> bool {
        self.base_url().is_some()
    }

    fn request<'a>(&'a self, payment: &'a Payment) -> Asked<'a> {
        Box::pin(self.request_to_pay(payment))
    }

    fn look_up<'a>(&'a self, provider_ref: &'a str) -> Asked<'a> {
        Box::pin(self.status_of(provider_ref))
    }

    /// It cannot be asked to take no money any more; a request that the payer leaves alone fails there by itself.
    fn cancel<'a>(&'a self, provider_ref: &'a str) -> Asked<'a> {
        self.look_up(provider_ref)
    }

    /// Money that came this way goes back by hand.
    fn refund<'a>(&'a self, _: &'a Refund, _: &'a str) -> Asked<'a, RefundReport> {
        Box::pin(async { Ok(Answer::Refused { reason: "by_hand".to_owned() }) })
    }

    fn look_up_refund<'a>(&'a self, _: &'a str) -> Asked<'a, RefundReport> {
        Box::pin(async { Ok(Answer::Unknown) })
    }

    fn refunds_of<'a>(&'a self, _: &'a str) -> Asked<'a, Vec<RefundReport>> {
        Box::pin(async { Ok(Answer::Unknown) })
    }
}

async fn sent(request: RequestBuilder) -> Result<(u16, String), Fault> {
    let silent = |error| Fault::outside("the mobile money provider did not answer", error);
    let reply = request.send().await.map_err(silent)?;
    let status = reply.status().as_u16();
    Ok((status, reply.text().await.map_err(silent)?))
}

fn failed(status: u16) -> Fault {
    Fault::outside("the mobile money provider failed", format!("status {status}"))
}

/// The reference of a payment there: a UUID, the one that its id is.
pub fn reference_of(payment: PaymentId) -> String {
    let id = payment.to_string();
    let hex = id.split_once('_').map_or(id.as_str(), |(_, hex)| hex);
    let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
    parts.map(Option::unwrap_or_default).join("-")
}

/// The amount as a decimal number, by the currency's own digits.
fn decimal(money: Money) -> String {
    let text = money.to_string();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// What it says became of a payment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestToPay {
    amount: String,
    currency: String,
    external_id: Option<String>,
    status: String,
    reason: Option<Value>,
}

fn told(reference: &str, body: &str) -> Result<Report, Fault> {
    let meaningless = || Fault::defect("the mobile money provider's words mean nothing");
    let said: RequestToPay = serde_json::from_str(body).map_err(|_| meaningless())?;
    let currency = said.currency.parse().map_err(|_| meaningless())?;
    let minor = amount_of(&said.amount, currency).ok_or_else(meaningless)?;
    let word = match said.status.as_str() {
        "SUCCESSFUL" => Word::Succeeded,
        "FAILED" => Word::Failed { reason: reason(said.reason.as_ref()) },
        _ => Word::Undecided,
    };
    Ok(Report {
        provider_ref: reference.to_owned(),
        payment: said.external_id.and_then(|id| id.parse().ok()),
        amount: Money::new(minor, currency),
        channel: Channel::MobileMoney,
        word,
    })
}

/// The provider's word, in its callbacks or within an object.
fn reason(reason: Option<&Value>) -> String {
    let code = reason.and_then(|reason| reason.as_str().or_else(|| reason["code"].as_str()));
    code.unwrap_or("payment_failed").to_lowercase()
}

fn code_in(body: &str) -> String {
    reason(serde_json::from_str(body).ok().as_ref())
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    #[test]
    fn a_reference_is_the_uuid_of_the_payment() {
        let payment = PaymentId::derived_from("one");
        let reference = reference_of(payment);
        assert_eq!(format!("pay_{}", reference.replace('-', "")), payment.to_string());
        let parts: Vec<usize> = reference.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn amounts_go_there_and_come_back_by_the_currency_s_own_digits() {
        for (minor, currency, text) in
            [(150_000, "XAF", "150000"), (1_050, "EUR", "10.50"), (1_234, "TND", "1.234")]
        {
            let money = Money::new(minor, currency.parse().expect("a currency"));
            assert_eq!(decimal(money), text);
            let body = json!({ "amount": text, "currency": currency, "status": "SUCCESSFUL" });
            let report = told("reference", &body.to_string()).expect("it says something");
            assert_eq!((report.amount, report.word), (money, Word::Succeeded));
        }
    }

    #[test]
    fn what_it_says_is_understood_and_what_means_nothing_is_no_answer() {
        let say = |status: &str, reason: Value| {
            let body =
                json!({ "amount": "5", "currency": "XAF", "status": status, "reason": reason });
            told("reference", &body.to_string()).expect("it says something").word
        };
        let failed = |reason: &str| Word::Failed { reason: reason.to_owned() };
        assert_eq!(say("PENDING", Value::Null), Word::Undecided);
        assert_eq!(say("FAILED", json!("EXPIRED")), failed("expired"));
        assert_eq!(
            say("FAILED", json!({ "code": "APPROVAL_REJECTED" })),
            failed("approval_rejected")
        );
        assert_eq!(say("FAILED", Value::Null), failed("payment_failed"));
        for nonsense in ["", "{}", r#"{"amount":"5","currency":"gold","status":"FAILED"}"#] {
            assert!(told("reference", nonsense).is_err(), "{nonsense}");
        }
        let lost = r#"{"amount":"0.5","currency":"XAF","status":"SUCCESSFUL"}"#;
        assert!(told("reference", lost).is_err(), "there is no half franc");
    }
}
