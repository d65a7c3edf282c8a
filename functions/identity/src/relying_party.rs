//! What we ask of a sign-in provider (OpenID Connect, code flow): its own description, its keys, and a token for a
//! code. Nothing that it says counts unless it is signed with one of its keys.

mod id_token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use jsonwebtoken::jwk::Jwk;
use kernel::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shell::{Failure, Fault, PublicAddresses, Reachable};
use tokio::sync::Mutex;

use self::id_token::Expected;
use crate::derivation::derived;
use crate::domain::{Identity, ProviderSettings, Refusal};

/// How long a provider's description and its keys are good.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Tokens with made-up key ids make us ask for keys no more often than this.
const KEYS_AT_MOST_EVERY: SignedDuration = SignedDuration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const REPLY_TIMEOUT: Duration = Duration::from_secs(3);
/// A provider's description has some kilobytes, and so have its keys.
const REPLY_BYTES_MAX: usize = 256 * 1024;
const PROVIDERS_MAX: usize = 20;

/// Asks providers, and remembers what they say of themselves.
pub struct RelyingParty {
    reachable: OnceLock<Reachable>,
    secrets: Secrets,
    client: OnceLock<Client>,
    known: Mutex<HashMap<String, Known>>,
}

/// The secrets that providers have given us, which an operator adds for each.
#[derive(Clone)]
pub enum Secrets {
    /// `<prefix>/<name>`; the prefix stands in the environment, so that settings reach no other secret.
    SecretsManager,
    #[cfg(test)]
    Known(Arc<str>),
}

/// What follows from the handle of a sign-in, and goes to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub state: String,
    pub nonce: String,
    /// The proof of possession (RFC 7636), which the provider gets with the code.
    pub verifier: String,
}

/// What the provider sent the browser back with.
pub struct Comeback<'a> {
    pub code: &'a str,
    /// The provider's own name (RFC 9207), where it tells it.
    pub issuer: Option<&'a str>,
    pub redirect_uri: &'a str,
    pub challenge: &'a Challenge,
    pub now: Timestamp,
}

#[derive(Clone)]
struct Known {
    configuration: Arc<Configuration>,
    read_at: Timestamp,
    keys: Arc<Vec<Jwk>>,
    keys_read_at: Timestamp,
}

/// OpenID Connect Discovery 1.0, section 3, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
struct Configuration {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct TokenReply {
    id_token: String,
}

impl Challenge {
    pub fn of(handle: &str) -> Self {
        let text = |label: &[u8]| URL_SAFE_NO_PAD.encode(derived(handle, label));
        Self {
            state: text(b"sign-in, state"),
            nonce: text(b"sign-in, nonce"),
            verifier: text(b"sign-in, code verifier"),
        }
    }

    /// What the provider is told of the verifier beforehand: S256, as nothing else is safe.
    fn code_challenge(&self) -> String {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.verifier.as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }
}

impl Secrets {
    async fn read(&self, name: &str) -> Result<Arc<str>, Fault> {
        match self {
            Self::SecretsManager => shell::secret_named(&full_name(name)).await,
            #[cfg(test)]
            Self::Known(secret) => Ok(Arc::clone(secret)),
        }
    }

    /// After a provider refused it: an operator may have put a new one there.
    async fn forget(&self, name: &str) {
        match self {
            Self::SecretsManager => shell::forget_secret_named(&full_name(name)).await,
            #[cfg(test)]
            Self::Known(_) => {}
        }
    }
}

fn full_name(name: &str) -> String {
    format!("{}/{name}", shell::required_environment("SIGN_IN_SECRETS"))
}

impl RelyingParty {
    /// Nothing is read of the environment until a provider is asked.
    pub fn of_environment() -> Self {
        Self {
            reachable: OnceLock::new(),
            secrets: Secrets::SecretsManager,
            client: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    /// For a provider that a test plays on this machine.
    #[cfg(test)]
    pub fn on_this_machine(secret: &str) -> Self {
        Self {
            reachable: Reachable::WithThisMachine.into(),
            secrets: Secrets::Known(secret.into()),
            ..Self::of_environment()
        }
    }

    fn reachable(&self) -> Reachable {
        *self.reachable.get_or_init(Reachable::of_environment)
    }

    /// Refuses an issuer that no provider can have, or that lies where nobody outside should make us look.
    pub fn check_issuer(&self, issuer: &str) -> Result<(), Refusal> {
        self.address(issuer).map(drop).map_err(|_| Refusal::ProviderAddressWrong)
    }

    /// Where the browser is sent.
    pub async fn authorization_url(
        &self,
        settings: &ProviderSettings,
        challenge: &Challenge,
        redirect_uri: &str,
        now: Timestamp,
    ) -> Result<String, Fault> {
        let known = self.known(&settings.issuer, now).await?;
        let mut url = self.address(&known.configuration.authorization_endpoint)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", "openid email profile")
            .append_pair("state", &challenge.state)
            .append_pair("nonce", &challenge.nonce)
            .append_pair("code_challenge", &challenge.code_challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Whoever came back, by the token that the provider gives for the code.
    pub async fn identity(
        &self,
        settings: &ProviderSettings,
        comeback: &Comeback<'_>,
    ) -> Result<Identity, Failure> {
        let known = self.known(&settings.issuer, comeback.now).await?;
        let told = comeback.issuer;
        let must_tell = known.configuration.authorization_response_iss_parameter_supported;
        if told.is_some_and(|told| told != settings.issuer) || (must_tell && told.is_none()) {
            return Err(Refusal::SignInRefused.into());
        }
        let token = self.token(settings, &known.configuration, comeback).await?;
        let key_id = id_token::key_id_of(&token)?;
        let keys = self.keys_with(&settings.issuer, key_id.as_deref(), comeback.now).await?;
        let expected = Expected {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            nonce: &comeback.challenge.nonce,
            external_id_claim: &settings.external_id.claim,
            now: comeback.now,
        };
        Ok(id_token::identity(&token, &keys, &expected)?)
    }

    /// The code for a token; the code is good once, whatever comes of it.
    async fn token(
        &self,
        settings: &ProviderSettings,
        configuration: &Configuration,
        comeback: &Comeback<'_>,
    ) -> Result<String, Failure> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", comeback.code)
            .append_pair("redirect_uri", comeback.redirect_uri)
            .append_pair("code_verifier", &comeback.challenge.verifier);
        let mut request = self.client().post(self.address(&configuration.token_endpoint)?);
        match &settings.client_secret {
            None => {
                form.append_pair("client_id", &settings.client_id);
            }
            Some(name) => {
                let secret = self.secrets.read(name).await?;
                if configuration.takes_secret_in_form() {
                    form.append_pair("client_id", &settings.client_id)
                        .append_pair("client_secret", &secret);
                } else {
                    request = request.header("authorization", basic(&settings.client_id, &secret));
                }
            }
        }
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.finish());
        let (status, body) = ask(request).await?;
        if status == 200 {
            let reply: TokenReply =
                serde_json::from_slice(&body).map_err(|_| Refusal::SignInRefused)?;
            return Ok(reply.id_token);
        }
        let error: Value = serde_json::from_slice(&body).unwrap_or_default();
        if error["error"] == "invalid_client" {
            if let Some(name) = &settings.client_secret {
                self.secrets.forget(name).await;
            }
            return Err(Fault::outside(
                "the sign-in provider refused our secret",
                settings.issuer.clone(),
            )
            .into());
        }
        if (400..500).contains(&status) && status != 429 {
            return Err(Refusal::SignInRefused.into());
        }
        Err(Fault::outside("the sign-in provider gave no token", format!("status {status}")).into())
    }

    async fn known(&self, issuer: &str, now: Timestamp) -> Result<Known, Fault> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.get(issuer).filter(|known| is_fresh(known.read_at, KEPT, now)) {
            return Ok(known.clone());
        }
        let path = ".well-known/openid-configuration";
        let url = format!("{}/{path}", issuer.trim_end_matches('/'));
        let configuration: Configuration = self.document(&url).await?;
        // A description that names somebody else could hand our callers to them.
        if configuration.issuer != issuer {
            return Err(Fault::outside(
                "the sign-in provider describes another issuer",
                configuration.issuer,
            ));
        }
        let keys = self.keys(&configuration).await?;
        let read =
            Known { configuration: configuration.into(), read_at: now, keys, keys_read_at: now };
        if known.len() >= PROVIDERS_MAX {
            known.clear();
        }
        known.insert(issuer.to_owned(), read.clone());
        Ok(read)
    }

    /// The provider's keys, asked for once more where this one is not among them.
    async fn keys_with(
        &self,
        issuer: &str,
        key_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<Vec<Jwk>>, Fault> {
        let known = self.known(issuer, now).await?;
        let is_known =
            key_id.is_none() || known.keys.iter().any(|key| key.common.key_id.as_deref() == key_id);
        if is_known || is_fresh(known.keys_read_at, KEYS_AT_MOST_EVERY, now) {
            return Ok(known.keys);
        }
        let keys = self.keys(&known.configuration).await?;
        let read = Known { keys: Arc::clone(&keys), keys_read_at: now, ..known };
        self.known.lock().await.insert(issuer.to_owned(), read);
        Ok(keys)
    }

    /// Keys of kinds that we do not know are none for us.
    async fn keys(&self, configuration: &Configuration) -> Result<Arc<Vec<Jwk>>, Fault> {
        let Keys { keys } = self.document(&configuration.jwks_uri).await?;
        let known = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(Arc::new(known.collect()))
    }

    async fn document<D: DeserializeOwned>(&self, url: &str) -> Result<D, Fault> {
        let request = self.client().get(self.address(url)?).header("accept", "application/json");
        let (status, body) = ask(request).await?;
        if status != 200 {
            return Err(Fault::outside(
                "the sign-in provider shows no description",
                format!("status {status}"),
            ));
        }
        serde_json::from_slice(&body)
            .map_err(|error| Fault::outside("the sign-in provider's description is none", error))
    }

    fn address(&self, url: &str) -> Result<Url, Fault> {
        self.reachable().url(url).ok_or_else(|| {
            Fault::outside("a sign-in provider cannot be there", "its address is not public")
        })
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(REPLY_TIMEOUT)
                // Nobody is followed to where the settings do not lead, and no proxy is asked.
                .redirect(Policy::none())
                .no_proxy()
                .dns_resolver(PublicAddresses(self.reachable()))
                .build()
                .expect("a client with time-outs can be built")
        })
    }
}

/// Its secrets are never printed.
impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelyingParty")
    }
}

impl Configuration {
    /// In the header where nothing is said, as the standard has it.
    fn takes_secret_in_form(&self) -> bool {
        let takes = |method: &str| {
            self.token_endpoint_auth_methods_supported.iter().any(|taken| taken == method)
        };
        takes("client_secret_post") && !takes("client_secret_basic")
    }
}

fn is_fresh(read_at: Timestamp, kept: SignedDuration, now: Timestamp) -> bool {
    let age = now.duration_since(read_at);
    !age.is_negative() && age < kept
}

/// Both are form-encoded before they are put together (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

async fn ask(request: RequestBuilder) -> Result<(u16, Vec<u8>), Fault> {
    let silent = |error: reqwest::Error| {
        Fault::outside("the sign-in provider did not answer", error.without_url())
    };
    let mut reply = request.send().await.map_err(silent)?;
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(silent)? {
        body.extend_from_slice(&chunk);
        if body.len() > REPLY_BYTES_MAX {
            return Err(Fault::outside(
                "the sign-in provider says too much",
                "a reply is too long",
            ));
        }
    }
    Ok((reply.status().as_u16(), body))
}
