//! Wrong passwords of one account, and how long the next attempt has to wait. A log-in that leads to no account is
//! counted in the same way, so that waiting tells nobody which log-ins exist.

use jiff::SignedDuration;
use kernel::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginAttempts {
    /// The account, or a digest of the log-in that leads to none.
    pub subject: String,
    pub failed: u32,
    pub last_failed_at: Timestamp,
}

impl LoginAttempts {
    /// Wrong passwords that cost no wait.
    pub const FREE: u32 = 3;
    pub const WAIT_MAX_S: i64 = 900;
    /// Wrong passwords after which one has to wait until they are forgotten.
    pub const BUDGET: u32 = 100;
    /// After this long without a wrong password, the earlier ones count no more.
    pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

    /// Seconds still to wait before the next attempt is looked at; none when it may come now.
    pub fn wait_s(&self, now: Timestamp) -> Option<u64> {
        let doublings = self.failed.checked_sub(Self::FREE).filter(|over| *over > 0)?;
        let wait_s = if self.failed >= Self::BUDGET {
            Self::REMEMBERED.as_secs()
        } else {
            Self::WAIT_MAX_S.min(1_i64 << doublings.min(30))
        };
        let ready_at = self.last_failed_at + SignedDuration::from_secs(wait_s);
        let left_ms = now.duration_until(ready_at).as_millis();
        u64::try_from(left_ms).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1_000))
    }

    /// One more wrong password, after those that stand.
    #[must_use]
    pub fn with_failure(standing: Option<&Self>, subject: &str, now: Timestamp) -> Self {
        let before = standing
            .filter(|standing| now < standing.last_failed_at + Self::REMEMBERED)
            .map_or(0, |standing| standing.failed);
        Self { subject: subject.to_owned(), failed: before.saturating_add(1), last_failed_at: now }
    }
}

/// Requests for a mail with a link or a code, counted as wrong passwords are: nobody's mailbox is flooded, and nobody
/// gets one more code to guess at for every request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRequests {
    pub subject: String,
    pub asked: u32,
    pub since: Timestamp,
}

impl MailRequests {
    /// Mails within `PERIOD`.
    pub const MAILS_MAX: u32 = 3;
    pub const PERIOD: SignedDuration = SignedDuration::from_hours(1);

    /// One more request, after those that stand.
    #[must_use]
    pub fn with_one_more(standing: Option<&Self>, subject: &str, now: Timestamp) -> Self {
        match standing.filter(|standing| now < standing.since + Self::PERIOD) {
            Some(standing) => Self { asked: standing.asked.saturating_add(1), ..standing.clone() },
            None => Self { subject: subject.to_owned(), asked: 1, since: now },
        }
    }

    /// Whether this request still gets a mail.
    pub fn is_mailed(&self) -> bool {
        self.asked <= Self::MAILS_MAX
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(failed: u32) -> LoginAttempts {
        LoginAttempts { subject: "acc".into(), failed, last_failed_at: testkit::now() }
    }

    #[test]
    fn the_wait_doubles_with_every_failure_up_to_a_quarter_of_an_hour() {
        let waits: Vec<_> = (0..8).map(|failed| after(failed).wait_s(testkit::now())).collect();
        assert_eq!(waits, [None, None, None, None, Some(2), Some(4), Some(8), Some(16)]);
        assert_eq!(after(99).wait_s(testkit::now()), Some(900));
        assert_eq!(after(100).wait_s(testkit::now()), Some(86_400));
        assert_eq!(after(u32::MAX).wait_s(testkit::now()), Some(86_400));
    }

    #[test]
    fn of_ten_thousand_guesses_a_hundred_are_looked_at_however_they_are_spread_over_a_day() {
        for pause_s in [0, 1, 5, 8] {
            let mut standing: Option<LoginAttempts> = None;
            let mut now = testkit::now();
            let mut looked_at = 0;
            for _ in 0..10_000 {
                if standing.as_ref().is_none_or(|standing| standing.wait_s(now).is_none()) {
                    looked_at += 1;
                    standing = Some(LoginAttempts::with_failure(standing.as_ref(), "acc", now));
                }
                now += SignedDuration::from_secs(pause_s);
            }
            assert!(looked_at <= LoginAttempts::BUDGET, "{looked_at} by one in {pause_s} s");
        }
    }

    #[test]
    fn failures_of_another_day_are_forgotten() {
        let standing = after(40);
        let next_day = testkit::now() + LoginAttempts::REMEMBERED;
        assert_eq!(LoginAttempts::with_failure(Some(&standing), "acc", next_day).failed, 1);
        let same_day = next_day - SignedDuration::from_secs(1);
        assert_eq!(LoginAttempts::with_failure(Some(&standing), "acc", same_day).failed, 41);
    }

    proptest! {
        #[test]
        fn the_wait_ends_when_it_says(failed in 0_u32..200) {
            let attempts = after(failed);
            if let Some(wait_s) = attempts.wait_s(testkit::now()) {
                let wait_s = i64::try_from(wait_s).expect("at most 900");
                let ready_at = testkit::now() + SignedDuration::from_secs(wait_s);
                prop_assert_eq!(attempts.wait_s(ready_at), None);
                prop_assert_eq!(attempts.wait_s(ready_at - SignedDuration::from_secs(1)), Some(1));
            }
        }
    }
}
