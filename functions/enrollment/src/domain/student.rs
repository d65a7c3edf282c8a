//! A student as the registrar's office knows them: what requirements, restrictions and reserved seats are judged by.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{AcademicRecord, Attempt, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StudentStatus {
    #[default]
    Active,
    /// Away for some time; may not register meanwhile.
    OnLeave,
    /// Graduated, withdrawn or dismissed.
    Ended,
}

/// What is known of a student beside what they take here. Whoever has no such record is active, and nothing more is
/// known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StudentRecord {
    pub status: StudentStatus,
    /// Codes of the programs that they are admitted to.
    #[schemars(length(max = 20), inner(length(min = 1, max = 40)))]
    pub programs: BTreeSet<String>,
    /// Year of study; 0 where it is not known.
    #[schemars(range(max = 20))]
    pub standing: u32,
    /// Hundredths of a credit.
    #[schemars(range(max = 1_000_000))]
    pub credits_earned_hundredths: u32,
    /// Best score by test, in hundredths.
    #[schemars(length(max = 50))]
    pub tests: BTreeMap<String, u32>,
    /// Codes of courses that are waived, or were recognised from elsewhere.
    #[schemars(length(max = 200), inner(length(min = 1, max = 40)))]
    pub waived_courses: BTreeSet<String>,
}

/// A student's record in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownStudent {
    pub student: PersonId,
    pub record: StudentRecord,
}

impl StudentRecord {
    /// With its codes as requirements write them.
    #[must_use]
    pub fn in_upper_case(self) -> Self {
        let upper = |codes: BTreeSet<String>| {
            codes.into_iter().map(|code| code.to_uppercase()).collect::<BTreeSet<_>>()
        };
        Self { programs: upper(self.programs), waived_courses: upper(self.waived_courses), ..self }
    }

    /// Adds what is known here to what the student takes and has taken.
    pub fn add_to(&self, record: &mut AcademicRecord) {
        record.programs.extend(self.programs.iter().cloned());
        record.tests.extend(self.tests.iter().map(|(name, score)| (name.clone(), *score)));
        record.standing = self.standing;
        // What the office knows of may have been earned elsewhere.
        record.credits_earned_hundredths =
            record.credits_earned_hundredths.max(self.credits_earned_hundredths);
        for code in &self.waived_courses {
            record.courses.entry(code.clone()).or_default().push(Attempt::Waived);
        }
    }
}
