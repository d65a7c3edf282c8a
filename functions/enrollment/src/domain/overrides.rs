//! An override: somebody's leave for one student to pass one rule in one section, until it expires or is taken back. It
//! lifts that rule and no other.

use kernel::{OverrideId, PersonId, SectionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ItemCode, Refusal};

/// In what quality somebody gives an override of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giver {
    /// Teaches the section.
    Teacher,
    /// Of the section's department.
    HeadOfDepartment,
    Registrar,
}

impl Giver {
    /// The registrar lifts every rule that can be lifted, the others what they answer for.
    pub fn may_lift(self, code: ItemCode) -> bool {
        use ItemCode as Code;
        match code {
            // A hold is lifted by its office, and what does not exist or has no room by nobody.
            Code::SectionUnknown
            | Code::SectionNotOffered
            | Code::Hold
            | Code::DuplicateSection
            | Code::WaitingAlready
            | Code::MaxWaitlistedCredits
            | Code::CartTooLarge => false,
            Code::InstructorPermission => true,
            Code::RestrictionLevel
            | Code::RestrictionProgramme
            | Code::RestrictionAttribute
            | Code::PrereqNotMet
            | Code::TestScore
            | Code::CoreqRequired
            | Code::TimeConflict
            | Code::ReservedClosed
            | Code::Closed => self != Self::Teacher,
            Code::TermClosed
            | Code::WindowNotOpen
            | Code::StatusIneligible
            | Code::TermWithdrawn
            | Code::DuplicateCourse
            | Code::LinkRequired
            | Code::MaxCredits
            | Code::RepeatLimit
            | Code::WaitlistFull
            | Code::WaitlistOnly => self == Self::Registrar,
        }
    }
}

/// The word that ends an override before it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    pub by: PersonId,
    pub at: Timestamp,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    pub id: OverrideId,
    pub student: PersonId,
    pub section: SectionId,
    pub section_code: String,
    pub department: String,
    /// The rule that it lifts.
    pub code: ItemCode,
    pub reason: String,
    pub given_by: PersonId,
    pub given_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked: Option<Revoked>,
}

/// An override that let somebody in, as it is noted on the registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedOverride {
    #[serde(rename = "override")]
    pub id: OverrideId,
    pub code: ItemCode,
    pub given_by: PersonId,
    pub reason: String,
}

impl Override {
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires_at
    }

    pub fn lifts(&self, section: SectionId, code: ItemCode) -> bool {
        self.section == section && self.code == code
    }

    pub fn used(&self) -> UsedOverride {
        let Self { id, code, given_by, .. } = *self;
        UsedOverride { id, code, given_by, reason: self.reason.clone() }
    }

    /// `false` where it was taken back before: the first word stands.
    pub fn revoke(&mut self, by: PersonId, at: Timestamp, reason: String) -> bool {
        let stands = self.revoked.is_none();
        if stands {
            self.revoked = Some(Revoked { by, at, reason });
        }
        stands
    }
}

/// Whether one of these qualities gives an override of the rule, and takes it back.
pub fn may_lift(givers: &[Giver], code: ItemCode) -> Result<(), Refusal> {
    let may = givers.iter().any(|giver| giver.may_lift(code));
    if may { Ok(()) } else { Err(Refusal::OverrideOutOfReach) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teacher_permits_a_head_lets_in_and_the_registrar_does_both_and_more() {
        let givers = |code| {
            let all = [Giver::Teacher, Giver::HeadOfDepartment, Giver::Registrar];
            all.map(|giver| giver.may_lift(code))
        };
        assert_eq!(givers(ItemCode::InstructorPermission), [true, true, true]);
        assert_eq!(givers(ItemCode::Closed), [false, true, true]);
        assert_eq!(givers(ItemCode::MaxCredits), [false, false, true]);
        assert_eq!(givers(ItemCode::Hold), [false, false, false], "its office lifts it");
    }
}
