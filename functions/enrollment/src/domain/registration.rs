//! One student in one section, from the held seat to its end.

use events::{DropReason, GivenUp, RegistrationDropped, RegistrationWithdrawn};
use jiff::tz::TimeZone;
use kernel::{
    BundleId, Date, PersonId, RegistrationId, SectionId, SubmissionId, TermId, TermWithdrawalId,
    Timestamp,
};
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
    /// Given up after it could be dropped: a W on the student's record.
    Withdrawn,
    /// Its section does not take place, or the institution takes the student out of it.
    Cancelled,
    /// Its final grade is posted.
    Completed,
}

/// Until when a registration is dropped, and from then on withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    pub drop_until: Timestamp,
    /// None where the term names no such day.
    pub withdraw_until: Option<Timestamp>,
}

impl Deadlines {
    /// How a registration ends that is given up at this moment. Whoever `petitions` is let go after the last day, too.
    pub fn ending(&self, at: Timestamp, petitions: bool) -> Result<GivenUp, Refusal> {
        if at <= self.drop_until {
            Ok(GivenUp::Dropped)
        } else if petitions || self.withdraw_until.is_some_and(|until| at <= until) {
            Ok(GivenUp::Withdrawn)
        } else {
            Err(Refusal::WithdrawDeadlinePassed)
        }
    }
}

/// Who gives a registration up, and what they say of it.
#[derive(Debug, Clone)]
pub struct GivingUp {
    pub by: PersonId,
    pub at: Timestamp,
    pub reason: Option<String>,
    pub last_attended_on: Option<Date>,
}

/// A change of state, for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    pub to: RegistrationState,
    pub at: Timestamp,
    /// A person's id, `saga`, `import`, `catalog`, `grades` or `prerequisites`.
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
    /// Of one that was withdrawn, where somebody has told it.
    #[serde(default)]
    pub last_attended_on: Option<Date>,
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

    /// The final grade is posted. Only what is registered is completed (`false`): a W stays one.
    pub fn complete(&mut self, at: Timestamp) -> bool {
        let is_registered = self.state == RegistrationState::Registered;
        if is_registered {
            self.provisional = false;
            self.become_state(RegistrationState::Completed, at, "grades", None);
        }
        is_registered
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

    /// By the term's last word.
    pub fn deadlines(&self, term: Option<&TermFacts>, zone: &TimeZone) -> Deadlines {
        Deadlines {
            drop_until: self.drop_until(term, zone),
            withdraw_until: term.and_then(|term| term.withdraw_until(zone)),
        }
    }

    /// Ends what is registered, with or without a W.
    pub fn give_up(&mut self, ending: GivenUp, giving_up: &GivingUp) {
        let to = match ending {
            GivenUp::Dropped => RegistrationState::Dropped,
            GivenUp::Withdrawn => {
                self.last_attended_on = giving_up.last_attended_on;
                RegistrationState::Withdrawn
            }
        };
        let GivingUp { by, at, reason, .. } = giving_up;
        self.become_state(to, *at, &by.to_string(), reason.clone());
    }

    /// The student gives it up with a W, since it is too late to drop it. What is withdrawn already changes nothing
    /// (`false`).
    pub fn withdraw(
        &mut self,
        giving_up: &GivingUp,
        deadlines: Deadlines,
        petitions: bool,
    ) -> Result<bool, Refusal> {
        match self.state {
            RegistrationState::Withdrawn => Ok(false),
            RegistrationState::Released
            | RegistrationState::Dropped
            | RegistrationState::Completed
            | RegistrationState::Cancelled => Err(Refusal::RegistrationEnded),
            RegistrationState::SeatHeld => Err(Refusal::RegistrationNotConfirmed),
            RegistrationState::Registered => match deadlines.ending(giving_up.at, petitions)? {
                GivenUp::Dropped => Err(Refusal::DropInstead),
                GivenUp::Withdrawn => {
                    self.give_up(GivenUp::Withdrawn, giving_up);
                    Ok(true)
                }
            },
        }
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
            RegistrationState::Released
            | RegistrationState::Withdrawn
            | RegistrationState::Completed
            | RegistrationState::Cancelled => Err(Refusal::RegistrationEnded),
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

    /// What others are told of its withdrawal.
    pub fn withdrawn(
        &self,
        withdrawn_at: Timestamp,
        term_withdrawal: Option<TermWithdrawalId>,
    ) -> RegistrationWithdrawn {
        let Self { id, bundle, student, section, term, last_attended_on, .. } = *self;
        RegistrationWithdrawn {
            registration: id,
            bundle,
            student,
            section,
            section_code: self.section_code.clone(),
            course_title: self.course_title.clone(),
            term,
            term_code: self.term_code.clone(),
            withdrawn_at,
            last_attended_on,
            term_withdrawal,
        }
    }
}
