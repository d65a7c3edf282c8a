//! The second pass over a file that was found good: its rows in our words, in chunks that one step can apply.

use std::io::{Read, Seek};

use kernel::{Email, Meeting};
use serde::{Deserialize, Serialize};
use shell::Role;

use super::archive::Budget;
use super::examine::Knowledge;
use super::report::Report;
use super::rows::Row;
use super::{Archive, Examination, File, parse, rows};

/// Rows of a chunk: one step applies them well within its time.
const ROWS_MAX: usize = 100;
/// Of a chunk's JSON: the state machine hands over at most 256 KiB.
const BYTES_MAX: usize = 160 * 1024;

/// Who applies a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Catalog,
    People,
    History,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::People => "people",
            Self::History => "history",
        }
    }
}

/// Rows of one file for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// From 1 on.
    pub number: u32,
    /// `{"target", "file", "settle", "rows"}`
    pub json: String,
}

/// Whoever takes the chunks has had enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// What has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    pub chunks: u32,
    /// The first of them.
    pub of_people: u32,
}

/// People, terms, courses, sections and history, in this order: what refers follows what it refers to.
pub fn write_chunks<R: Read + Seek>(
    archive: &mut Archive<R>,
    examination: &Examination,
    take: impl FnMut(Chunk) -> Result<(), Stopped>,
) -> Result<Written, Stopped> {
    const ORDER: [(File, Target); 5] = [
        (File::Users, Target::People),
        (File::AcademicSessions, Target::Catalog),
        (File::Courses, Target::Catalog),
        (File::Classes, Target::Catalog),
        (File::Enrollments, Target::History),
    ];
    let knowledge = &examination.knowledge;
    let budget = Budget::new(archive.limits);
    // Everything has been reported in the first pass.
    let mut report = Report::default();
    let mut writer = ChunkWriter::new(take);
    for (file, target) in ORDER {
        let Some(reader) = archive.file(file, &budget).filter(|_| knowledge.has(file)) else {
            continue;
        };
        writer.begin(file, target);
        rows::read(reader, file, &budget, &mut report, |row| match file {
            File::AcademicSessions => writer.add(term(row)),
            File::Courses => writer.add(course(row, knowledge)),
            File::Users => writer.add(person(row, knowledge)),
            File::Classes => writer.add(section(row, knowledge)),
            File::Enrollments => writer.add(history(row, knowledge)),
            File::Manifest | File::Orgs | File::Roles | File::PeopleCsv | File::PeopleXlsx => {}
        });
        writer.end_chunk();
    }
    writer.finish()
}

pub struct ChunkWriter<F> {
    take: F,
    file: File,
    target: Target,
    rows: String,
    count: usize,
    written: Written,
    /// Whether the next chunk is the first of its file.
    first: bool,
    stopped: bool,
}

impl<F: FnMut(Chunk) -> Result<(), Stopped>> ChunkWriter<F> {
    pub fn new(take: F) -> Self {
        Self {
            take,
            file: File::Manifest,
            target: Target::Catalog,
            rows: String::new(),
            count: 0,
            written: Written::default(),
            first: true,
            stopped: false,
        }
    }

    pub fn begin(&mut self, file: File, target: Target) {
        self.file = file;
        self.target = target;
        self.first = true;
    }

    pub fn add<T: Serialize>(&mut self, row: Option<T>) {
        let Some(row) = row.filter(|_| !self.stopped) else { return };
        let row = serde_json::to_string(&row).expect("a row is JSON");
        if self.count == ROWS_MAX || self.rows.len() + row.len() >= BYTES_MAX {
            self.end_chunk();
        }
        if self.count > 0 {
            self.rows.push(',');
        }
        self.rows.push_str(&row);
        self.count += 1;
    }

    pub fn end_chunk(&mut self) {
        if self.count == 0 || self.stopped {
            return;
        }
        self.written.chunks += 1;
        self.written.of_people += u32::from(self.target == Target::People);
        // What sections there are reaches the history's keeper by events: the first of its chunks waits for them.
        let settle = self.first && self.target == Target::History;
        let json = format!(
            r#"{{"target":"{}","file":"{}","settle":{settle},"rows":[{}]}}"#,
            self.target.name(),
            self.file.name(),
            self.rows,
        );
        self.stopped = (self.take)(Chunk { number: self.written.chunks, json }).is_err();
        self.first = false;
        self.rows.clear();
        self.count = 0;
    }

    pub fn finish(self) -> Result<Written, Stopped> {
        if self.stopped { Err(Stopped) } else { Ok(self.written) }
    }
}

#[derive(Serialize)]
struct TermRow<'a> {
    kind: &'static str,
    row: u64,
    source: &'a str,
    code: String,
    title: &'a str,
    first_day: kernel::Date,
    last_day: kernel::Date,
    registration_opens_at: kernel::Timestamp,
    registration_closes_at: kernel::Timestamp,
}

fn term<'a>(row: &mut Row<'a>) -> Option<TermRow<'a>> {
    let session = parse::session(row).filter(|session| session.is_term)?;
    Some(TermRow {
        kind: "term",
        row: row.number(),
        source: session.source,
        code: session.code,
        title: session.title,
        first_day: session.first_day,
        last_day: session.last_day,
        registration_opens_at: session.registration_opens_at,
        registration_closes_at: session.registration_closes_at,
    })
}

#[derive(Serialize)]
struct CourseRow<'a> {
    kind: &'static str,
    row: u64,
    source: &'a str,
    code: String,
    title: &'a str,
    credits_hundredths: u32,
    department: &'a str,
}

fn course<'a, 'r: 'a>(row: &mut Row<'r>, knowledge: &'a Knowledge) -> Option<CourseRow<'a>> {
    let parse::Course { source, code, title, credits_hundredths, org } = parse::course(row)?;
    let department = knowledge.department(org);
    let row = row.number();
    Some(CourseRow { kind: "course", row, source, code, title, credits_hundredths, department })
}

#[derive(Serialize)]
struct PersonRow<'a> {
    row: u64,
    source: &'a str,
    given_name: &'a str,
    family_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    student_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    staff_number: Option<&'a str>,
    roles: Vec<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<&'a str>,
}

fn person<'a, 'r: 'a>(row: &mut Row<'r>, knowledge: &'a Knowledge) -> Option<PersonRow<'a>> {
    let parse::User { source, given_name, family_name, identifier, email } = parse::user(row)?;
    let held = knowledge.roles(source);
    let mut roles = Vec::new();
    roles.extend(held.student.then_some(Role::Student));
    roles.extend(held.teacher.then_some(Role::Teacher));
    if roles.is_empty() {
        return None;
    }
    Some(PersonRow {
        row: row.number(),
        source,
        given_name,
        family_name,
        email,
        student_number: identifier.filter(|_| held.student),
        staff_number: identifier.filter(|_| !held.student),
        roles,
        department: knowledge.department_of_teacher(held),
    })
}

#[derive(Serialize)]
struct SectionRow<'a> {
    kind: &'static str,
    row: u64,
    source: &'a str,
    code: String,
    term: &'a str,
    course: &'a str,
    capacity: u32,
    price_group: &'a str,
    approval_required: bool,
    meetings: Vec<Meeting>,
}

fn section<'a>(row: &mut Row<'a>, knowledge: &Knowledge) -> Option<SectionRow<'a>> {
    let class = parse::class(row)?;
    let (first_day, last_day) = knowledge.days_of_term(class.terms)?;
    Some(SectionRow {
        kind: "section",
        row: row.number(),
        source: class.source,
        code: class.code,
        term: class.terms,
        course: class.course,
        capacity: class.capacity,
        price_group: class.price_group,
        approval_required: class.approval_required,
        meetings: class.meetings.iter().map(|each| each.during(first_day, last_day)).collect(),
    })
}

#[derive(Serialize)]
struct HistoryRow<'a> {
    row: u64,
    student: &'a str,
    section: &'a str,
    /// Where both stand: what was refused there cannot be referred to here.
    student_row: u64,
    section_row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    grade: Option<parse::FinalGrade<'a>>,
}

fn history<'a>(row: &mut Row<'a>, knowledge: &Knowledge) -> Option<HistoryRow<'a>> {
    let enrollment = parse::enrollment(row).filter(|enrollment| enrollment.role == "student")?;
    Some(HistoryRow {
        row: row.number(),
        student: enrollment.user,
        section: enrollment.class,
        student_row: knowledge.row_of_user(enrollment.user)?,
        section_row: knowledge.row_of_class(enrollment.class)?,
        grade: enrollment.grade,
    })
}
