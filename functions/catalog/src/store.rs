//! The catalog's items: how they lie in the table, and the transactions that write them with their events.

use events::{CourseCreated, OfferedCourse, OfferedTerm, SectionOffered, TermCreated};
use kernel::{CourseId, SectionId, TermId, Timestamp};
use serde::{Deserialize, Serialize};
use shell::Failure;
use table::{CommitFailure, Key, Partition, Record, Stored, Table, Transaction};

use crate::domain::{Code, Course, Refusal, Section, Term};

impl Record for Term {
    const KIND: &'static str = "term";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        term_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("TERMS".to_owned(), format!("{}#{}", self.first_day, self.id)))
    }
}

impl Record for Course {
    const KIND: &'static str = "course";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        course_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("COURSES".to_owned(), self.code.to_string()))
    }
}

impl Record for Section {
    const KIND: &'static str = "section";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        section_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("SECTIONS#{}", self.term), format!("{}#{}", self.course_code, self.code)))
    }
}

/// Keeps a code from being given twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CodeClaim {
    /// `term`, `course`, or a section's term.
    namespace: String,
    code: Code,
}

impl Record for CodeClaim {
    const KIND: &'static str = "code-claim";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("CODE#{}#{}", self.namespace, self.code), "CODE")
    }
}

pub fn term_key(id: TermId) -> Key<Term> {
    Key::new(format!("TERM#{id}"), "TERM")
}

pub fn course_key(id: CourseId) -> Key<Course> {
    Key::new(format!("COURSE#{id}"), "COURSE")
}

pub fn section_key(id: SectionId) -> Key<Section> {
    Key::new(format!("SECTION#{id}"), "SECTION")
}

/// Terms by their first day, the latest first.
pub fn terms() -> Partition<Term> {
    Partition::in_index("TERMS", "").newest_first()
}

/// Courses by code, or those whose code begins with `code_prefix`.
pub fn courses(code_prefix: &str) -> Partition<Course> {
    Partition::in_index("COURSES", code_prefix)
}

/// Sections of a term by code, or those of one course.
pub fn sections(term: TermId, course: Option<&Code>) -> Partition<Section> {
    let prefix = course.map(|code| format!("{code}#")).unwrap_or_default();
    Partition::in_index(format!("SECTIONS#{term}"), prefix)
}

/// What a section hangs on, read in one call.
pub struct SectionContext {
    pub term: Stored<Term>,
    pub course: Stored<Course>,
}

pub async fn section_context(
    table: &Table,
    term: TermId,
    course: CourseId,
) -> Result<SectionContext, Failure> {
    let (term, course) = (term_key(term), course_key(course));
    let mut batch = table.get_batch(vec![(&term).into(), (&course).into()]).await?;
    Ok(SectionContext {
        term: batch.take(&term)?.ok_or(Refusal::TermUnknown)?,
        course: batch.take(&course)?.ok_or(Refusal::CourseUnknown)?,
    })
}

/// Whether all of these courses exist.
pub async fn courses_exist(table: &Table, ids: &[CourseId]) -> Result<bool, Failure> {
    let keys: Vec<_> = ids.iter().map(|id| course_key(*id)).collect();
    let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
    for key in &keys {
        if batch.take(key)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What wrote a record and when, for its event.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub now: Timestamp,
    pub correlation_id: &'a str,
}

/// A write of one catalog record with its event. `read_version` is absent for a new one, whose code is claimed too.
pub fn write_term(
    transaction: &mut Transaction<'_>,
    term: &Term,
    read_version: Option<u64>,
    cause: Cause<'_>,
) {
    transaction.put(term, read_version);
    claim(transaction, read_version, "term", &term.code);
    let event = TermCreated {
        term: term.id,
        code: term.code.to_string(),
        title: term.title.clone(),
        first_day: term.first_day,
        last_day: term.last_day,
        registration_opens_at: term.registration_opens_at,
        registration_closes_at: term.registration_closes_at,
    };
    transaction.event(event, read_version.unwrap_or_default() + 1, cause.now, cause.correlation_id);
}

pub fn write_course(
    transaction: &mut Transaction<'_>,
    course: &Course,
    read_version: Option<u64>,
    cause: Cause<'_>,
) {
    transaction.put(course, read_version);
    claim(transaction, read_version, "course", &course.code);
    let event = CourseCreated {
        course: course.id,
        code: course.code.to_string(),
        title: course.title.clone(),
        credits_hundredths: course.credits_hundredths,
        department: course.department.to_string(),
        corequisites: course.corequisites.clone(),
    };
    transaction.event(event, read_version.unwrap_or_default() + 1, cause.now, cause.correlation_id);
}

pub fn write_section(
    transaction: &mut Transaction<'_>,
    section: &Section,
    context: &SectionContext,
    read_version: Option<u64>,
    cause: Cause<'_>,
) {
    transaction.put(section, read_version);
    claim(transaction, read_version, &section.term.to_string(), &section.code);
    let (term, course) = (&context.term.value, &context.course.value);
    let section_version = read_version.unwrap_or_default() + 1;
    let event = SectionOffered {
        section: section.id,
        section_version,
        code: section.code.to_string(),
        term: OfferedTerm {
            id: term.id,
            code: term.code.to_string(),
            registration_opens_at: term.registration_opens_at,
            registration_closes_at: term.registration_closes_at,
        },
        course: OfferedCourse {
            id: course.id,
            code: course.code.to_string(),
            title: course.title.clone(),
            corequisites: course.corequisites.clone(),
        },
        credits_hundredths: course.credits_hundredths,
        capacity: section.capacity,
        department: course.department.to_string(),
        price_group: section.price_group.clone(),
        approval_required: section.approval_required,
        meetings: section.meetings.clone(),
    };
    transaction.event(event, section_version, cause.now, cause.correlation_id);
}

fn claim(
    transaction: &mut Transaction<'_>,
    read_version: Option<u64>,
    namespace: &str,
    code: &Code,
) {
    if read_version.is_none() {
        transaction.create(&CodeClaim { namespace: namespace.to_owned(), code: code.clone() });
    }
}

/// Commits the making of something new: ids are new, so that only its code can stand in the way.
pub async fn commit_new(transaction: Transaction<'_>, code_taken: Refusal) -> Result<(), Failure> {
    match transaction.commit().await {
        Err(CommitFailure::ConditionFailed(_)) => Err(code_taken.into()),
        other => Ok(other?),
    }
}
