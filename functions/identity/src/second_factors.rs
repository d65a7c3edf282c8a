//! Time-based one-time passwords (RFC 6238: SHA-1, 30 seconds, six digits, as every app knows them) and recovery codes.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use kernel::{AccountId, Timestamp};

use crate::derivation::derived;
use crate::domain::{Code, SecondFactor};

const STEP_S: i64 = 30;
/// Telephones' clocks go wrong by no more than a step.
const STEPS_OFF_MAX: i64 = 1;
const SEED_BYTES: usize = 20;

#[derive(Clone)]
pub struct SecondFactorKey(hmac::Key);

impl SecondFactorKey {
    pub fn derived_from(secret: &str) -> Self {
        let key = derived(secret, b"second factor key, HMAC-SHA-256, 1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The seed as apps take it, in base 32.
    pub fn seed(&self, factor: &SecondFactor) -> String {
        BASE32_NOPAD.encode(&self.derive(factor, "seed")[..SEED_BYTES])
    }

    pub fn recovery_codes(&self, factor: &SecondFactor) -> Vec<String> {
        (0..SecondFactor::RECOVERY_CODES).map(|number| self.recovery_code(factor, number)).collect()
    }

    /// What the code is that somebody typed, with or without spaces and hyphens.
    pub fn read(&self, factor: &SecondFactor, typed: &str, now: Timestamp) -> Code {
        let typed: String = typed.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let typed = typed.to_uppercase();
        let is = |right: &str| verify_slices_are_equal(typed.as_bytes(), right.as_bytes()).is_ok();
        let seed = self.derive(factor, "seed");
        let step_now = now.as_second() / STEP_S;
        for step in step_now - STEPS_OFF_MAX..=step_now + STEPS_OFF_MAX {
            let Ok(step) = u64::try_from(step) else { continue };
            if is(&one_time_password(&seed[..SEED_BYTES], step)) {
                return Code::Step(step);
            }
        }
        (0..SecondFactor::RECOVERY_CODES)
            .find(|number| is(&self.recovery_code(factor, *number).replace('-', "")))
            .map_or(Code::Wrong, Code::Recovery)
    }

    fn recovery_code(&self, factor: &SecondFactor, number: u8) -> String {
        let code = BASE32_NOPAD.encode(&self.derive(factor, &format!("recovery {number}"))[..10]);
        [&code[..4], &code[4..8], &code[8..12], &code[12..]].join("-")
    }

    fn derive(&self, factor: &SecondFactor, what: &str) -> Vec<u8> {
        let SecondFactor { account, enrolled_at, .. } = factor;
        let text = format!("{what}:{account}:{}", enrolled_at.as_nanosecond());
        hmac::sign(&self.0, text.as_bytes()).as_ref().to_vec()
    }
}

/// The address that an app reads from a QR code.
pub fn address(seed: &str, account: AccountId) -> String {
    format!("otpauth://totp/Matricula:{account}?secret={seed}&issuer=Matricula")
}

/// RFC 4226, section 5.3, with six digits.
fn one_time_password(seed: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[tag.len() - 1] & 0xf);
    let number = u32::from_be_bytes(tag[at..at + 4].try_into().expect("four bytes"));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

#[cfg(test)]
pub fn code_at(key: &SecondFactorKey, factor: &SecondFactor, now: Timestamp) -> String {
    let step = u64::try_from(now.as_second() / STEP_S).expect("after 1970");
    one_time_password(&key.derive(factor, "seed")[..SEED_BYTES], step)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use kernel::Id;

    use super::*;

    fn factor() -> SecondFactor {
        SecondFactor::enroll(None, AccountId::derived_from("ada"), testkit::now()).expect("enrolls")
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B: the last six of eight digits.
        let seed = b"12345678901234567890";
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(one_time_password(seed, second / 30), code);
        }
    }

    #[test]
    fn a_clock_may_be_half_a_minute_wrong_and_no_more() {
        let key = SecondFactorKey::derived_from("a secret");
        let code = code_at(&key, &factor(), testkit::now());
        let at = |seconds| {
            key.read(&factor(), &code, testkit::now() + SignedDuration::from_secs(seconds))
        };
        assert!(matches!(at(0), Code::Step(_)));
        assert_eq!((at(30), at(-30)), (at(0), at(0)));
        assert_eq!((at(61), at(-61)), (Code::Wrong, Code::Wrong));
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them_and_are_nobody_elses() {
        let key = SecondFactorKey::derived_from("a secret");
        let codes = key.recovery_codes(&factor());
        assert_eq!(codes.len(), 10);
        let typed = codes[3].to_lowercase().replace('-', " ");
        assert_eq!(key.read(&factor(), &typed, testkit::now()), Code::Recovery(3));
        let other = SecondFactor { account: AccountId::derived_from("bob"), ..factor() };
        assert_eq!(key.read(&other, &codes[3], testkit::now()), Code::Wrong);
        assert_eq!(key.read(&factor(), "", testkit::now()), Code::Wrong);
    }
}
