//! A term as registration sees it, by the catalog's last word.

use events::{RegistrationWindow, TermChanged, TermDates, TermState};
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
