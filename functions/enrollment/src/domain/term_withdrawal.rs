//! A student's withdrawal from a whole term: everything they have in it ends, item by item, as of one moment.

use events::{EndedRegistration, GivenUp, TermWithdrawn};
use kernel::{Date, PersonId, RegistrationId, SectionId, TermId, TermWithdrawalId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deadlines, GivingUp, Refusal, Registration};

/// What has become of one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalProgress {
    Pending,
    /// Without a trace on the transcript: it was in time.
    Dropped,
    /// With a W.
    Withdrawn,
    /// It was still on its way: its saga undoes it.
    Undone,
    /// It ended otherwise meanwhile.
    EndedBefore,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WithdrawalItem {
    pub registration: RegistrationId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    /// How it ends, where it is confirmed.
    pub ending: GivenUp,
    pub progress: WithdrawalProgress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TermWithdrawalState {
    UnderWay,
    Done,
}

/// Invariant: while it is under way the student comes to nothing new in the term, so that every item is ended once the
/// last is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermWithdrawal {
    pub id: TermWithdrawalId,
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    pub requested_by: PersonId,
    /// As of when everything ends, however long it takes.
    pub requested_at: Timestamp,
    pub reason: Option<String>,
    pub last_attended_on: Option<Date>,
    pub items: Vec<WithdrawalItem>,
    /// Counts the events that carry it: one of another step is of the past.
    pub step: u32,
    pub state: TermWithdrawalState,
    pub done_at: Option<Timestamp>,
}

impl WithdrawalItem {
    pub fn of(
        registration: &Registration,
        deadlines: Deadlines,
        (at, petitions): (Timestamp, bool),
    ) -> Result<Self, Refusal> {
        Ok(Self {
            registration: registration.id,
            section: registration.section,
            section_code: registration.section_code.clone(),
            course_title: registration.course_title.clone(),
            ending: deadlines.ending(at, petitions)?,
            progress: WithdrawalProgress::Pending,
        })
    }
}

impl TermWithdrawal {
    pub fn pending(&self) -> impl Iterator<Item = &WithdrawalItem> {
        self.items.iter().filter(|item| item.progress == WithdrawalProgress::Pending)
    }

    /// Whether the registration is one of those that it ends or has found at their end.
    pub fn is_about(&self, registration: RegistrationId) -> bool {
        self.items.iter().any(|item| item.registration == registration)
    }

    pub fn giving_up(&self) -> GivingUp {
        GivingUp {
            by: self.requested_by,
            at: self.requested_at,
            reason: self.reason.clone(),
            last_attended_on: self.last_attended_on,
        }
    }

    /// How the registration ends; none where that is behind it.
    pub fn ending_of(&self, registration: RegistrationId) -> Option<GivenUp> {
        self.pending().find(|item| item.registration == registration).map(|item| item.ending)
    }

    pub fn note(&mut self, registration: RegistrationId, progress: WithdrawalProgress) {
        for item in self.items.iter_mut().filter(|item| item.registration == registration) {
            item.progress = progress;
        }
    }

    /// Nothing is pending any more: what others are told of it.
    pub fn finish(&mut self, now: Timestamp) -> TermWithdrawn {
        self.state = TermWithdrawalState::Done;
        self.done_at = Some(now);
        let ended = |item: &WithdrawalItem| {
            let ended = match item.progress {
                WithdrawalProgress::Dropped => GivenUp::Dropped,
                WithdrawalProgress::Withdrawn => GivenUp::Withdrawn,
                _ => return None,
            };
            Some(EndedRegistration {
                registration: item.registration,
                section: item.section,
                section_code: item.section_code.clone(),
                course_title: item.course_title.clone(),
                ended,
            })
        };
        TermWithdrawn {
            withdrawal: self.id,
            student: self.student,
            term: self.term,
            term_code: self.term_code.clone(),
            withdrawn_at: self.requested_at,
            last_attended_on: self.last_attended_on,
            registrations: self.items.iter().filter_map(ended).collect(),
        }
    }
}
