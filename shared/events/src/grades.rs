//! Events of the grades context.

use kernel::{CourseId, GradeScale, Id, PersonId, RegistrationId, SectionId, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// A final grade is posted, or another one in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GradePosted {
    pub registration: RegistrationId,
    /// A consumer that has seen a higher one of the same registration ignores this event.
    pub grade_version: u64,
    pub student: PersonId,
    pub section: SectionId,
    pub course: CourseId,
    pub course_code: String,
    pub term: TermId,
    pub grade: String,
    /// The grades of its scheme from the worst to the best, by which it compares.
    pub scale: GradeScale,
    pub passed: bool,
    /// Whether the course counts as taken once more: as it does when it is failed, and does not when it is audited.
    pub attempted: bool,
    /// Hundredths of a credit.
    pub credits_earned_hundredths: u32,
    pub posted_at: Timestamp,
}

impl Event for GradePosted {
    const NAME: &'static str = "grades.grade.posted";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.registration.to_string()
    }

    fn example() -> Self {
        Self {
            registration: RegistrationId::derived_from("example"),
            grade_version: 1,
            student: PersonId::derived_from("example"),
            section: SectionId::derived_from("example"),
            course: CourseId::derived_from("example"),
            course_code: "MATH101".into(),
            term: TermId::derived_from("example"),
            grade: "B".into(),
            scale: GradeScale(["F", "D", "C", "B", "A"].map(str::to_owned).to_vec()),
            passed: true,
            attempted: true,
            credits_earned_hundredths: 600,
            posted_at: "2027-07-12T08:00:00Z".parse().expect("a timestamp"),
        }
    }
}
