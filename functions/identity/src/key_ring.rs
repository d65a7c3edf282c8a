//! The signing keys as a warm function knows them. They are read again now and then, and when a token names a key that
//! is not among them: a rotation needs no restart.

use std::sync::Arc;

use kernel::Timestamp;
use shell::Fault;

use crate::key_store::KeyStore;
use crate::reread::{REREAD_AFTER, REREAD_AT_MOST_EVERY, Reread};
use crate::tokens::SigningKeys;

pub struct KeyRing {
    store: KeyStore,
    known: Reread<SigningKeys>,
}

impl KeyRing {
    pub const fn new(store: KeyStore) -> Self {
        Self { store, known: Reread::new() }
    }

    /// Keys that never change and are never read again.
    #[cfg(test)]
    pub fn given(keys: SigningKeys) -> Self {
        Self { store: KeyStore::of_environment(), known: Reread::given(keys) }
    }

    pub fn store(&self) -> &KeyStore {
        &self.store
    }

    /// The keys, read again much sooner than a new one signs.
    pub async fn keys(&self, now: Timestamp) -> Result<Arc<SigningKeys>, Fault> {
        self.known.read_after(REREAD_AFTER, now, async || self.read().await).await
    }

    /// The keys, read again where this one is not among them and they are not fresh.
    pub async fn keys_with(&self, key_id: &str, now: Timestamp) -> Result<Arc<SigningKeys>, Fault> {
        let keys = self.keys(now).await?;
        if keys.knows(key_id) {
            return Ok(keys);
        }
        self.known.read_after(REREAD_AT_MOST_EVERY, now, async || self.read().await).await
    }

    async fn read(&self) -> Result<SigningKeys, Fault> {
        SigningKeys::of(&self.store.read().await?)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::Client;
    use testkit::{Engine, Fault, Faults};

    use jiff::SignedDuration;

    use super::{Arc, KeyRing, KeyStore, SigningKeys, Timestamp};
    use crate::domain::{KeySet, Seed};

    fn ring(engine: &Engine) -> KeyRing {
        KeyRing::new(KeyStore::new(Client::new(&engine.sdk_config()), "signing-keys"))
    }

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    fn reads(engine: &Engine) -> u64 {
        engine.take_calls().get("GetSecretValue").copied().unwrap_or_default()
    }

    #[tokio::test]
    async fn keys_are_read_once_in_a_while_however_many_ask() {
        let engine = Engine::start().await;
        let ring = ring(&engine);
        for second in 0..299 {
            ring.keys(after(second)).await.expect("keys");
        }
        assert_eq!(reads(&engine), 1);
        ring.keys(after(300)).await.expect("keys");
        assert_eq!(reads(&engine), 1);
    }

    #[tokio::test]
    async fn a_new_key_is_found_without_a_restart() {
        let engine = Engine::start().await;
        let ring = ring(&engine);
        ring.keys(after(0)).await.expect("keys");
        let set = ring.store().read().await.expect("reads");
        let seed = Seed("A".repeat(43));
        let next = set.rotated(testkit::now(), seed).expect("it is due");
        ring.store().write(&set, &next).await.expect("writes");
        let new = SigningKeys::of(&next).expect("keys");
        let new = new.key_ids().last().expect("a key").to_string();
        assert!(!ring.keys(after(9)).await.expect("keys").knows(&new));
        assert!(ring.keys_with(&new, after(10)).await.expect("keys").knows(&new));
    }

    #[tokio::test]
    async fn made_up_key_ids_do_not_make_us_read_all_the_time() {
        let engine = Engine::start().await;
        let ring = ring(&engine);
        for number in 0..1_000 {
            let made_up = format!("made-up-{number}");
            ring.keys_with(&made_up, after(number / 100)).await.expect("keys");
        }
        assert!(reads(&engine) <= 2);
    }

    #[tokio::test]
    async fn keys_from_before_are_used_while_new_ones_cannot_be_read() {
        let engine = Engine::start().await;
        let ring = ring(&engine);
        let before = ring.keys(after(0)).await.expect("keys");
        engine.set_faults(Faults::lasting(0, Fault::FailBefore));
        let after_all = ring.keys(after(600)).await.expect("those from before");
        assert!(Arc::ptr_eq(&before, &after_all));
        engine.set_faults(Faults::lasting(0, Fault::FailBefore));
        assert!(self::ring(&engine).keys(after(0)).await.is_err(), "there are none from before");
    }

    #[tokio::test]
    async fn of_two_rotations_at_the_same_time_one_is_written() {
        let engine = Engine::start().await;
        let store = ring(&engine);
        let set = store.store().read().await.expect("reads");
        let rotated =
            |letter: &str| set.rotated(testkit::now(), Seed(letter.repeat(43))).expect("it is due");
        let (one, other): (KeySet, KeySet) = (rotated("A"), rotated("B"));
        store.store().write(&set, &one).await.expect("writes");
        store.store().write(&set, &one).await.expect("the same again is no conflict");
        let conflict = store.store().write(&set, &other).await;
        assert!(matches!(conflict, Err(shell::Failure::Conflict { .. })), "{conflict:?}");
        assert_eq!(store.store().read().await.expect("reads"), one);
    }
}
