//! Secrets of service clients: random, shown once and kept as a digest.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use kernel::Timestamp;
use shell::Fault;
pub use shell::random_text;

use crate::domain::{Client, ClientSecret, SecretDigest};

/// What a secret begins with, so that one that lies about is recognized.
const MARK: &str = "mcs_";

pub fn new_secret() -> Result<String, Fault> {
    Ok(format!("{MARK}{}", random_text()?))
}

pub fn digest_of(secret: &str) -> SecretDigest {
    SecretDigest(shell::digest_of(secret))
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
