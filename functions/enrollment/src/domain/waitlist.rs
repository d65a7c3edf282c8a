//! Waitlists: who stands in line for a section, in which order, and what becomes of them.

use std::collections::BTreeSet;

use events::{WaitlistChanged, WaitlistState};
use kernel::{
    PersonId, RegistrationId, SectionId, SubmissionId, TermId, Timestamp, WaitlistEntryId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// Credits that a student may wait for in one term, in hundredths. Policy: a full load.
pub const WAITLISTED_CREDITS_MAX_HUNDREDTHS: u32 = 3_000;

/// The line for the seats of a section, or of a cross-list together. Counters, since it lies on the hottest items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who waits and has no offer.
    pub waiting: i64,
    /// Free general seats that nobody in line could take: they are everybody's.
    pub passed: i64,
    /// Positions only grow; a position is never given twice.
    pub last_position: i64,
}

impl Line {
    /// As before, but for the seats that were passed on: they may be gone, and those in line are asked again.
    #[must_use]
    pub fn with_all_seats_its_own(self) -> Self {
        Self { passed: 0, ..self }
    }
}

/// A change of state, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitlistTransition {
    pub to: WaitlistState,
    pub at: Timestamp,
    /// A person's id, or `waitlist`.
    pub by: String,
}

/// Why the student was passed over when last a seat was free. Their place is still theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    pub codes: Vec<String>,
    pub at: Timestamp,
}

/// The seat that is held for the student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatOffer {
    pub expires_at: Timestamp,
    /// The population of the pool that the seat is of; absent of a general one.
    pub pool: Option<String>,
}

/// One student in line for one section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitlistEntry {
    pub id: WaitlistEntryId,
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub position: i64,
    /// Those with reserved seats that the student belonged to on joining.
    pub populations: BTreeSet<String>,
    /// What is dropped when a seat comes.
    pub swap: Option<RegistrationId>,
    pub state: WaitlistState,
    pub skipped: Option<Skipped>,
    pub offer: Option<SeatOffer>,
    pub submission: Option<SubmissionId>,
    pub history: Vec<WaitlistTransition>,
}

/// An entry's place in the line, as long as it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub section: SectionId,
    pub position: i64,
    pub entry: WaitlistEntryId,
    pub student: PersonId,
    pub term: TermId,
    pub offered_until: Option<Timestamp>,
}

/// An open entry as it stands in the student's term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingFor {
    pub entry: WaitlistEntryId,
    pub section: SectionId,
    pub credits_hundredths: u32,
}

impl WaitlistEntry {
    pub fn place(&self) -> Place {
        Place {
            section: self.section,
            position: self.position,
            entry: self.id,
            student: self.student,
            term: self.term,
            offered_until: self.offer.as_ref().map(|offer| offer.expires_at),
        }
    }

    /// What others are told of it.
    pub fn changed(&self) -> WaitlistChanged {
        WaitlistChanged {
            entry: self.id,
            student: self.student,
            section: self.section,
            section_code: self.section_code.clone(),
            course_title: self.course_title.clone(),
            term: self.term,
            term_code: self.term_code.clone(),
            state: self.state,
            offered_until: self.offer.as_ref().map(|offer| offer.expires_at),
        }
    }

    /// Moves on; an entry that has ended is never left.
    pub fn become_state(&mut self, to: WaitlistState, at: Timestamp, by: &str) {
        debug_assert!(self.state.is_open(), "what has ended stays so");
        self.state = to;
        if to != WaitlistState::Offered {
            self.offer = None;
        }
        self.history.push(WaitlistTransition { to, at, by: by.to_owned() });
    }

    pub fn offer(&mut self, offer: SeatOffer, at: Timestamp, by: &str) {
        self.become_state(WaitlistState::Offered, at, by);
        self.offer = Some(offer);
        self.skipped = None;
    }

    /// `false` where the same was noted before.
    pub fn skip(&mut self, codes: Vec<String>, at: Timestamp) -> bool {
        let is_new = self.skipped.as_ref().is_none_or(|skipped| skipped.codes != codes);
        if is_new {
            self.skipped = Some(Skipped { codes, at });
        }
        is_new
    }

    /// The offer, where it still stands: its last moment is not its expiry.
    pub fn standing_offer(&self, now: Timestamp) -> Result<&SeatOffer, Refusal> {
        let offer = self.offer.as_ref().ok_or(Refusal::NothingOffered)?;
        if now < offer.expires_at { Ok(offer) } else { Err(Refusal::OfferExpired) }
    }

    pub fn offer_has_expired(&self, now: Timestamp) -> bool {
        self.offer.as_ref().is_some_and(|offer| offer.expires_at <= now)
    }
}
