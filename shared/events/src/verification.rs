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

/// What a link that was mailed opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPurpose {
    ResetPassword,
    AcceptInvitation,
}

/// The secret part of a link: 64 hexadecimal digits from HMAC-SHA-256 over purpose, account and the moment it was asked
/// for.
pub fn link_token(
    key: &[u8],
    purpose: LinkPurpose,
    account: AccountId,
    requested_at: Timestamp,
) -> String {
    let purpose = match purpose {
        LinkPurpose::ResetPassword => "reset-password",
        LinkPurpose::AcceptInvitation => "accept-invitation",
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(format!("{purpose}:{account}:{}", requested_at.as_millisecond()).as_bytes());
    let digest = mac.finalize().into_bytes();
    let half = |bytes: &[u8]| u128::from_be_bytes(bytes.try_into().expect("sixteen bytes"));
    format!("{:032x}{:032x}", half(&digest[..16]), half(&digest[16..]))
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

    #[test]
    fn a_link_opens_one_thing_of_one_account() {
        let account = AccountId::derived_from("ada");
        let then = Timestamp::from_second(1_800_000_000).expect("in range");
        let token = |purpose| link_token(b"key", purpose, account, then);
        let reset = token(LinkPurpose::ResetPassword);
        assert_eq!(reset.len(), 64);
        assert_ne!(reset, token(LinkPurpose::AcceptInvitation));
        let bob = AccountId::derived_from("bob");
        assert_ne!(reset, link_token(b"key", LinkPurpose::ResetPassword, bob, then));
    }
}
