//! When a site is left alone: it failed as a whole, and nobody asks it again before its time.

use jiff::SignedDuration;
use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SiteCode;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Breaker {
    Closed,
    Open {
        /// When the site is tried once more.
        until: Timestamp,
        /// Times that it failed one after the other.
        failures: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    pub at: Timestamp,
    /// Of the sentence.
    pub code: String,
    pub moodle_code: String,
    /// The function that failed; none where nothing was called.
    #[serde(default)]
    pub function: Option<String>,
}

/// How a site does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub site: SiteCode,
    pub breaker: Breaker,
    pub last_success_at: Option<Timestamp>,
    pub last_error: Option<LastError>,
}

impl Health {
    const WAIT_FIRST_S: i64 = 15;
    const WAIT_MAX_S: i64 = 10 * 60;

    pub fn unknown(site: SiteCode) -> Self {
        Self { site, breaker: Breaker::Closed, last_success_at: None, last_error: None }
    }

    /// Whether the site may be asked now: it does, or it is time to try it.
    pub fn may_be_asked(&self, now: Timestamp) -> bool {
        match self.breaker {
            Breaker::Closed => true,
            Breaker::Open { until, .. } => until <= now,
        }
    }

    #[must_use]
    pub fn succeeded(&self, now: Timestamp) -> Self {
        Self { breaker: Breaker::Closed, last_success_at: Some(now), ..self.clone() }
    }

    /// Left alone, twice as long each time, and at least as long as the site asks.
    #[must_use]
    pub fn failed(&self, error: LastError, retry_after_s: Option<u64>) -> Self {
        let failures = match self.breaker {
            Breaker::Closed => 1,
            Breaker::Open { failures, .. } => failures.saturating_add(1),
        };
        let doubled = Self::WAIT_FIRST_S << (failures - 1).min(10);
        let asked = retry_after_s.and_then(|wait| i64::try_from(wait).ok()).unwrap_or_default();
        let wait_s = doubled.max(asked).min(Self::WAIT_MAX_S);
        let until = error.at + SignedDuration::from_secs(wait_s);
        Self { breaker: Breaker::Open { until, failures }, last_error: Some(error), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_left_alone_longer_each_time_and_never_too_long() {
        let at = testkit::now();
        let (code, moodle_code) = ("SITE_DOWN".to_owned(), "x".to_owned());
        let error = LastError { at, code, moodle_code, function: None };
        let error = || error.clone();
        let mut health = Health::unknown(SiteCode("academics".into()));
        let mut waits = Vec::new();
        for _ in 0..8 {
            health = health.failed(error(), None);
            let Breaker::Open { until, .. } = health.breaker else { panic!("it is closed") };
            waits.push(until.duration_since(at).as_secs());
            assert!(!health.may_be_asked(at) && health.may_be_asked(until));
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 600, 600]);
        let healed = health.succeeded(at);
        assert!(healed.may_be_asked(at));
        let asked = healed.failed(error(), Some(300));
        assert_eq!(
            asked.breaker,
            Breaker::Open { until: at + SignedDuration::from_secs(300), failures: 1 }
        );
    }
}
