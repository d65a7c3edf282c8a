//! The one place that reads the clock.

use kernel::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the shell reads the clock once per invocation")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
