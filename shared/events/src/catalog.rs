//! Events of the catalog context.

use kernel::{
    Calendar, CourseId, CrossListId, Date, Holiday, Id, Meeting, PersonId, ProgramId,
    RegistrationGroupId, Requirement, RolloverId, SeatPool, SectionId, TermId, Timestamp, Way,
    Weekday,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// How far the planning of a term has come.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TermState {
    Draft,
    Open,
    Locked,
    FinalEdits,
    /// Students see it and register by its windows.
    #[default]
    Published,
    Closed,
}

/// When a population may register; whoever is in none has the term's own window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationWindow {
    /// Such as `standing(>= 3) OR program(CS)`.
    pub population: Requirement,
    pub opens_at: Timestamp,
    pub closes_at: Timestamp,
}

/// Whoever drops until this day, the day included, gets so much back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundStep {
    pub until: Date,
    #[schemars(range(max = 100))]
    pub percent: u8,
}

/// The days of a term beside its first and last, each included, in the institution's time zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TermDates {
    /// Last day to add a section.
    pub add_until: Option<Date>,
    /// Last day to drop without a trace on the transcript.
    pub drop_until: Option<Date>,
    /// Last day to withdraw with a W.
    pub withdraw_until: Option<Date>,
    pub census_on: Option<Date>,
    pub grading_opens_on: Option<Date>,
    pub grading_closes_on: Option<Date>,
    pub grades_posted_on: Option<Date>,
    pub incompletes_lapse_on: Option<Date>,
    #[schemars(length(max = 20))]
    pub refunds: Vec<RefundStep>,
}

/// A new term. What it is stands in [`TermChanged`], which comes with it.
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

/// A term as it now is: the whole of it, so that the last one seen is the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TermChanged {
    pub term: TermId,
    /// A consumer that has seen a higher one ignores this event.
    pub term_version: u64,
    pub code: String,
    pub title: String,
    /// The term that this one is a part of.
    pub parent: Option<TermId>,
    pub state: TermState,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
    pub windows: Vec<RegistrationWindow>,
    pub dates: TermDates,
}

impl Event for TermChanged {
    const NAME: &'static str = "catalog.term.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.term.to_string()
    }

    fn example() -> Self {
        let TermCreated {
            term,
            code,
            title,
            first_day,
            last_day,
            registration_opens_at,
            registration_closes_at,
        } = TermCreated::example();
        let day = |text: &str| Some(text.parse().expect("a date"));
        Self {
            term,
            term_version: 1,
            code,
            title,
            parent: None,
            state: TermState::Published,
            first_day,
            last_day,
            registration_opens_at,
            registration_closes_at,
            windows: vec![RegistrationWindow {
                population: "standing(>= 3)".parse().expect("a requirement"),
                opens_at: "2027-01-02T08:00:00Z".parse().expect("a timestamp"),
                closes_at: registration_closes_at,
            }],
            dates: TermDates {
                add_until: day("2027-02-12"),
                drop_until: day("2027-02-26"),
                withdraw_until: day("2027-04-30"),
                census_on: day("2027-02-19"),
                grading_opens_on: day("2027-06-15"),
                grading_closes_on: day("2027-07-10"),
                grades_posted_on: day("2027-07-12"),
                incompletes_lapse_on: day("2027-12-31"),
                refunds: vec![RefundStep {
                    until: "2027-02-12".parse().expect("a date"),
                    percent: 100,
                }],
            },
        }
    }
}

/// Holidays and ways between buildings as they now are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalendarChanged {
    /// A consumer that has seen a higher one ignores this event.
    pub calendar_version: u64,
    pub calendar: Calendar,
}

impl Event for CalendarChanged {
    const NAME: &'static str = "catalog.calendar.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        "calendar".to_owned()
    }

    fn example() -> Self {
        let holiday = Holiday {
            title: "Easter".into(),
            first_day: "2027-03-26".parse().expect("a date"),
            last_day: "2027-03-29".parse().expect("a date"),
        };
        let way = Way { from: "North".into(), to: "South".into(), minutes: 15 };
        Self {
            calendar_version: 1,
            calendar: Calendar { holidays: vec![holiday], ways: vec![way] },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramChanged {
    pub program: ProgramId,
    /// A consumer that has seen a higher one ignores this event.
    pub program_version: u64,
    pub code: String,
    pub title: String,
    pub department: String,
    /// Hundredths of a credit.
    pub credits_required_hundredths: u32,
    /// From this day on nobody is admitted to it.
    pub retired_from: Option<Date>,
}

impl Event for ProgramChanged {
    const NAME: &'static str = "catalog.program.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.program.to_string()
    }

    fn example() -> Self {
        Self {
            program: ProgramId::derived_from("example"),
            program_version: 1,
            code: "BSC-MATH".into(),
            title: "Bachelor of Mathematics".into(),
            department: "MATH".into(),
            credits_required_hundredths: 18_000,
            retired_from: None,
        }
    }
}

/// A new course. What it is stands in [`CourseChanged`], which comes with it.
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

/// What a course is from a day on, until its next version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CourseVersion {
    pub effective_from: Date,
    pub title: String,
    /// Hundredths of a credit: 450 is 4.5 credits. The least, where the student chooses.
    pub credits_hundredths: u32,
    /// The most, where the student chooses.
    pub credits_max_hundredths: Option<u32>,
    pub department: String,
    pub prerequisites: Option<Requirement>,
    pub corequisites: Vec<CourseId>,
    /// Codes of courses that count for this one.
    pub equivalents: Vec<String>,
    /// Codes under which other departments offer this same course.
    pub cross_listed: Vec<String>,
    /// How often a student may take it; as often as the institution allows of any course where it is not said.
    #[serde(default)]
    pub attempts_max: Option<u32>,
}

/// A course as it now is, with all its versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CourseChanged {
    pub course: CourseId,
    /// A consumer that has seen a higher one ignores this event.
    pub course_version: u64,
    pub code: String,
    /// From this day on it is not offered any more.
    pub retired_from: Option<Date>,
    /// The oldest first; the first one holds for all time before it too.
    pub versions: Vec<CourseVersion>,
}

impl Event for CourseChanged {
    const NAME: &'static str = "catalog.course.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.course.to_string()
    }

    fn example() -> Self {
        let CourseCreated { course, code, title, credits_hundredths, department, corequisites } =
            CourseCreated::example();
        Self {
            course,
            course_version: 1,
            code,
            retired_from: None,
            versions: vec![CourseVersion {
                effective_from: "2026-09-01".parse().expect("a date"),
                title,
                credits_hundredths,
                credits_max_hundredths: None,
                department,
                prerequisites: Some("course(MATH100, C)".parse().expect("a requirement")),
                corequisites,
                equivalents: vec!["MATH100X".into()],
                cross_listed: Vec::new(),
                attempts_max: None,
            }],
        }
    }
}

/// What registration needs to know of a term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedTerm {
    pub id: TermId,
    pub code: String,
    #[serde(default)]
    pub state: TermState,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

impl OfferedTerm {
    fn example() -> Self {
        Self {
            id: TermId::derived_from("example"),
            code: "2027S".into(),
            state: TermState::Published,
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
    #[serde(default)]
    pub prerequisites: Option<Requirement>,
    /// Codes of courses that count for this one.
    #[serde(default)]
    pub equivalents: Vec<String>,
    /// Codes under which other departments offer this same course.
    #[serde(default)]
    pub cross_listed: Vec<String>,
    /// How often a student may take it, where the course says so.
    #[serde(default)]
    pub attempts_max: Option<u32>,
}

/// Sections that share seats in addition to their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CrossListing {
    pub cross_list: CrossListId,
    /// Seats of all its sections together.
    pub capacity: u32,
}

/// Who gets a seat that is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitlistMode {
    /// There is no waitlist.
    #[default]
    None,
    /// The next eligible student is registered.
    Automatic,
    /// The seat is held for the next eligible student until the offer expires.
    Confirmation,
    /// Somebody picks.
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitlistSettings {
    pub mode: WaitlistMode,
    /// Places on it.
    #[schemars(range(max = 10_000))]
    pub capacity: u32,
    /// How long an offered seat is held.
    #[serde(default = "WaitlistSettings::default_offer_hours")]
    #[schemars(range(min = 1, max = 720))]
    pub offer_hours: u32,
    /// After this day nobody is promoted any more.
    #[serde(default)]
    pub ends_on: Option<Date>,
}

impl WaitlistSettings {
    fn default_offer_hours() -> u32 {
        24
    }
}

impl Default for WaitlistSettings {
    fn default() -> Self {
        let offer_hours = Self::default_offer_hours();
        Self { mode: WaitlistMode::None, capacity: 0, offer_hours, ends_on: None }
    }
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
    /// Hundredths of a credit: 450 is 4.5 credits. The least, where the student chooses.
    pub credits_hundredths: u32,
    /// The most, where the student chooses.
    #[serde(default)]
    pub credits_max_hundredths: Option<u32>,
    pub capacity: u32,
    pub department: String,
    pub price_group: String,
    /// Whether the head of department must approve each registration.
    pub approval_required: bool,
    /// Whether the teacher must let each student in.
    #[serde(default)]
    pub permission_required: bool,
    pub meetings: Vec<Meeting>,
    #[serde(default)]
    pub teachers: Vec<PersonId>,
    #[serde(default)]
    pub cross_listing: Option<CrossListing>,
    #[serde(default)]
    pub pools: Vec<SeatPool>,
    /// A student must meet one of these; they reserve no seats.
    #[serde(default)]
    pub restrictions: Vec<Requirement>,
    #[serde(default)]
    pub waitlist: WaitlistSettings,
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
            course: OfferedCourse {
                id: course,
                code,
                title,
                corequisites,
                prerequisites: None,
                equivalents: Vec::new(),
                cross_listed: Vec::new(),
                attempts_max: None,
            },
            credits_hundredths,
            credits_max_hundredths: None,
            capacity: 30,
            department,
            price_group: "standard".into(),
            approval_required: false,
            permission_required: false,
            meetings: vec![Meeting::weekly(
                vec![Weekday::Monday, Weekday::Wednesday],
                ("09:00".parse().expect("a time"), "10:30".parse().expect("a time")),
                ("2027-02-01".parse().expect("a date"), "2027-06-30".parse().expect("a date")),
            )],
            teachers: Vec::new(),
            cross_listing: None,
            pools: Vec::new(),
            restrictions: Vec::new(),
            waitlist: WaitlistSettings::default(),
        }
    }
}

/// Nobody may register for the section until it is offered again; whoever is registered stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SectionSuspended {
    pub section: SectionId,
    pub section_version: u64,
    pub code: String,
    pub term: TermId,
    pub reason: String,
}

impl Event for SectionSuspended {
    const NAME: &'static str = "catalog.section.suspended";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.section.to_string()
    }

    fn example() -> Self {
        let SectionOffered { section, code, term, .. } = SectionOffered::example();
        Self { section, section_version: 2, code, term: term.id, reason: "No teacher yet.".into() }
    }
}

/// The section does not take place: its students are dropped with everything credited, its waitlist is cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SectionCancelled {
    pub section: SectionId,
    pub section_version: u64,
    pub code: String,
    pub term: TermId,
    pub course: CourseId,
    pub course_code: String,
    pub reason: String,
    pub cancelled_by: Option<PersonId>,
}

impl Event for SectionCancelled {
    const NAME: &'static str = "catalog.section.cancelled";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.section.to_string()
    }

    fn example() -> Self {
        let SectionOffered { section, code, term, course, .. } = SectionOffered::example();
        Self {
            section,
            section_version: 3,
            code,
            term: term.id,
            course: course.id,
            course_code: course.code,
            reason: "Too few students.".into(),
            cancelled_by: Some(PersonId::derived_from("registrar")),
        }
    }
}

/// An offered section has more or fewer seats than before. Nobody loses a seat; new ones go to the waitlist first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SectionCapacityChanged {
    pub section: SectionId,
    pub section_version: u64,
    pub term: TermId,
    pub capacity_before: u32,
    pub capacity: u32,
}

impl Event for SectionCapacityChanged {
    const NAME: &'static str = "catalog.section.capacity-changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.section.to_string()
    }

    fn example() -> Self {
        let SectionOffered { section, term, capacity, .. } = SectionOffered::example();
        Self {
            section,
            section_version: 2,
            term: term.id,
            capacity_before: capacity,
            capacity: capacity + 5,
        }
    }
}

/// One choice of linked sections, such as a lecture with a lab: whoever registers takes a seat in each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationGroupChanged {
    pub group: RegistrationGroupId,
    /// A consumer that has seen a higher one ignores this event.
    pub group_version: u64,
    pub code: String,
    pub term: TermId,
    pub course: CourseId,
    pub sections: Vec<SectionId>,
    pub cancelled: bool,
}

impl Event for RegistrationGroupChanged {
    const NAME: &'static str = "catalog.registration-group.changed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.group.to_string()
    }

    fn example() -> Self {
        let SectionOffered { section, term, course, .. } = SectionOffered::example();
        Self {
            group: RegistrationGroupId::derived_from("example"),
            group_version: 1,
            code: "L1-B2".into(),
            term: term.id,
            course: course.id,
            sections: vec![section, SectionId::derived_from("lab")],
            cancelled: false,
        }
    }
}

/// A rollover has come so far and goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloverAdvanced {
    pub rollover: RolloverId,
    /// Counts the pages of sections that were copied, and each new start.
    pub step: u32,
}

impl Event for RolloverAdvanced {
    const NAME: &'static str = "catalog.rollover.advanced";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.rollover.to_string()
    }

    fn example() -> Self {
        Self { rollover: RolloverId::derived_from("example"), step: 1 }
    }
}
