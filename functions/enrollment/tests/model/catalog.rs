//! What the model's university teaches, and who studies there: small, and every rule bites somewhere.

use std::sync::LazyLock;

use enrollment::domain::{ItemCode, StudentRecord, StudentStatus};
use events::{
    CrossListing, Event, OfferedCourse, SectionOffered, TermChanged, TermDates, TermState,
    WaitlistMode, WaitlistSettings,
};
use kernel::{
    CourseId, CrossListId, Date, HoldId, Id, Meeting, OverrideId, PersonId, RegistrationGroupId,
    SeatPool, SectionId, TermId, Timestamp, Weekday,
};

pub const STUDENTS: usize = 20;
pub const CROSS_LIST_CAPACITY: i64 = 3;
pub const POOL_SEATS: i64 = 1;
pub const DEPARTMENT: &str = "MATH";

pub const CROSS_A: usize = 6;
pub const CROSS_B: usize = 7;
pub const LECTURE: usize = 16;
pub const LAB: usize = 17;
pub const COMPANION: usize = 18;
pub const BASE: usize = 19;

/// Minutes of a day, half open, on one weekday.
#[derive(Debug, Clone, Copy)]
pub struct Hours {
    pub weekday: Weekday,
    pub starts: u16,
    pub ends: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// Prerequisites.
    Course,
    Test,
    /// Restrictions.
    Program,
    Standing,
    Credits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Offered,
    Suspended,
    Cancelled,
}

/// A section as the catalog last told of it.
#[derive(Debug, Clone)]
pub struct Section {
    pub id: SectionId,
    pub name: &'static str,
    pub version: u64,
    pub status: Status,
    pub capacity: i64,
    pub course: &'static str,
    pub credits: u32,
    pub hours: Option<Hours>,
    pub needs: Need,
    pub mode: WaitlistMode,
    pub places: u32,
    pub approval: bool,
    pub permission: bool,
    pub pooled: bool,
}

impl Section {
    pub fn course_id(&self) -> CourseId {
        CourseId::derived_from(self.course)
    }

    pub fn is_cross_listed(&self) -> bool {
        self.name.starts_with("cross")
    }

    pub fn is_linked(&self) -> bool {
        matches!(self.name, "lecture" | "lab")
    }

    pub fn corequisite(&self) -> Option<&'static str> {
        (self.name == "companion").then_some("base")
    }

    pub fn offered(&self) -> SectionOffered {
        let requirement = |text: &str| text.parse().expect("a requirement");
        let example = SectionOffered::example();
        let prerequisites = match self.needs {
            Need::Course => Some(requirement("course(BASIC)")),
            Need::Test => Some(requirement("test(ALGEBRA, 50)")),
            _ => None,
        };
        let restrictions = match self.needs {
            Need::Program => vec![requirement("program(CS)")],
            Need::Standing => vec![requirement("standing(>= 3)")],
            Need::Credits => vec![requirement("credits_earned(60)")],
            _ => Vec::new(),
        };
        let pool = SeatPool {
            population: requirement("program(CS)"),
            seats: u32::try_from(POOL_SEATS).expect("few"),
            priority: 1,
            until: None,
        };
        SectionOffered {
            section: self.id,
            section_version: self.version,
            code: self.name.to_uppercase(),
            term: example.term.clone(),
            course: OfferedCourse {
                id: self.course_id(),
                code: self.course.to_uppercase(),
                title: self.course.to_owned(),
                corequisites: self.corequisite().map(CourseId::derived_from).into_iter().collect(),
                prerequisites,
                // A W is an attempt.
                attempts_max: Some(1),
                equivalents: Vec::new(),
                cross_listed: Vec::new(),
            },
            credits_hundredths: self.credits,
            capacity: u32::try_from(self.capacity).expect("not below nothing"),
            department: DEPARTMENT.to_owned(),
            approval_required: self.approval,
            permission_required: self.permission,
            meetings: self.hours.into_iter().map(Hours::meeting).collect(),
            cross_listing: self.is_cross_listed().then(|| CrossListing {
                cross_list: cross_list(),
                capacity: u32::try_from(CROSS_LIST_CAPACITY).expect("few"),
            }),
            pools: if self.pooled { vec![pool] } else { Vec::new() },
            restrictions,
            waitlist: WaitlistSettings {
                mode: self.mode,
                capacity: self.places,
                offer_hours: 6,
                ..WaitlistSettings::default()
            },
            ..example
        }
    }
}

impl Hours {
    pub fn overlap(self, other: Self) -> bool {
        self.weekday == other.weekday && self.starts < other.ends && other.starts < self.ends
    }

    fn meeting(self) -> Meeting {
        let clock = |minutes: u16| {
            format!("{:02}:{:02}", minutes / 60, minutes % 60).parse().expect("a time")
        };
        Meeting::weekly(
            vec![self.weekday],
            (clock(self.starts), clock(self.ends)),
            (Date::constant(2027, 2, 1), Date::constant(2027, 6, 30)),
        )
    }
}

pub fn cross_list() -> CrossListId {
    CrossListId::derived_from("cross-list")
}

pub fn group() -> RegistrationGroupId {
    RegistrationGroupId::derived_from("lecture with lab")
}

pub fn term() -> TermId {
    static TERM: LazyLock<TermId> = LazyLock::new(|| SectionOffered::example().term.id);
    *TERM
}

/// The term as the catalog last told of it.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    pub version: u64,
    pub state: TermState,
    pub opens_at: Timestamp,
    /// It is too late to drop anything: what is given up is withdrawn.
    pub drop_is_over: bool,
    /// Whoever gives everything up withdraws from the term.
    pub has_begun: bool,
}

impl Term {
    pub fn usual() -> Self {
        let opens_at = "2027-01-01T00:00:00Z".parse().expect("a timestamp");
        let state = TermState::Published;
        Self { version: 1, state, opens_at, drop_is_over: false, has_begun: false }
    }

    pub fn changed(&self) -> TermChanged {
        let (past, to_come) = (Date::constant(2027, 1, 1), Date::constant(2027, 6, 30));
        TermChanged {
            term: term(),
            term_version: self.version,
            state: self.state,
            first_day: if self.has_begun { past } else { to_come },
            registration_opens_at: self.opens_at,
            registration_closes_at: "2127-01-01T00:00:00Z".parse().expect("a timestamp"),
            windows: Vec::new(),
            dates: TermDates {
                drop_until: self.drop_is_over.then_some(past),
                withdraw_until: Some(to_come),
                ..TermDates::default()
            },
            ..TermChanged::example()
        }
    }
}

pub fn sections() -> Vec<Section> {
    let plain = |name: &'static str, capacity: i64| Section {
        id: SectionId::derived_from(name),
        name,
        version: 1,
        status: Status::Offered,
        capacity,
        course: name,
        credits: 600,
        hours: None,
        needs: Need::Nothing,
        mode: WaitlistMode::None,
        places: 0,
        approval: false,
        permission: false,
        pooled: false,
    };
    let hours = |weekday, starts: u16, ends: u16| Some(Hours { weekday, starts, ends });
    let at = |name, weekday, starts, ends| Section {
        hours: hours(weekday, starts, ends),
        ..plain(name, 3)
    };
    let lined = |name, capacity, mode| Section { mode, places: 3, ..plain(name, capacity) };
    let needing = |name, needs| Section { needs, ..plain(name, 4) };
    let (monday, tuesday) = (Weekday::Monday, Weekday::Tuesday);
    vec![
        at("nine", monday, 540, 600),
        // Back to back with the one before.
        at("ten", monday, 600, 660),
        Section { approval: true, ..at("half past nine", monday, 570, 630) },
        Section { course: "nine", ..at("nine on tuesday", tuesday, 540, 600) },
        lined("automatic", 2, WaitlistMode::Automatic),
        Section {
            hours: hours(tuesday, 570, 630),
            ..lined("confirmation", 2, WaitlistMode::Confirmation)
        },
        lined("cross a", 2, WaitlistMode::Automatic),
        lined("cross b", 2, WaitlistMode::Automatic),
        Section { approval: true, ..plain("guarded", 3) },
        Section { credits: 2_500, ..lined("heavy", 3, WaitlistMode::Automatic) },
        Section { credits: 2_400, ..plain("nearly as heavy", 8) },
        needing("tested", Need::Test),
        needing("advanced", Need::Course),
        needing("of a program", Need::Program),
        needing("of later years", Need::Standing),
        needing("of many credits", Need::Credits),
        Section { course: "linked", ..plain("lecture", 4) },
        Section { course: "linked", ..plain("lab", 3) },
        plain("companion", 3),
        plain("base", 4),
        Section { permission: true, ..plain("permitted", 3) },
        Section { pooled: true, ..plain("pooled", 2) },
        lined("picked", 2, WaitlistMode::Manual),
    ]
}

/// A hold or an override, until it is taken back or ends.
#[derive(Debug, Clone)]
pub struct Held {
    pub id: HoldId,
    pub ends_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct Leave {
    pub id: OverrideId,
    pub section: usize,
    pub code: ItemCode,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Student {
    pub person: PersonId,
    pub record: StudentRecord,
    pub holds: Vec<Held>,
    pub overrides: Vec<Leave>,
}

pub fn students() -> Vec<Student> {
    let student = |number: usize| {
        let at = u32::try_from(number).expect("few");
        let mut record = StudentRecord {
            status: StudentStatus::Active,
            standing: at % 4 + 1,
            credits_earned_hundredths: at % 3 * 4_000,
            tests: [("ALGEBRA".to_owned(), 4_000 + at % 2 * 2_000)].into(),
            ..StudentRecord::default()
        };
        if number.is_multiple_of(2) {
            record.programs.insert("CS".to_owned());
        }
        if number.is_multiple_of(3) {
            record.waived_courses.insert("BASIC".to_owned());
        }
        let person = PersonId::derived_from(&format!("student {number}"));
        Student { person, record, holds: Vec::new(), overrides: Vec::new() }
    };
    (0..STUDENTS).map(student).collect()
}
