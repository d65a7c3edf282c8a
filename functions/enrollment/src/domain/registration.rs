//! One student in one section, from the held seat to its end.

use kernel::{BundleId, PersonId, RegistrationId, SectionId, SubmissionId, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    SeatHeld,
    Registered,
    /// Lost its seat before it was confirmed.
    Released,
    /// Given up by the student after it was confirmed.
    Dropped,
}

/// A change of state, for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    pub to: RegistrationState,
    pub at: Timestamp,
    /// A person's id, `saga` or `import`.
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
    pub drop_until: Timestamp,
    pub state: RegistrationState,
    /// Its prerequisites rest on a course that has no grade yet.
    #[serde(default)]
    pub provisional: bool,
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

    /// The student gives the section up. Dropping what is dropped changes nothing (`false`).
    pub fn drop_by(&mut self, person: PersonId, at: Timestamp) -> Result<bool, Refusal> {
        match self.state {
            RegistrationState::Dropped => Ok(false),
            RegistrationState::Released => Err(Refusal::RegistrationEnded),
            RegistrationState::SeatHeld => Err(Refusal::RegistrationNotConfirmed),
            RegistrationState::Registered if at > self.drop_until => {
                Err(Refusal::DropDeadlinePassed)
            }
            RegistrationState::Registered => {
                self.become_state(RegistrationState::Dropped, at, &person.to_string(), None);
                Ok(true)
            }
        }
    }
}
