//! Secrets from Secrets Manager: read when first needed, then kept for the life of the environment. And those that are
//! handed out: random, shown once, and kept as a digest.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Mutex;

use crate::Fault;

static KNOWN: Mutex<Option<HashMap<String, Arc<str>>>> = Mutex::const_new(None);

/// The secret whose ARN stands in the environment variable `variable`.
pub async fn secret(variable: &str) -> Result<Arc<str>, Fault> {
    known_or_read(variable, || crate::required_environment(variable)).await
}

/// The secret of this name: for secrets that an operator adds while the functions run.
pub async fn secret_named(name: &str) -> Result<Arc<str>, Fault> {
    known_or_read(name, || name.to_owned()).await
}

/// Lets the secret of this name be read again when it is next needed: it may have been replaced.
pub async fn forget_secret_named(name: &str) {
    if let Some(known) = KNOWN.lock().await.as_mut() {
        known.remove(name);
    }
}

async fn known_or_read(variable: &str, id: impl FnOnce() -> String) -> Result<Arc<str>, Fault> {
    let mut known = KNOWN.lock().await;
    let known = known.get_or_insert_default();
    if let Some(secret) = known.get(variable) {
        return Ok(Arc::clone(secret));
    }
    let id = id();
    let client = aws_sdk_secretsmanager::Client::new(crate::aws::sdk_config());
    let reply = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
        Fault::outside(format!("the secret {variable} could not be read"), error)
    })?;
    let text = reply
        .secret_string
        .ok_or_else(|| Fault::defect(format!("the secret {variable} is empty")))?;
    let secret: Arc<str> = text.into();
    known.insert(variable.to_owned(), Arc::clone(&secret));
    Ok(secret)
}

/// A text of 256 random bits, which nobody guesses and a path may hold.
pub fn random_text() -> Result<String, Fault> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|error| Fault::outside("there is no randomness", error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// By which such a text is known again. There are too many of them to try, so that a digest that is quick to compute is
/// enough.
pub fn digest_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}
