//! The keys of second factors as a warm function knows them. A word that is put into the secret, or taken out of it,
//! counts within minutes, without a restart.

use std::sync::Arc;

use kernel::Timestamp;
use shell::Fault;

use crate::domain::SecondFactor;
use crate::reread::{REREAD_AFTER, REREAD_AT_MOST_EVERY, Reread};
use crate::second_factors::{Opened, SecondFactorKeys};

const SECRET: &str = "SECOND_FACTOR_SECRET";

pub struct SecondFactorRing {
    known: Reread<SecondFactorKeys>,
    words: Words,
}

/// Where the words stand.
enum Words {
    InSecret,
    #[cfg(test)]
    Given(std::sync::Mutex<String>),
}

impl Words {
    async fn keys(&self) -> Result<SecondFactorKeys, Fault> {
        match self {
            Self::InSecret => {
                shell::forget_secret_named(SECRET).await;
                SecondFactorKeys::of(&shell::secret(SECRET).await?)
            }
            #[cfg(test)]
            Self::Given(words) => SecondFactorKeys::of(&words.lock().expect("no panic")),
        }
    }
}

impl SecondFactorRing {
    pub const fn of_environment() -> Self {
        Self { known: Reread::new(), words: Words::InSecret }
    }

    #[cfg(test)]
    pub fn given(words: &str) -> Self {
        Self { known: Reread::new(), words: Words::Given(words.to_owned().into()) }
    }

    /// From now on these stand in the secret.
    #[cfg(test)]
    pub fn put(&self, new: &str) {
        let Words::Given(words) = &self.words else { panic!("the secret is no test's") };
        new.clone_into(&mut words.lock().expect("no panic"));
    }

    pub async fn keys(&self, now: Timestamp) -> Result<Arc<SecondFactorKeys>, Fault> {
        self.known.read_after(REREAD_AFTER, now, async || self.words.keys().await).await
    }

    /// Opens a second factor's seed. Where none of the known keys has sealed it, the secret has got a newer word.
    pub async fn opened(&self, factor: &SecondFactor, now: Timestamp) -> Result<Opened, Fault> {
        let keys = self.keys(now).await?;
        if keys.know(&factor.seed) {
            return keys.open(factor);
        }
        let read = async || self.words.keys().await;
        self.known.read_after(REREAD_AT_MOST_EVERY, now, read).await?.open(factor)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use kernel::{AccountId, Id};

    use super::*;
    use crate::second_factors::FactorSeed;

    const OLD: &str = "oldoldoldoldoldoldoldoldold";
    const NEW: &str = "newnewnewnewnewnewnewnewnew";

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    async fn sealed(ring: &SecondFactorRing, now: Timestamp) -> SecondFactor {
        let account = AccountId::derived_from("ada");
        let seed = FactorSeed::random().expect("randomness");
        let sealed = ring.keys(now).await.expect("keys").seal(account, &seed).expect("seals");
        SecondFactor::enroll(account, sealed, now)
    }

    #[tokio::test]
    async fn a_retired_word_opens_nothing_any_more_within_minutes() {
        let ring = SecondFactorRing::given(OLD);
        let factor = sealed(&ring, after(0)).await;
        ring.put(NEW);
        ring.opened(&factor, after(299)).await.expect("it is not known yet");
        assert!(ring.opened(&factor, after(300)).await.is_err());
    }

    #[tokio::test]
    async fn a_new_word_is_found_where_somebody_else_has_sealed_with_it() {
        let ring = SecondFactorRing::given(OLD);
        sealed(&ring, after(0)).await;
        let both = format!("{NEW} {OLD}");
        ring.put(&both);
        let factor = sealed(&SecondFactorRing::given(&both), after(5)).await;
        assert!(ring.opened(&factor, after(9)).await.is_err(), "no more often than in 10 s");
        ring.opened(&factor, after(10)).await.expect("it is read again");
    }

    #[tokio::test]
    async fn words_from_before_are_used_while_new_ones_cannot_be_read() {
        let ring = SecondFactorRing::given(OLD);
        let factor = sealed(&ring, after(0)).await;
        ring.put("a slip");
        ring.opened(&factor, after(300)).await.expect("those from before");
        assert!(SecondFactorRing::given("a slip").keys(after(0)).await.is_err());
    }
}
