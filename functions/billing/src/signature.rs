//! The signature of the provider's webhooks: `Stripe-Signature: t=<unix seconds>,v1=<hex HMAC-SHA-256 of "t.body">`.

use hmac::{Hmac, KeyInit, Mac};
use kernel::Timestamp;
use sha2::Sha256;

use crate::domain::Refusal;

/// How far the moment of signing may lie from ours, in seconds; Stripe's own recommendation.
const TOLERANCE_S: u64 = 300;

/// Refuses what the provider did not sign, and what it signed at another time: a webhook that was overheard.
pub fn check(header: &str, body: &str, secret: &str, now: Timestamp) -> Result<(), Refusal> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let signed_at = parts()
        .find_map(|(name, value)| (name == "t").then_some(value))
        .ok_or(Refusal::WebhookSignatureInvalid)?;
    // While its secret is changed the provider signs with both.
    let signed = parts()
        .filter(|(name, _)| *name == "v1")
        .filter_map(|(_, signature)| bytes_of(signature))
        .any(|signature| is_signature(&signature, signed_at, body, secret));
    if !signed {
        return Err(Refusal::WebhookSignatureInvalid);
    }
    let signed_at: i64 = signed_at.parse().map_err(|_| Refusal::WebhookSignatureInvalid)?;
    if now.as_second().abs_diff(signed_at) > TOLERANCE_S {
        return Err(Refusal::WebhookTimestampOld);
    }
    Ok(())
}

/// Compares in constant time.
fn is_signature(signature: &[u8], signed_at: &str, body: &str, secret: &str) -> bool {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(signed_at.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.verify_slice(signature).is_ok()
}

pub fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"{"id":"evt_1"}"#;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn what_the_provider_signed_passes_within_five_minutes() {
        let header = testkit::webhook_signature("secret", 1_800_000_000, BODY);
        for second in [1_799_999_700, 1_800_000_000, 1_800_000_300] {
            assert_eq!(check(&header, BODY, "secret", at(second)), Ok(()));
        }
        for second in [1_799_999_699, 1_800_000_301] {
            assert_eq!(
                check(&header, BODY, "secret", at(second)),
                Err(Refusal::WebhookTimestampOld)
            );
        }
    }

    #[test]
    fn one_good_signature_among_several_is_enough() {
        let good = testkit::webhook_signature("secret", 1_800_000_000, BODY);
        let header = format!("{good},v1=00,v0=whatever");
        assert_eq!(check(&header, BODY, "secret", at(1_800_000_000)), Ok(()));
    }

    #[test]
    fn another_body_another_moment_and_another_secret_are_noticed() {
        let header = testkit::webhook_signature("secret", 1_800_000_000, BODY);
        let later = header.replace("t=1800000000", "t=1800000001");
        let now = at(1_800_000_000);
        let invalid = Err(Refusal::WebhookSignatureInvalid);
        assert_eq!(check(&header, "{}", "secret", now), invalid);
        assert_eq!(check(&header, BODY, "other", now), invalid);
        assert_eq!(check(&later, BODY, "secret", now), invalid);
        assert_eq!(check("", BODY, "secret", now), invalid);
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_check(header in ".*") {
            prop_assert!(check(&header, BODY, "secret", at(1_800_000_000)).is_err());
        }
    }
}
