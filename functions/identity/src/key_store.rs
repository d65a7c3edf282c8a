//! Where the signing keys are kept: a secret in Secrets Manager, random at first, replaced by every rotation.

use std::sync::OnceLock;

use aws_lc_rs::digest;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shell::{Failure, Fault};

use crate::derivation::derived;
use crate::domain::{KeySet, Seed};

/// The secret that `SIGNING_SECRET` names.
pub struct KeyStore {
    client: OnceLock<Client>,
    secret: OnceLock<String>,
}

impl KeyStore {
    /// Nothing is read of the environment until the keys are.
    pub const fn of_environment() -> Self {
        Self { client: OnceLock::new(), secret: OnceLock::new() }
    }

    #[cfg(test)]
    pub fn new(client: Client, secret: &str) -> Self {
        Self { client: client.into(), secret: OnceLock::from(secret.to_owned()) }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(shell::aws::sdk_config()))
    }

    fn secret(&self) -> &str {
        self.secret.get_or_init(|| shell::required_environment("SIGNING_SECRET"))
    }

    pub async fn read(&self) -> Result<KeySet, Fault> {
        let reply = self.client().get_secret_value().secret_id(self.secret()).send().await;
        let reply =
            reply.map_err(|error| Fault::outside("the signing keys could not be read", error))?;
        let text = reply.secret_string.unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Fault::defect("there are no signing keys"));
        }
        key_set(&text)
    }

    /// Writes the set that comes after `read`, unless somebody else has written another one after it.
    pub async fn write(&self, read: &KeySet, next: &KeySet) -> Result<(), Failure> {
        let text = |set: &KeySet| serde_json::to_string(set).expect("a key set is JSON");
        let after = digest::digest(&digest::SHA256, text(read).as_bytes());
        let written = self
            .client()
            .put_secret_value()
            .secret_id(self.secret())
            .secret_string(text(next))
            .client_request_token(URL_SAFE_NO_PAD.encode(after))
            .send()
            .await;
        let Err(error) = written else { return Ok(()) };
        // The same token with another text: somebody else came first.
        if let Some(PutSecretValueError::ResourceExistsException(_)) = error.as_service_error() {
            return Err(Failure::Conflict { with_twin: false });
        }
        Err(Fault::outside("the signing keys could not be written", error).into())
    }
}

/// Random words are at least this long; the deployment's has 64 characters.
const WORD_CHARS_MIN: usize = 24;

/// What stands in the secret: a key set, or the random word that the deployment, or an operator, put there, from which
/// the first key follows. Anything else is a key set that was damaged. To make a key of it would log everybody out, and
/// nobody would know why.
pub fn key_set(text: &str) -> Result<KeySet, Fault> {
    let text = text.trim();
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.len() >= WORD_CHARS_MIN && text.bytes().all(is_of_word) {
        let seed = derived(text, b"access token signing key, Ed25519, 1");
        return Ok(KeySet::first(Seed(URL_SAFE_NO_PAD.encode(seed))));
    }
    // What is wrong with it is not told: an excerpt of a key set may be a key.
    serde_json::from_str(text).map_err(|_| {
        Fault::defect("SIGNING_SECRET holds neither signing keys nor a long random word")
    })
}

/// What a key is called: a digest of its public half.
pub fn key_id(public: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, public).as_ref()[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_random_word_becomes_a_first_key() {
        let word = "q7".repeat(32);
        let first = key_set(&word).expect("what the deployment puts there");
        assert_eq!(key_set(&format!(" {word}\n")).expect("the same"), first);
        let written = serde_json::to_string(&first).expect("JSON");
        assert_eq!(key_set(&written).expect("a key set"), first);
        let renamed = written.replace("signs_from", "from");
        let torn = &written[..written.len() - 2];
        for damaged in ["", "short", "two words of some length here", torn, &renamed, "{}", "[1]"] {
            let fault = key_set(damaged).expect_err("it is no key set");
            assert!(!fault.retryable && !fault.chain().contains("seed"), "{fault}");
        }
    }
}
