//! A term as registration sees it, by the catalog's last word.

use events::{RegistrationWindow, TermChanged, TermDates, TermState};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use kernel::{Date, TermId, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TermFacts {
    pub term: TermId,
    /// Version of the term in the catalog.
    pub term_version: u64,
    pub state: TermState,
    pub first_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
    pub windows: Vec<RegistrationWindow>,
    pub dates: TermDates,
}

impl From<TermChanged> for TermFacts {
    fn from(event: TermChanged) -> Self {
        Self {
            term: event.term,
            term_version: event.term_version,
            state: event.state,
            first_day: event.first_day,
            registration_opens_at: event.registration_opens_at,
            registration_closes_at: event.registration_closes_at,
            windows: event.windows,
            dates: event.dates,
        }
    }
}

impl TermFacts {
    /// The last moment at which a section is dropped without a trace: the end of the day that the catalog names, else
    /// of the last window in which one may register.
    pub fn drop_until(&self, zone: &TimeZone) -> Timestamp {
        let windows = self.windows.iter().map(|window| window.closes_at);
        let closes_at = windows.fold(self.registration_closes_at, Timestamp::max);
        self.dates.drop_until.map_or(closes_at, |day| end_of(day, zone).unwrap_or(closes_at))
    }

    /// The last moment at which a registration is withdrawn; none where the catalog names no such day.
    pub fn withdraw_until(&self, zone: &TimeZone) -> Option<Timestamp> {
        self.dates.withdraw_until.and_then(|day| end_of(day, zone))
    }

    /// Whether the last day to add a section is over.
    pub fn is_closed_to_adding(&self, today: Date) -> bool {
        self.dates.add_until.is_some_and(|last| last < today)
    }
}

/// The last second of a day, as long as it may be where the clocks are changed; none at the end of time.
pub fn end_of(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    let next = day.checked_add(1.day()).ok()?.to_zoned(zone.clone()).ok()?;
    next.timestamp().checked_sub(SignedDuration::from_secs(1)).ok()
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;

    fn zurich() -> TimeZone {
        TimeZone::get("Europe/Zurich").expect("a time zone")
    }

    fn until(change: impl FnOnce(&mut TermChanged)) -> String {
        let mut term = TermChanged::example();
        change(&mut term);
        TermFacts::from(term).drop_until(&zurich()).to_string()
    }

    #[test]
    fn the_day_that_the_catalog_names_ends_by_the_institution_s_clock() {
        assert_eq!(until(|_| ()), "2027-02-26T22:59:59Z");
        let when_clocks_change = until(|term| {
            term.dates.drop_until = Some("2027-03-28".parse().expect("a date"));
        });
        assert_eq!(when_clocks_change, "2027-03-28T21:59:59Z");
    }

    #[test]
    fn without_such_a_day_the_last_window_decides() {
        let closes_at = until(|term| term.dates.drop_until = None);
        assert_eq!(closes_at, "2027-02-12T22:59:59Z");
        let later = until(|term| {
            term.dates.drop_until = None;
            term.windows[0].closes_at = "2027-02-20T12:00:00Z".parse().expect("a timestamp");
        });
        assert_eq!(later, "2027-02-20T12:00:00Z", "who may still add may still drop");
    }

    #[test]
    fn the_last_day_to_add_is_one_to_add() {
        let facts = TermFacts::from(TermChanged::example());
        let closed = |day: &str| facts.is_closed_to_adding(day.parse().expect("a date"));
        assert!(!closed("2027-02-12"));
        assert!(closed("2027-02-13"));
    }
}
