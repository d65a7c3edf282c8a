//! How long the invocation may still take. The shell sets it, the table looks at it before it begins to write.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// A transaction is not begun with less than this left: its reply could not be awaited.
pub const BEGIN_MIN: Duration = Duration::from_millis(300);

pub async fn within<F: Future>(deadline: Instant, work: F) -> F::Output {
    DEADLINE.scope(deadline, work).await
}

/// Time left, or a generous bound where nobody set a deadline.
pub fn left() -> Duration {
    const UNBOUNDED: Duration = Duration::from_mins(1);
    DEADLINE
        .try_with(|deadline| deadline.saturating_duration_since(Instant::now()))
        .unwrap_or(UNBOUNDED)
}

/// Full jitter (Amazon Builders' Library): anywhere between nothing and the doubled wait.
/// `None` when the wait would leave too little time for another attempt.
pub async fn back_off(attempt: u32) -> Option<()> {
    const BASE_MS: u64 = 15;
    const CEILING_MS: u64 = 400;
    let ceiling = CEILING_MS.min(BASE_MS << attempt.min(10));
    let wait = Duration::from_millis(fastrand::u64(1..=ceiling));
    if left() < wait + BEGIN_MIN {
        return None;
    }
    tokio::time::sleep(wait).await;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_so_long_that_nothing_can_be_begun_after_it() {
        let waited = async |left: Duration| {
            let began = Instant::now();
            (within(began + left, back_off(1)).await, began.elapsed())
        };
        let (none, _) = waited(BEGIN_MIN).await;
        assert_eq!(none, None);
        let (some, waited) = waited(Duration::from_mins(1)).await;
        assert_eq!(some, Some(()));
        assert!(waited >= Duration::from_millis(1), "{waited:?}");
    }

    #[tokio::test]
    async fn the_time_left_is_that_of_whoever_set_the_deadline() {
        assert_eq!(left(), Duration::from_mins(1), "nobody did");
        let past = Instant::now().checked_sub(Duration::from_secs(1)).expect("a second ago");
        assert_eq!(within(past, async { left() }).await, Duration::ZERO);
    }
}
