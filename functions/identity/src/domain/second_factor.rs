//! A second factor: codes from an app that somebody carries with them, and ten recovery codes on paper for the day that
//! it is lost. Both follow from a random seed, which is stored sealed; no code is stored.

use jiff::SignedDuration;
use kernel::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Refusal;

/// A seed as it is stored: nothing without the key that it is sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSeed {
    /// Which key.
    pub key: String,
    pub nonce: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    pub account: AccountId,
    pub seed: SealedSeed,
    pub enrolled_at: Timestamp,
    /// Absent until a first code has shown that the app knows the seed.
    pub confirmed_at: Option<Timestamp>,
    /// The half minute of that first code.
    pub confirmed_step: Option<u64>,
    /// The half minute of the last code that was used: each is good once.
    pub last_step: u64,
    pub used_recovery_codes: Vec<u8>,
}

/// What a code that somebody typed turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Step(u64),
    Recovery(u8),
    Wrong,
}

impl SecondFactor {
    pub const RECOVERY_CODES: u8 = 10;
    /// How long the first code may be sent again for its reply.
    const CONFIRMATION_REPEATABLE: SignedDuration = SignedDuration::from_secs(90);

    /// A factor that is confirmed is not replaced in passing.
    pub fn check_replaceable(standing: Option<&Self>) -> Result<(), Refusal> {
        if standing.is_some_and(Self::is_confirmed) {
            Err(Refusal::SecondFactorEnrolled)
        } else {
            Ok(())
        }
    }

    /// An enrolment that waits for its first code.
    pub fn enroll(account: AccountId, seed: SealedSeed, now: Timestamp) -> Self {
        Self {
            account,
            seed,
            enrolled_at: now,
            confirmed_at: None,
            confirmed_step: None,
            last_step: 0,
            used_recovery_codes: Vec::new(),
        }
    }

    pub fn is_confirmed(&self) -> bool {
        self.confirmed_at.is_some()
    }

    /// Uses a code; each is good once.
    pub fn take(&mut self, code: Code) -> Result<(), Refusal> {
        match code {
            Code::Step(step) if step > self.last_step => self.last_step = step,
            Code::Recovery(number) if !self.used_recovery_codes.contains(&number) => {
                self.used_recovery_codes.push(number);
            }
            Code::Step(_) | Code::Recovery(_) | Code::Wrong => {
                return Err(Refusal::SecondFactorWrong);
            }
        }
        Ok(())
    }

    /// Takes the first code. Repeated at once, as when the reply was lost, it changes nothing; false then. The code
    /// of a later log-in is no first one: whoever has seen it must not be shown the recovery codes.
    pub fn confirm(&mut self, code: Code, now: Timestamp) -> Result<bool, Refusal> {
        let just_now =
            self.confirmed_at.is_some_and(|at| now <= at + Self::CONFIRMATION_REPEATABLE);
        match code {
            Code::Step(step)
                if just_now
                    && self.confirmed_step == Some(step)
                    && self.last_step == step
                    && self.used_recovery_codes.is_empty() =>
            {
                Ok(false)
            }
            Code::Step(step) if !self.is_confirmed() => {
                self.take(code)?;
                self.confirmed_at = Some(now);
                self.confirmed_step = Some(step);
                Ok(true)
            }
            _ => Err(Refusal::SecondFactorWrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;
    use proptest::prelude::*;

    use super::*;

    fn enrolled() -> SecondFactor {
        let seed = SealedSeed { key: "k".into(), nonce: "n".into(), text: "t".into() };
        SecondFactor::enroll(AccountId::derived_from("ada"), seed, testkit::now())
    }

    #[test]
    fn only_the_first_code_repeated_at_once_is_a_confirmation() {
        let (now, mut factor) = (testkit::now(), enrolled());
        assert_eq!(factor.confirm(Code::Step(5), now), Ok(true));
        assert_eq!(factor.confirm(Code::Step(5), now), Ok(false), "its reply was lost");
        let later = now + SignedDuration::from_secs(91);
        assert_eq!(factor.confirm(Code::Step(5), later), Err(Refusal::SecondFactorWrong));
        factor.take(Code::Step(6)).expect("a log-in");
        for step in [5, 6, 7] {
            assert_eq!(factor.confirm(Code::Step(step), now), Err(Refusal::SecondFactorWrong));
        }
    }

    proptest! {
        /// Whatever is typed in whatever order: no code is taken twice, and none that is older than the last one.
        #[test]
        fn no_code_is_good_twice(codes in proptest::collection::vec((any::<bool>(), 1_u8..12), 1..60)) {
            let mut factor = enrolled();
            let mut taken = Vec::new();
            for (is_step, number) in codes {
                let code = if is_step { Code::Step(number.into()) } else { Code::Recovery(number) };
                if factor.take(code).is_ok() {
                    prop_assert!(!taken.contains(&code));
                    taken.push(code);
                }
            }
            prop_assert_eq!(factor.take(Code::Wrong), Err(Refusal::SecondFactorWrong));
        }
    }
}
