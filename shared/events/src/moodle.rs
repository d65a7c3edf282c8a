//! Events of the moodle context.

use kernel::{PersonId, SectionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// Something of a site was marked to be looked at. It only wakes: what is to be done stands in the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkMarked {
    /// Short name of the site.
    pub site: String,
    /// `course`, `user` or `enrolment`; `site` where the site as a whole is to be looked at.
    pub kind: String,
    pub entity: String,
}

impl Event for WorkMarked {
    const NAME: &'static str = "moodle.work.marked";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}/{}/{}", self.site, self.kind, self.entity)
    }

    fn example() -> Self {
        let section = crate::SectionOffered::example().section;
        Self { site: "academics".into(), kind: "course".into(), entity: section.to_string() }
    }
}

/// What a student has come to in a course, as a site holds it now and did not before. It is a reading and decides
/// nothing: whoever keeps grades says whether it counts, and what becomes of one that comes after the grade was posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultRead {
    /// Short name of the site.
    pub site: String,
    pub section: SectionId,
    pub student: PersonId,
    /// A consumer that has seen a higher one ignores this event.
    pub result_version: u64,
    /// The course's total; absent where nothing is graded.
    pub grade: Option<GradeRead>,
    /// The total that was read before, where there was one.
    pub grade_before: Option<GradeRead>,
    /// Absent where the site does not follow the completion of this course.
    pub is_completed: Option<bool>,
    pub completed_at: Option<Timestamp>,
    pub read_at: Timestamp,
}

/// A course's total, unrounded and with what Moodle says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "as Moodle says it: each stands by itself")]
pub struct GradeRead {
    /// In digits, as Moodle sent it: `87.5`.
    pub raw: String,
    pub min: String,
    pub max: String,
    pub graded_at: Option<Timestamp>,
    /// Set by hand over what was computed.
    pub is_overridden: bool,
    pub is_locked: bool,
    /// From students.
    pub is_hidden: bool,
    /// Moodle has not computed it again since something changed.
    pub is_outdated: bool,
}

impl Event for ResultRead {
    const NAME: &'static str = "moodle.result.read";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}/{}/{}", self.site, self.section, self.student)
    }

    fn example() -> Self {
        let crate::RegistrationConfirmed { section, student, .. } =
            crate::RegistrationConfirmed::example();
        let at = |text: &str| text.parse().expect("a timestamp");
        let grade = GradeRead {
            raw: "102.5".into(),
            min: "0".into(),
            max: "120".into(),
            graded_at: Some(at("2027-06-20T10:00:00Z")),
            is_overridden: false,
            is_locked: false,
            is_hidden: false,
            is_outdated: false,
        };
        Self {
            site: "academics".into(),
            section,
            student,
            result_version: 2,
            grade_before: Some(GradeRead { raw: "87.5".into(), ..grade.clone() }),
            grade: Some(grade),
            is_completed: Some(true),
            completed_at: Some(at("2027-06-20T10:00:00Z")),
            read_at: at("2027-06-21T02:00:00Z"),
        }
    }
}
