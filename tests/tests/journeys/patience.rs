//! Waiting with an end: something is looked at again and again, and whoever waited in vain says what was
//! there instead.

use std::thread;
use std::time::{Duration, Instant};

/// Far above what anything takes on two busy cores; what takes longer is stuck.
pub const LIMIT: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(250);

/// What `look` finds; where it is not there yet, `look` says what is.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => {
                let waited = began.elapsed();
                assert!(waited < limit, "{what}: not after {waited:.1?}; there is {instead}");
            }
        }
        thread::sleep(POLL);
    }
}
