//! A section as registration sees it: the seats, and everything that decides who may take one.

use events::{CourseVersion, OfferedCourse, OfferedTerm, SectionOffered};
use kernel::{Meeting, SectionId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionStatus {
    Offered,
    /// Nobody may register until it is offered again.
    Suspended,
    /// It does not take place.
    Cancelled,
}

impl SectionStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Invariant: `taken` is the number of registrations that hold or have a seat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SectionSeats {
    pub section: SectionId,
    /// Version of the section in the catalog.
    pub section_version: u64,
    pub code: String,
    pub status: SectionStatus,
    pub term: OfferedTerm,
    pub course: OfferedCourse,
    /// Version of the course in the catalog; 0 as long as only the section's own word of it is known.
    #[serde(default)]
    pub course_version: u64,
    pub credits_hundredths: u32,
    pub capacity: i64,
    pub taken: i64,
    pub department: String,
    pub price_group: String,
    pub approval_required: bool,
    pub meetings: Vec<Meeting>,
}

impl SectionSeats {
    /// The section as the catalog now offers it. Nobody loses a seat, even where the capacity shrank below what is
    /// taken.
    pub fn offered(event: SectionOffered, taken: i64) -> Self {
        Self {
            section: event.section,
            section_version: event.section_version,
            code: event.code,
            status: SectionStatus::Offered,
            term: event.term,
            course: event.course,
            course_version: 0,
            credits_hundredths: event.credits_hundredths,
            capacity: i64::from(event.capacity),
            taken,
            department: event.department,
            price_group: event.price_group,
            approval_required: event.approval_required,
            meetings: event.meetings,
        }
    }

    /// The course's own word takes the place of what the section said of it.
    pub fn follow_course(&mut self, course: &CourseVersion, course_version: u64) {
        let course = course.clone();
        self.course.title = course.title;
        self.course.corequisites = course.corequisites;
        self.course.prerequisites = course.prerequisites;
        self.course.equivalents = course.equivalents;
        self.credits_hundredths = course.credits_hundredths;
        self.course_version = course_version;
    }

    pub fn is_full(&self) -> bool {
        self.taken >= self.capacity
    }
}
