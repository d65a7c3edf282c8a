//! The keys that access tokens are signed with. Each is known everywhere for a while before it signs and for a while
//! after, so that a change of keys is noticed by nobody.

use jiff::SignedDuration;
use kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// 32 bytes in base64 from which a key pair follows. It does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub String);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySeed {
    pub seed: Seed,
    /// It signs from here until the next one does.
    pub signs_from: Timestamp,
}

/// All keys that may have signed a token which is still good, and the one that signs next; the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySet {
    /// One more with every change.
    pub generation: u64,
    pub keys: Vec<KeySeed>,
}

impl KeySet {
    pub const SIGNS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
    /// A key is published this long before it signs.
    pub const ANNOUNCED: SignedDuration = SignedDuration::from_hours(1);
    /// A key is kept this long after the next one has begun to sign: far longer than a token is good.
    pub const RETIRED_AFTER: SignedDuration = SignedDuration::from_hours(24);

    /// The set before any rotation: one key, which has signed from the beginning.
    pub fn first(seed: Seed) -> Self {
        Self { generation: 0, keys: vec![KeySeed { seed, signs_from: Timestamp::UNIX_EPOCH }] }
    }

    /// The set with what is due at this time: a next key, or an old one gone. None where nothing is.
    pub fn rotated(&self, now: Timestamp, seed: Seed) -> Option<Self> {
        let mut keys = self.keys.clone();
        let signed_until = |at: usize| self.keys.get(at + 1).map(|next| next.signs_from);
        let mut at = 0;
        keys.retain(|_| {
            at += 1;
            signed_until(at - 1).is_none_or(|until| now < until + Self::RETIRED_AFTER)
        });
        let is_old = |key: &KeySeed| now >= key.signs_from + Self::SIGNS_FOR - Self::ANNOUNCED;
        if keys.last().is_none_or(is_old) {
            keys.push(KeySeed { seed, signs_from: now + Self::ANNOUNCED });
        }
        (keys != self.keys).then_some(Self { generation: self.generation + 1, keys })
    }

    /// Which key signs: the last one whose time has come.
    pub fn signing(&self, now: Timestamp) -> Option<usize> {
        self.keys.iter().rposition(|key| key.signs_from <= now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seed(number: usize) -> Seed {
        Seed(format!("seed {number}"))
    }

    #[test]
    fn a_seed_does_not_print() {
        assert!(!format!("{:?}", KeySet::first(seed(1))).contains("seed 1"));
    }

    #[test]
    fn nothing_changes_until_a_change_is_due() {
        let now = testkit::now();
        let set = KeySet::first(seed(0)).rotated(now, seed(1)).expect("the first key is old");
        assert_eq!((set.keys.len(), set.signing(now)), (2, Some(0)));
        let begins = now + KeySet::ANNOUNCED;
        assert_eq!(set.signing(begins), Some(1));
        assert_eq!(set.rotated(begins, seed(2)), None);
        let alone = set.rotated(begins + KeySet::RETIRED_AFTER, seed(2)).expect("one retires");
        assert_eq!((alone.keys.len(), alone.generation), (1, 2));
        assert_eq!(alone.rotated(begins + KeySet::RETIRED_AFTER, seed(2)), None);
    }

    proptest! {
        /// However late or often the schedule runs: who read the set up to an hour ago signs with a key that everybody
        /// knows, and knows every key that signs.
        #[test]
        fn whoever_read_the_set_within_the_hour_agrees_with_everybody_else(
            hours in proptest::collection::vec(1_i64..1_200, 1..40), read_minutes_ago in 0_i64..60,
        ) {
            let mut now = testkit::now();
            let mut sets = vec![(now, KeySet::first(seed(0)))];
            for (number, pause) in hours.into_iter().enumerate() {
                now += SignedDuration::from_hours(pause);
                let set = sets.last().expect("there is one").1.clone();
                if let Some(next) = set.rotated(now, seed(number + 1)) {
                    prop_assert!(next.keys.len() <= 3);
                    sets.push((now, next));
                }
            }
            for (written_at, set) in &sets {
                for minutes in [0, 30, 59, 61, 90] {
                    let at = *written_at + SignedDuration::from_mins(minutes);
                    let read_at = at - SignedDuration::from_mins(read_minutes_ago);
                    let read = sets.iter().rfind(|(written, _)| *written <= read_at);
                    let Some((_, read)) = read else { continue };
                    let newest = &sets.iter().rfind(|(written, _)| *written <= at).expect("one").1;
                    let signs = &read.keys[read.signing(at).expect("one signs")];
                    prop_assert!(newest.keys.contains(signs), "nobody knows it any more");
                    let signs = &newest.keys[newest.signing(at).expect("one signs")];
                    prop_assert!(read.keys.contains(signs), "not everybody knows it yet");
                }
                prop_assert!(set.generation < 100);
            }
        }
    }
}
