//! A hold: an office's block on a student, until the same office lifts it or it ends.

use kernel::{HoldId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    Academic,
    Administrative,
    Disciplinary,
    /// Of the bursar's office.
    Financial,
}

/// Whose a hold is: only the office that places holds of a kind lifts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Office {
    Registrar,
    Bursar,
}

impl HoldKind {
    pub fn office(self) -> Office {
        match self {
            Self::Academic | Self::Administrative | Self::Disciplinary => Office::Registrar,
            Self::Financial => Office::Bursar,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lifted {
    pub by: PersonId,
    pub at: Timestamp,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    pub id: HoldId,
    pub student: PersonId,
    pub kind: HoldKind,
    /// Shown to the student.
    pub reason: String,
    pub placed_by: PersonId,
    pub placed_at: Timestamp,
    /// Until when it stops the student, where it ends by itself.
    pub ends_at: Option<Timestamp>,
    pub lifted: Option<Lifted>,
}

impl Hold {
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.lifted.is_none() && self.ends_at.is_none_or(|ends_at| now < ends_at)
    }

    /// `false` where it was lifted before: the first word stands.
    pub fn lift(
        &mut self,
        offices: &[Office],
        by: PersonId,
        at: Timestamp,
        reason: String,
    ) -> Result<bool, Refusal> {
        may_keep(offices, self.kind)?;
        let stands = self.lifted.is_none();
        if stands {
            self.lifted = Some(Lifted { by, at, reason });
        }
        Ok(stands)
    }
}

/// Whether these offices place and lift holds of the kind.
pub fn may_keep(offices: &[Office], kind: HoldKind) -> Result<(), Refusal> {
    if offices.contains(&kind.office()) { Ok(()) } else { Err(Refusal::HoldOfAnotherOffice) }
}
