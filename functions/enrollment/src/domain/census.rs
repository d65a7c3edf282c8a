//! The census of a term: what each student was registered for after its census date, kept as it was found.

use kernel::{Date, PersonId, SectionId, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use table::Position;

use super::{EntryState, StudentTerm};

/// Credits from which on a student is a full-time one, in hundredths. Policy: three quarters of a full load.
pub const FULL_TIME_MIN_HUNDREDTHS: u32 = 2_250;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    FullTime,
    PartTime,
}

/// How far the census of a term has come. Invariant: whoever is in a section before `after` has been counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    pub term: TermId,
    /// The last day before it; what changes on it still counts.
    pub census_on: Date,
    /// The page of the term's sections at which the next run begins.
    pub after: Option<Position>,
    pub taken_at: Option<Timestamp>,
}

impl Census {
    pub fn due(term: TermId, census_on: Date) -> Self {
        Self { term, census_on, after: None, taken_at: None }
    }

    /// Another day counts as long as the census has not begun.
    pub fn move_to(&mut self, census_on: Date) -> bool {
        let moves = self.taken_at.is_none() && self.after.is_none() && self.census_on != census_on;
        if moves {
            self.census_on = census_on;
        }
        moves
    }
}

/// One student, as the census found them. Never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CensusEntry {
    pub term: TermId,
    pub student: PersonId,
    pub load: Load,
    /// Of what is confirmed.
    pub credits_hundredths: u32,
    pub sections: Vec<SectionId>,
    pub counted_at: Timestamp,
}

impl CensusEntry {
    /// Nothing of whoever is registered for nothing: a seat that is only held may still go.
    pub fn of(student_term: &StudentTerm, now: Timestamp) -> Option<Self> {
        let entries = student_term.entries.iter();
        let registered: Vec<_> =
            entries.filter(|entry| entry.state == EntryState::Registered).collect();
        let credits_hundredths = registered.iter().map(|entry| entry.credits_hundredths).sum();
        let is_full = credits_hundredths >= FULL_TIME_MIN_HUNDREDTHS;
        (!registered.is_empty()).then(|| Self {
            term: student_term.term,
            student: student_term.student,
            load: if is_full { Load::FullTime } else { Load::PartTime },
            credits_hundredths,
            sections: registered.iter().map(|entry| entry.section).collect(),
            counted_at: now,
        })
    }
}
