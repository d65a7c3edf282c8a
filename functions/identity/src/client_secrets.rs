//! Secrets of service clients: 256 random bits, shown once and kept as a digest. They are too many to try, so that a
//! digest that is quick to compute is enough.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::Timestamp;
use shell::Fault;

use crate::domain::{Client, ClientSecret, SecretDigest};

/// What a secret begins with, so that one that lies about is recognized.
const MARK: &str = "mcs_";

/// A text that nobody guesses.
pub fn random_text() -> Result<String, Fault> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|error| Fault::outside("there is no randomness", error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub fn new_secret() -> Result<String, Fault> {
    Ok(format!("{MARK}{}", random_text()?))
}

pub fn digest_of(secret: &str) -> SecretDigest {
    SecretDigest(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, secret.as_bytes())))
}

/// The client's secret that this is. An unknown client costs as much as a wrong secret.
pub fn presented<'c>(
    secret: &str,
    client: Option<&'c Client>,
    now: Timestamp,
) -> Option<&'c ClientSecret> {
    let presented = digest_of(secret);
    let client = client.filter(|client| client.stands(now))?;
    client.secrets.iter().filter(|standing| standing.stands(now)).find(|standing| {
        verify_slices_are_equal(standing.digest.0.as_bytes(), presented.0.as_bytes()).is_ok()
    })
}
