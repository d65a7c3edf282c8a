//! What a warm process remembers of the table for a short while, so that it need not ask again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;
use kernel::Timestamp;

/// Values by key, each good for the same while. Whoever shows or decides by one accepts that the table may have moved
/// on for that long.
#[derive(Debug)]
pub struct Remembered<K, V> {
    kept: SignedDuration,
    max: usize,
    known: Mutex<HashMap<K, (Timestamp, V)>>,
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// Remembers each value for `kept`, and no more than `max` of them.
    pub fn new(kept: SignedDuration, max: usize) -> Self {
        Self { kept, max, known: Mutex::default() }
    }

    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, value) = known.get(key)?;
        self.is_fresh(*read_at, now).then(|| value.clone())
    }

    pub fn keep(&self, key: K, value: V, now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.max {
            known.retain(|_, (read_at, _)| self.is_fresh(*read_at, now));
        }
        if known.len() >= self.max && !known.contains_key(&key) {
            known.clear();
        }
        known.insert(key, (now, value));
    }

    fn is_fresh(&self, read_at: Timestamp, now: Timestamp) -> bool {
        let age = now.duration_since(read_at);
        !age.is_negative() && age < self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_value_is_good_for_its_while_and_not_before_it_was_read() {
        let remembered = Remembered::new(SignedDuration::from_secs(25), 10);
        remembered.keep("a", 1, at(100));
        let found = [99, 100, 124, 125].map(|second| remembered.get(&"a", at(second)));
        assert_eq!(found, [None, Some(1), Some(1), None]);
        remembered.keep("a", 2, at(110));
        assert_eq!(remembered.get(&"a", at(125)), Some(2));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let remembered = Remembered::new(SignedDuration::from_secs(25), 10);
        for number in 0..15 {
            remembered.keep(number, number, at(100));
        }
        assert_eq!(remembered.known.lock().expect("nobody panicked").len(), 5);
        assert_eq!(remembered.get(&14, at(100)), Some(14));
    }
}
