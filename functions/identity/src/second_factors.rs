//! Time-based one-time passwords (RFC 6238: SHA-1, 30 seconds, six digits, as every app knows them) and recovery codes.
//! Their seeds are stored sealed (AES-256-GCM). The secret may hold several words, the newest first: the newest seals,
//! all of them open, and what an older one has sealed is sealed anew when it is next used.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use kernel::{AccountId, Timestamp};
use shell::Fault;

use crate::derivation::derived;
use crate::domain::{Code, SealedSeed, SecondFactor};

const STEP_S: i64 = 30;
/// Telephones' clocks go wrong by no more than a step.
const STEPS_OFF_MAX: i64 = 1;
const APP_SEED_BYTES: usize = 20;
/// A shorter word is not random, but a slip of whoever changed the secret.
const WORD_CHARS_MIN: usize = 24;

/// What everything else of a second factor follows from: its app's seed, and the recovery codes.
#[derive(Clone)]
pub struct FactorSeed([u8; 32]);

/// The keys that follow from the words of the secret, the newest first.
pub struct SecondFactorKeys(Vec<SealingKey>);

struct SealingKey {
    id: String,
    key: RandomizedNonceKey,
}

/// A second factor's seed, and how to store it from now on where an older key has sealed it.
pub struct Opened {
    pub seed: FactorSeed,
    pub sealed_anew: Option<SealedSeed>,
}

impl SecondFactorKeys {
    pub fn of(secret: &str) -> Result<Self, Fault> {
        let words: Vec<&str> = secret.split_whitespace().collect();
        if words.is_empty() || words.iter().any(|word| word.len() < WORD_CHARS_MIN) {
            return Err(Fault::defect("SECOND_FACTOR_SECRET must hold long random words"));
        }
        Ok(Self(words.into_iter().map(SealingKey::of).collect()))
    }

    /// Whether one of these has sealed it.
    pub fn know(&self, sealed: &SealedSeed) -> bool {
        self.0.iter().any(|key| key.id == sealed.key)
    }

    pub fn seal(&self, account: AccountId, seed: &FactorSeed) -> Result<SealedSeed, Fault> {
        let SealingKey { id, key } = &self.0[0];
        let mut text = seed.0.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(account.to_string()), &mut text)
            .map_err(|error| Fault::outside("a seed could not be sealed", error))?;
        Ok(SealedSeed {
            key: id.clone(),
            nonce: URL_SAFE_NO_PAD.encode(nonce.as_ref()),
            text: URL_SAFE_NO_PAD.encode(text),
        })
    }

    pub fn open(&self, factor: &SecondFactor) -> Result<Opened, Fault> {
        let SecondFactor { account, seed: sealed, .. } = factor;
        let at = self.0.iter().position(|key| key.id == sealed.key);
        let at = at.ok_or_else(|| {
            Fault::defect("SECOND_FACTOR_SECRET lacks the word that a second factor is sealed with")
        })?;
        let seed = self.0[at].open(*account, sealed);
        let seed = seed.ok_or_else(|| Fault::defect("a second factor's seed is damaged"))?;
        let sealed_anew = if at == 0 { None } else { Some(self.seal(*account, &seed)?) };
        Ok(Opened { seed, sealed_anew })
    }
}

impl SealingKey {
    fn of(word: &str) -> Self {
        let id = derived(word, b"second factor sealing key's name, 1");
        let key = derived(word, b"second factor sealing key, AES-256-GCM, 1");
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key has 32 bytes");
        Self { id: URL_SAFE_NO_PAD.encode(&id[..6]), key }
    }

    fn open(&self, account: AccountId, sealed: &SealedSeed) -> Option<FactorSeed> {
        let nonce = URL_SAFE_NO_PAD.decode(&sealed.nonce).ok()?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let mut text = URL_SAFE_NO_PAD.decode(&sealed.text).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(account.to_string()), &mut text);
        (&*opened.ok()?).try_into().ok().map(FactorSeed)
    }
}

impl FactorSeed {
    pub fn random() -> Result<Self, Fault> {
        let mut seed = [0; 32];
        rand::fill(&mut seed).map_err(|error| Fault::outside("there is no randomness", error))?;
        Ok(Self(seed))
    }

    /// The app's seed as apps take it, in base 32.
    pub fn for_app(&self) -> String {
        BASE32_NOPAD.encode(&self.derive("app")[..APP_SEED_BYTES])
    }

    pub fn recovery_codes(&self) -> Vec<String> {
        (0..SecondFactor::RECOVERY_CODES).map(|number| self.recovery_code(number)).collect()
    }

    /// What the code is that somebody typed, with or without spaces and hyphens.
    pub fn read(&self, typed: &str, now: Timestamp) -> Code {
        let typed: String = typed.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let typed = typed.to_uppercase();
        let is = |right: &str| verify_slices_are_equal(typed.as_bytes(), right.as_bytes()).is_ok();
        let seed = self.derive("app");
        let step_now = now.as_second() / STEP_S;
        for step in step_now - STEPS_OFF_MAX..=step_now + STEPS_OFF_MAX {
            let Ok(step) = u64::try_from(step) else { continue };
            if is(&one_time_password(&seed[..APP_SEED_BYTES], step)) {
                return Code::Step(step);
            }
        }
        (0..SecondFactor::RECOVERY_CODES)
            .find(|number| is(&self.recovery_code(*number).replace('-', "")))
            .map_or(Code::Wrong, Code::Recovery)
    }

    /// What the app shows at this moment.
    #[cfg(test)]
    pub fn code_at(&self, now: Timestamp) -> String {
        let step = u64::try_from(now.as_second() / STEP_S).expect("after 1970");
        one_time_password(&self.derive("app")[..APP_SEED_BYTES], step)
    }

    fn recovery_code(&self, number: u8) -> String {
        let code = BASE32_NOPAD.encode(&self.derive(&format!("recovery {number}"))[..10]);
        [&code[..4], &code[4..8], &code[8..12], &code[12..]].join("-")
    }

    fn derive(&self, what: &str) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        hmac::sign(&key, what.as_bytes()).as_ref().to_vec()
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
mod tests {
    use jiff::SignedDuration;
    use kernel::Id;

    use super::*;

    const OLD: &str = "oldoldoldoldoldoldoldoldold";
    const NEW: &str = "newnewnewnewnewnewnewnewnew";

    fn keys(secret: &str) -> SecondFactorKeys {
        SecondFactorKeys::of(secret).expect("keys")
    }

    fn seed() -> FactorSeed {
        FactorSeed([7; 32])
    }

    /// Ada's factor, sealed with the first word of the secret.
    fn factor(secret: &str) -> SecondFactor {
        let account = AccountId::derived_from("ada");
        let sealed = keys(secret).seal(account, &seed()).expect("seals");
        SecondFactor::enroll(account, sealed, testkit::now())
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
        let code = seed().code_at(testkit::now());
        let at = |seconds| seed().read(&code, testkit::now() + SignedDuration::from_secs(seconds));
        assert!(matches!(at(0), Code::Step(_)));
        assert_eq!((at(30), at(-30)), (at(0), at(0)));
        assert_eq!((at(61), at(-61)), (Code::Wrong, Code::Wrong));
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them_and_are_nobody_elses() {
        let codes = seed().recovery_codes();
        assert_eq!(codes.len(), 10);
        let typed = codes[3].to_lowercase().replace('-', " ");
        assert_eq!(seed().read(&typed, testkit::now()), Code::Recovery(3));
        let other = FactorSeed::random().expect("randomness");
        assert_eq!(other.read(&codes[3], testkit::now()), Code::Wrong);
        assert_eq!(seed().read("", testkit::now()), Code::Wrong);
    }

    #[test]
    fn a_new_word_voids_no_factor_and_seals_anew_what_the_old_one_has_sealed() {
        let old = factor(OLD);
        let both = keys(&format!("{NEW}\n{OLD}\n"));
        assert!(both.know(&old.seed) && !keys(NEW).know(&old.seed));
        let opened = both.open(&old).expect("the old word is there");
        assert_eq!(opened.seed.recovery_codes(), seed().recovery_codes());
        let anew = SecondFactor { seed: opened.sealed_anew.expect("by the new word"), ..old };
        let opened = keys(NEW).open(&anew).expect("the old word may go now");
        assert_eq!(opened.seed.recovery_codes(), seed().recovery_codes());
        assert_eq!(opened.sealed_anew, None);
    }

    #[test]
    fn what_cannot_be_opened_is_a_defect_and_never_a_wrong_code() {
        let factor = factor(OLD);
        assert!(keys(NEW).open(&factor).is_err());
        let of_another = SecondFactor { account: AccountId::derived_from("bob"), ..factor.clone() };
        assert!(keys(OLD).open(&of_another).is_err(), "a seed is moved to nobody else");
        let other = if factor.seed.text.starts_with('A') { "B" } else { "A" };
        let text = format!("{other}{}", &factor.seed.text[1..]);
        let seed = SealedSeed { text, ..factor.seed.clone() };
        assert!(keys(OLD).open(&SecondFactor { seed, ..factor }).is_err());
        for secret in ["", "  ", "a short word", "{\"words\": []}"] {
            assert!(SecondFactorKeys::of(secret).is_err(), "{secret}");
        }
    }
}
