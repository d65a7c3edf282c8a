//! A registration that was let in by a course under way whose grade does not meet what it requires; and what the
//! institution does about it.

use events::PrerequisiteBroken;
use jiff::ToSpan;
use kernel::{Date, RegistrationId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Registration;

/// What becomes of a registration whose prerequisites are broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum OnBrokenPrerequisite {
    /// The student is told, and that is all.
    #[default]
    Notify,
    /// After so many days the student is taken out of the section, with everything given back, unless it is mended by
    /// then.
    Drop {
        #[schemars(range(max = 60))]
        grace_days: u8,
    },
}

/// What the institution decides for every term.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationPolicy {
    pub on_broken_prerequisite: OnBrokenPrerequisite,
}

impl OnBrokenPrerequisite {
    /// The last day on which it can be mended; none where nothing happens after it.
    pub fn drop_on(self, today: Date) -> Option<Date> {
        match self {
            Self::Notify => None,
            Self::Drop { grace_days } => today.checked_add(i64::from(grace_days).days()).ok(),
        }
    }
}

/// Beside its registration, as long as it is neither mended nor at an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenPrerequisite {
    pub registration: RegistrationId,
    pub missing: Vec<String>,
    pub drop_on: Option<Date>,
}

impl BrokenPrerequisite {
    /// What others are told of it.
    pub fn broken(&self, registration: &Registration) -> PrerequisiteBroken {
        let Registration { id, student, section, term, .. } = *registration;
        PrerequisiteBroken {
            registration: id,
            student,
            section,
            section_code: registration.section_code.clone(),
            course_title: registration.course_title.clone(),
            term,
            term_code: registration.term_code.clone(),
            missing: self.missing.clone(),
            drop_on: self.drop_on,
        }
    }
}
