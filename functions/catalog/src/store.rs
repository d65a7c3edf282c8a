//! The catalog's items: how they lie in the table.

mod prerequisites;
mod sections;
mod writes;

pub use prerequisites::references;
pub use sections::{courses_by_id, section_context, sections_by_id, write_sections};
pub use writes::{
    Cause, commit_new, write_calendar, write_course, write_cross_list, write_group, write_program,
    write_rollover, write_term,
};

use kernel::{
    Calendar, CourseId, CrossListId, ProgramId, RegistrationGroupId, RolloverId, SectionId, TermId,
};
use serde::{Deserialize, Serialize};
use shell::Failure;
use table::{Key, Page, PageRequest, Partition, Record, Stored, Table};

use crate::domain::{
    Code, Course, CrossList, Program, RegistrationGroup, Resource, Rollover, Section, Term,
    Timetable,
};

impl Record for Term {
    const KIND: &'static str = "term";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        term_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("TERMS".to_owned(), format!("{}#{}", self.first_day, self.id)))
    }
}

impl Record for Course {
    const KIND: &'static str = "course";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        course_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("COURSES".to_owned(), self.code.to_string()))
    }
}

impl Record for Program {
    const KIND: &'static str = "program";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        program_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("PROGRAMS".to_owned(), self.code.to_string()))
    }
}

impl Record for Section {
    const KIND: &'static str = "section";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        section_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("SECTIONS#{}", self.term), format!("{}#{}", self.course_code, self.code)))
    }
}

impl Record for RegistrationGroup {
    const KIND: &'static str = "registration-group";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        group_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("GROUPS#{}", self.term), format!("{}#{}", self.course_code, self.code)))
    }
}

impl Record for CrossList {
    const KIND: &'static str = "cross-list";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        cross_list_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("CROSS-LISTS#{}", self.term), self.code.to_string()))
    }
}

impl Record for Timetable {
    const KIND: &'static str = "timetable";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        timetable_key(self.year, &self.resource)
    }
}

impl Record for Rollover {
    const KIND: &'static str = "rollover";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        rollover_key(self.id)
    }
}

/// The institution's calendar: there is one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TheCalendar(pub Calendar);

impl Record for TheCalendar {
    const KIND: &'static str = "calendar";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        calendar_key()
    }
}

/// Keeps a code from being given twice, and says who has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CodeClaim {
    /// `term`, `course`, `program`, or what is unique within a term.
    namespace: String,
    code: Code,
    /// The id of what has the code.
    holder: String,
}

impl Record for CodeClaim {
    const KIND: &'static str = "code-claim";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        claim_key(&self.namespace, &self.code.0)
    }
}

fn claim_key(namespace: &str, code: &str) -> Key<CodeClaim> {
    Key::new(format!("CODE#{namespace}#{code}"), "CODE")
}

pub fn term_key(id: TermId) -> Key<Term> {
    Key::new(format!("TERM#{id}"), "TERM")
}

pub fn course_key(id: CourseId) -> Key<Course> {
    Key::new(format!("COURSE#{id}"), "COURSE")
}

pub fn program_key(id: ProgramId) -> Key<Program> {
    Key::new(format!("PROGRAM#{id}"), "PROGRAM")
}

pub fn section_key(id: SectionId) -> Key<Section> {
    Key::new(format!("SECTION#{id}"), "SECTION")
}

pub fn group_key(id: RegistrationGroupId) -> Key<RegistrationGroup> {
    Key::new(format!("GROUP#{id}"), "GROUP")
}

pub fn cross_list_key(id: CrossListId) -> Key<CrossList> {
    Key::new(format!("CROSS-LIST#{id}"), "CROSS-LIST")
}

pub fn rollover_key(id: RolloverId) -> Key<Rollover> {
    Key::new(format!("ROLLOVER#{id}"), "ROLLOVER")
}

pub fn calendar_key() -> Key<TheCalendar> {
    Key::new("CALENDAR", "CALENDAR")
}

pub fn timetable_key(year: i16, resource: &Resource) -> Key<Timetable> {
    let kind = match resource {
        Resource::Room(_) => "ROOM",
        Resource::Teacher(_) => "TEACHER",
        Resource::StudentGroup(_) => "GROUP",
    };
    Key::new(format!("TIMETABLE#{year}#{kind}#{resource}"), "TIMETABLE")
}

/// Terms by their first day, the latest first.
pub fn terms() -> Partition<Term> {
    Partition::in_index("TERMS", "").newest_first()
}

/// Courses by code, or those whose code begins with `code_prefix`.
pub fn courses(code_prefix: &str) -> Partition<Course> {
    Partition::in_index("COURSES", code_prefix)
}

/// Programs by code.
pub fn programs() -> Partition<Program> {
    Partition::in_index("PROGRAMS", "")
}

/// Sections of a term by code, or those of one course.
pub fn sections(term: TermId, course: Option<&Code>) -> Partition<Section> {
    Partition::in_index(format!("SECTIONS#{term}"), of_course(course))
}

/// Registration groups of a term, or of one course in it.
pub fn groups(term: TermId, course: Option<&Code>) -> Partition<RegistrationGroup> {
    Partition::in_index(format!("GROUPS#{term}"), of_course(course))
}

/// Cross-lists of a term by code.
pub fn cross_lists(term: TermId) -> Partition<CrossList> {
    Partition::in_index(format!("CROSS-LISTS#{term}"), "")
}

fn of_course(course: Option<&Code>) -> String {
    course.map(|code| format!("{code}#")).unwrap_or_default()
}

/// A page of what is wanted of a list. It may hold fewer than asked for, but is empty only at the list's end, or
/// where nothing is found for long.
pub async fn page_of<R: Record>(
    table: &Table,
    partition: &Partition<R>,
    page: &PageRequest,
    is_wanted: impl Fn(&R) -> bool,
) -> Result<Page<R>, Failure> {
    const PAGES_MAX: u32 = 10;
    let mut request = page.clone();
    let mut found = Page { records: Vec::new(), next: None };
    for _ in 0..PAGES_MAX {
        let read = table.query(partition, &request).await?;
        found.records.extend(read.records.into_iter().filter(|stored| is_wanted(&stored.value)));
        found.next.clone_from(&read.next);
        request.after = read.next;
        if !found.records.is_empty() || request.after.is_none() {
            break;
        }
    }
    Ok(found)
}

/// The calendar, empty where nobody has filled it yet, with its version.
pub async fn calendar(table: &Table) -> Result<(Calendar, Option<u64>), Failure> {
    let stored: Option<Stored<TheCalendar>> = table.get(&calendar_key()).await?;
    let version = stored.as_ref().map(|stored| stored.version);
    Ok((stored.map(|stored| stored.value.0).unwrap_or_default(), version))
}
