//! One student in one section, from the held seat to its end.

use events::{DropReason, RegistrationDropped};
use jiff::tz::TimeZone;
use kernel::{BundleId, PersonId, RegistrationId, SectionId, SubmissionId, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Refusal, TermFacts, UsedOverride};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    SeatHeld,
    Registered,
    /// Lost its seat before it was confirmed.
    Released,
    /// Given up by the student after it was confirmed.
    Dropped,
    /// Its section does not take place.
    Cancelled,
}

/// A change of state, for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    pub to: RegistrationState,
    pub at: Timestamp,
    /// A person's id, `saga`, `import` or `catalog`.
    pub by: String,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    pub id: RegistrationId,
    pub bundle: BundleId,
    pub submission: SubmissionId,
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub credits_hundredths: u32,
    pub department: String,
    /// As its term said when the seat was taken; what the term says now goes before.
    pub drop_until: Timestamp,
    pub state: RegistrationState,
    /// The population of the pool that its seat is of; absent of a general one.
    #[serde(default)]
    pub pool: Option<String>,
    /// Its prerequisites rest on a course that has no grade yet.
    #[serde(default)]
    pub provisional: bool,
    /// What had to be lifted to let the student in.
    #[serde(default)]
    pub overrides: Vec<UsedOverride>,
    pub history: Vec<Transition>,
}

impl Registration {
    /// Moves on; a state that has ended is never left.
    fn become_state(
        &mut self,
        to: RegistrationState,
        at: Timestamp,
        by: &str,
        reason: Option<String>,
    ) {
        self.state = to;
        self.history.push(Transition { to, at, by: by.to_owned(), reason });
    }

    pub fn confirm(&mut self, at: Timestamp) {
        self.become_state(RegistrationState::Registered, at, "saga", None);
    }

    pub fn release(&mut self, at: Timestamp, reason: String) {
        self.become_state(RegistrationState::Released, at, "saga", Some(reason));
    }

    /// The section does not take place.
    pub fn cancel(&mut self, at: Timestamp, by: &str, reason: String) {
        self.become_state(RegistrationState::Cancelled, at, by, Some(reason));
    }

    /// The last moment to drop it, by the term's last word.
    pub fn drop_until(&self, term: Option<&TermFacts>, zone: &TimeZone) -> Timestamp {
        term.map_or(self.drop_until, |term| term.drop_until(zone))
    }

    /// The student gives the section up. Dropping what is dropped changes nothing (`false`).
    pub fn drop_by(
        &mut self,
        person: PersonId,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Refusal> {
        match self.state {
            RegistrationState::Dropped => Ok(false),
            RegistrationState::Released | RegistrationState::Cancelled => {
                Err(Refusal::RegistrationEnded)
            }
            RegistrationState::SeatHeld => Err(Refusal::RegistrationNotConfirmed),
            RegistrationState::Registered if at > until => Err(Refusal::DropDeadlinePassed),
            RegistrationState::Registered => {
                self.become_state(RegistrationState::Dropped, at, &person.to_string(), None);
                Ok(true)
            }
        }
    }

    /// What others are told of its end.
    pub fn dropped(&self, dropped_at: Timestamp, reason: DropReason) -> RegistrationDropped {
        let Self { id, bundle, student, section, term, .. } = *self;
        RegistrationDropped {
            registration: id,
            bundle,
            student,
            section,
            section_code: self.section_code.clone(),
            course_title: self.course_title.clone(),
            term,
            term_code: self.term_code.clone(),
            dropped_at,
            reason,
        }
    }
}
