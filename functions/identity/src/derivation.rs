//! Keys that follow from one secret, each under a label of its own.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

pub fn derived(secret: &str, label: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    Salt::new(HKDF_SHA256, b"matricula identity")
        .extract(secret.as_bytes())
        .expand(&[label], HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut key))
        .expect("HKDF gives 32 bytes");
    key
}
