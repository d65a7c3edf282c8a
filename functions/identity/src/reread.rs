//! What a warm function knows of a secret that changes while it runs: read again now and then, and in between where
//! something is asked for that is not in it.

use std::sync::Arc;

use jiff::SignedDuration;
use kernel::Timestamp;
use shell::Fault;
use tokio::sync::Mutex;

/// A secret is read again after this long.
pub const REREAD_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// Made-up names of keys make us read no more often than this.
pub const REREAD_AT_MOST_EVERY: SignedDuration = SignedDuration::from_secs(10);

pub struct Reread<T> {
    known: Mutex<Option<Known<T>>>,
}

struct Known<T> {
    value: Arc<T>,
    read_at: Timestamp,
}

impl<T> Reread<T> {
    pub const fn new() -> Self {
        Self { known: Mutex::const_new(None) }
    }

    /// What never changes and is never read again.
    #[cfg(test)]
    pub fn given(value: T) -> Self {
        let known = Known { value: Arc::new(value), read_at: Timestamp::MAX };
        Self { known: Mutex::new(Some(known)) }
    }

    /// What is known, read again where that was longer ago than `age_max`. While it cannot be read, what is known from
    /// before is used on.
    pub async fn read_after(
        &self,
        age_max: SignedDuration,
        now: Timestamp,
        read: impl AsyncFnOnce() -> Result<T, Fault>,
    ) -> Result<Arc<T>, Fault> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref()
            && now.duration_since(known.read_at) < age_max
        {
            return Ok(Arc::clone(&known.value));
        }
        let value = match read().await {
            Ok(value) => Arc::new(value),
            Err(fault) => {
                let Some(stale) = known.as_mut() else { return Err(fault) };
                tracing::warn!(error = fault.chain(), "the keys from before are used on");
                stale.read_at = now;
                return Ok(Arc::clone(&stale.value));
            }
        };
        *known = Some(Known { value: Arc::clone(&value), read_at: now });
        Ok(value)
    }
}
