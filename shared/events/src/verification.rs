//! The code that proves an e-mail address. It is computed where it is sent and where it is checked, and
//! stored nowhere:
//! events are kept for years and must not carry what opens an account.

use hmac::{Hmac, KeyInit, Mac};
use kernel::{AccountId, Timestamp};
use sha2::Sha256;

/// Eight digits from HMAC-SHA-256 over the account and the moment the code was asked for.
pub fn verification_code(key: &[u8], account: AccountId, requested_at: Timestamp) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("verify-email:{account}:{}", requested_at.as_millisecond()).as_bytes());
    let digest = mac.finalize().into_bytes();
    let number = u64::from_be_bytes(digest[..8].try_into().expect("eight bytes"));
    format!("{:08}", number % 100_000_000)
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    #[test]
    fn a_code_fits_one_account_one_moment_and_one_key() {
        let account = AccountId::derived_from("ada");
        let then = Timestamp::from_second(1_800_000_000).expect("in range");
        let code = verification_code(b"key", account, then);
        assert_eq!(code.len(), 8);
        assert_eq!(code, verification_code(b"key", account, then));
        assert_ne!(code, verification_code(b"other", account, then));
        assert_ne!(code, verification_code(b"key", AccountId::derived_from("bob"), then));
    }
}
