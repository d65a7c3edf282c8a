//! Events of the catalog context.

use kernel::{CourseId, Date, Id, Meeting, SectionId, TermId, Timestamp, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TermCreated {
    pub term: TermId,
    pub code: String,
    pub title: String,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

impl Event for TermCreated {
    const NAME: &'static str = "catalog.term.created";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.term.to_string()
    }

    fn example() -> Self {
        let term = OfferedTerm::example();
        Self {
            term: term.id,
            code: term.code,
            title: "Spring 2027".into(),
            first_day: "2027-02-01".parse().expect("a date"),
            last_day: "2027-06-30".parse().expect("a date"),
            registration_opens_at: term.registration_opens_at,
            registration_closes_at: term.registration_closes_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CourseCreated {
    pub course: CourseId,
    pub code: String,
    pub title: String,
    /// Hundredths of a credit: 450 is 4.5 credits.
    pub credits_hundredths: u32,
    pub department: String,
    pub corequisites: Vec<CourseId>,
}

impl Event for CourseCreated {
    const NAME: &'static str = "catalog.course.created";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.course.to_string()
    }

    fn example() -> Self {
        Self {
            course: CourseId::derived_from("example"),
            code: "MATH101".into(),
            title: "Calculus I".into(),
            credits_hundredths: 600,
            department: "MATH".into(),
            corequisites: Vec::new(),
        }
    }
}

/// What registration needs to know of a term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedTerm {
    pub id: TermId,
    pub code: String,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

impl OfferedTerm {
    fn example() -> Self {
        Self {
            id: TermId::derived_from("example"),
            code: "2027S".into(),
            registration_opens_at: "2027-01-04T08:00:00Z".parse().expect("a timestamp"),
            registration_closes_at: "2027-02-12T22:59:59Z".parse().expect("a timestamp"),
        }
    }
}

/// What registration needs to know of a course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedCourse {
    pub id: CourseId,
    pub code: String,
    pub title: String,
    /// Courses that must be taken before or together with this one's section.
    pub corequisites: Vec<CourseId>,
}

/// A section as students may now register for it: the whole of it, so that the last one seen is the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SectionOffered {
    pub section: SectionId,
    /// Version of the section in the catalog: a consumer that has seen a higher one ignores this event.
    pub section_version: u64,
    pub code: String,
    pub term: OfferedTerm,
    pub course: OfferedCourse,
    /// Hundredths of a credit: 450 is 4.5 credits.
    pub credits_hundredths: u32,
    pub capacity: u32,
    pub department: String,
    pub price_group: String,
    /// Whether the head of department must approve each registration.
    pub approval_required: bool,
    pub meetings: Vec<Meeting>,
}

impl Event for SectionOffered {
    const NAME: &'static str = "catalog.section.offered";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.section.to_string()
    }

    fn example() -> Self {
        let CourseCreated { course, code, title, credits_hundredths, department, corequisites } =
            CourseCreated::example();
        Self {
            section: SectionId::derived_from("example"),
            section_version: 1,
            code: "MATH101-A".into(),
            term: OfferedTerm::example(),
            course: OfferedCourse { id: course, code, title, corequisites },
            credits_hundredths,
            capacity: 30,
            department,
            price_group: "standard".into(),
            approval_required: false,
            meetings: vec![Meeting::weekly(
                vec![Weekday::Monday, Weekday::Wednesday],
                ("09:00".parse().expect("a time"), "10:30".parse().expect("a time")),
                ("2027-02-01".parse().expect("a date"), "2027-06-30".parse().expect("a date")),
            )],
        }
    }
}
