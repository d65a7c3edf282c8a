//! What the catalog last said of a course, and the sections that are offered of it.

use events::{CourseChanged, CourseUpdateAdvanced, CourseVersion};
use kernel::{CourseId, Date, SectionId, TermId};
use serde::{Deserialize, Serialize};
use table::{Key, Partition, Record, Stored, Transaction};

use super::Cause;
use crate::domain::CourseUpdate;

/// A course with all its versions, by the catalog's last word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CourseFacts {
    pub course: CourseId,
    /// Version of the course in the catalog.
    pub course_version: u64,
    /// The oldest first; the first one holds for all time before it too.
    pub versions: Vec<CourseVersion>,
}

impl From<CourseChanged> for CourseFacts {
    fn from(event: CourseChanged) -> Self {
        let CourseChanged { course, course_version, versions, .. } = event;
        Self { course, course_version, versions }
    }
}

impl CourseFacts {
    /// What it is on a day; nothing where it has no version.
    pub fn on(&self, day: Date) -> Option<&CourseVersion> {
        let in_force = self.versions.iter().rev().find(|version| version.effective_from <= day);
        in_force.or(self.versions.first())
    }
}

impl Record for CourseFacts {
    const KIND: &'static str = "course-facts";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        course_facts_key(self.course)
    }
}

/// Says that a section is one of the course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CourseSection {
    pub course: CourseId,
    pub section: SectionId,
    pub term: TermId,
}

impl Record for CourseSection {
    const KIND: &'static str = "course-section";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(course_pk(self.course), format!("{SECTION_PREFIX}{}", self.section))
    }
}

/// Sort keys of a course's sections begin with this.
const SECTION_PREFIX: &str = "SECTION#";

fn course_pk(course: CourseId) -> String {
    format!("COURSE#{course}")
}

pub fn course_facts_key(course: CourseId) -> Key<CourseFacts> {
    Key::new(course_pk(course), "COURSE")
}

/// The sections of a course, in all terms.
pub fn course_sections(course: CourseId) -> Partition<CourseSection> {
    Partition::new(course_pk(course), SECTION_PREFIX)
}

impl Record for CourseUpdate {
    const KIND: &'static str = "course-update";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        course_update_key(self.course)
    }
}

pub fn course_update_key(course: CourseId) -> Key<CourseUpdate> {
    Key::new(course_pk(course), "UPDATE")
}

/// Has the course's sections brought up to date from the first one on.
pub fn begin_course_update(
    transaction: &mut Transaction<'_>,
    course: CourseId,
    before: Option<&Stored<CourseUpdate>>,
    cause: Cause<'_>,
) {
    let update = CourseUpdate::begin(course, before.map(|before| &before.value));
    write_course_update(transaction, &update, before.map(|before| before.version), cause);
}

/// Writes how far it has come; where it goes on, the event is what brings it there.
pub fn write_course_update(
    transaction: &mut Transaction<'_>,
    update: &CourseUpdate,
    read_version: Option<u64>,
    cause: Cause<'_>,
) {
    transaction.put(update, read_version);
    if !update.done {
        let event = CourseUpdateAdvanced { course: update.course, step: update.step };
        let version = read_version.unwrap_or_default() + 1;
        transaction.event(event, version, cause.now, cause.correlation_id);
    }
}
