//! Device tokens: proof that somebody has logged in to an account from this device since the sessions of its person
//! were last ended together. They open nothing; they only give the device a budget of wrong passwords of its own, so
//! that a stranger's guesses do not keep the owner out.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{AccountId, DeviceId};

use crate::derivation::derived;

#[derive(Clone)]
pub struct DeviceKey(hmac::Key);

impl DeviceKey {
    pub fn derived_from(secret: &str) -> Self {
        let key = derived(secret, b"device token key, HMAC-SHA-256, 2");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// `ends` is how often all sessions of the account's person have been ended: a token from before the last time is
    /// good no more, so that tokens cannot be hoarded for the day after.
    pub fn token(&self, account: AccountId, device: DeviceId, ends: u64) -> String {
        let tag = hmac::sign(&self.0, format!("{account}.{device}.{ends}").as_bytes());
        format!("{device}.{ends}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The device that a genuine token of this account names, and how often all sessions had been ended by then.
    pub fn presented(&self, token: &str, account: AccountId) -> Option<(DeviceId, u64)> {
        let (device, rest) = token.split_once('.')?;
        let (ends, tag) = rest.split_once('.')?;
        let (device, ends): (DeviceId, u64) = (device.parse().ok()?, ends.parse().ok()?);
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, format!("{account}.{device}.{ends}").as_bytes(), &tag).ok()?;
        Some((device, ends))
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    #[test]
    fn a_device_is_known_to_one_account() {
        let key = DeviceKey::derived_from("the secret of a test");
        let (ada, eve) = (AccountId::derived_from("ada"), AccountId::derived_from("eve"));
        let device = DeviceId::derived_from("one");
        let token = key.token(ada, device, 3);
        assert_eq!(key.presented(&token, ada), Some((device, 3)));
        assert_eq!(key.presented(&token, eve), None);
        let other = token.replace(&device.to_string(), &DeviceId::derived_from("two").to_string());
        let later = token.replace(".3.", ".4.");
        for forged in ["", ".", "..", &other, &later, &token[..60], &format!("{token}A")] {
            assert_eq!(key.presented(forged, ada), None, "{forged}");
        }
        assert_eq!(DeviceKey::derived_from("another").presented(&token, ada), None);
    }
}
