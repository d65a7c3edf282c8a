//! The first pass: every row of every file, and how they refer to each other.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek};

use kernel::Date;

use super::archive::Budget;
use super::report::{Place, Problem, Report};
use super::rows::Row;
use super::{Archive, File, parse, rows};
use crate::domain::Counts;

/// What the first pass came to.
#[derive(Debug)]
pub struct Examination {
    pub report: Report,
    pub(super) knowledge: Knowledge,
    /// The most bytes that one row took in memory.
    pub largest_row: u64,
}

/// What the rows say of each other, by the hashes of their ids.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    present: HashSet<File>,
    orgs: HashSet<u64>,
    departments: HashMap<u64, String>,
    sessions: HashSet<u64>,
    terms: HashMap<u64, (Date, Date)>,
    courses: HashSet<u64>,
    /// Ids with their rows.
    classes: HashMap<u64, u64>,
    users: HashMap<u64, u64>,
    roles: HashMap<u64, Roles>,
    counts: Counts,
}

/// What a user is to Matricula.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Roles {
    pub student: bool,
    pub teacher: bool,
    /// The organisation of the teacher's first role.
    org: Option<u64>,
}

impl Knowledge {
    pub fn has(&self, file: File) -> bool {
        self.present.contains(&file)
    }

    pub fn department(&self, org: Option<&str>) -> &str {
        const DEFAULT: &str = "GENERAL";
        org.and_then(|org| self.departments.get(&hash(org))).map_or(DEFAULT, String::as_str)
    }

    pub fn roles(&self, user: &str) -> Roles {
        self.roles.get(&hash(user)).copied().unwrap_or_default()
    }

    pub fn department_of_teacher(&self, roles: Roles) -> Option<&str> {
        self.departments.get(&roles.org?).map(String::as_str)
    }

    pub fn row_of_user(&self, user: &str) -> Option<u64> {
        self.users.get(&hash(user)).copied()
    }

    pub fn row_of_class(&self, class: &str) -> Option<u64> {
        self.classes.get(&hash(class)).copied()
    }

    pub fn days_of_term(&self, term: &str) -> Option<(Date, Date)> {
        self.terms.get(&hash(term)).copied()
    }
}

fn hash(text: &str) -> u64 {
    hash_of(&text)
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Looks at everything; whether it can be applied is the report's to say.
pub fn examine<R: Read + Seek>(archive: &mut Archive<R>) -> Examination {
    let mut pass = Pass { report: Report::default(), budget: Budget::new(archive.limits) };
    let mut knowledge = Knowledge::default();
    if pass.manifest(archive, &mut knowledge) {
        pass.data(archive, &mut knowledge);
        if knowledge.counts.rows() == 0 && !pass.report.has_errors() {
            let place = Place { file: File::Manifest, row: None };
            pass.report.error(place, None, Problem::NothingToImport, "");
        }
    }
    Examination { report: pass.report, knowledge, largest_row: pass.budget.largest_row() }
}

impl Examination {
    pub fn is_valid(&self) -> bool {
        !self.report.has_errors()
    }

    pub fn counts(&self) -> Counts {
        self.knowledge.counts
    }

    pub fn not_an_archive() -> Self {
        Self::unreadable(Problem::ArchiveUnreadable, "")
    }

    pub fn too_large(bytes_max: usize) -> Self {
        Self::unreadable(Problem::ArchiveTooLarge, &(bytes_max / 1024 / 1024).to_string())
    }

    fn unreadable(problem: Problem, detail: &str) -> Self {
        let mut report = Report::default();
        report.error(Place { file: File::Manifest, row: None }, None, problem, detail);
        Self { report, knowledge: Knowledge::default(), largest_row: 0 }
    }
}

struct Pass {
    report: Report,
    budget: Budget,
}

impl Pass {
    /// Which files there are to be. Whether they are worth looking at.
    fn manifest<R: Read + Seek>(
        &mut self,
        archive: &mut Archive<R>,
        knowledge: &mut Knowledge,
    ) -> bool {
        let at = Place { file: File::Manifest, row: None };
        let Some(reader) = archive.file(File::Manifest, &self.budget) else {
            self.report.error(at, None, Problem::FileMissing, "");
            return false;
        };
        let mut version = None;
        let read = rows::read(reader, File::Manifest, &self.budget, &mut self.report, |row| {
            knowledge.declared(row, &mut version);
        });
        if read && version.as_deref() != Some("1.2") {
            let found = version.unwrap_or_default();
            self.report.error(at, Some("oneroster.version"), Problem::VersionUnsupported, &found);
        }
        for file in File::DATA.into_iter().filter(|file| knowledge.has(*file)) {
            if !archive.has(file) {
                self.report.error(Place { file, row: None }, None, Problem::FileMissing, "");
            }
        }
        !self.report.has_errors()
    }

    fn data<R: Read + Seek>(&mut self, archive: &mut Archive<R>, knowledge: &mut Knowledge) {
        let mut seen = Seen::default();
        for file in File::DATA {
            if !knowledge.has(file) {
                continue;
            }
            let Some(reader) = archive.file(file, &self.budget) else {
                let at = Place { file, row: None };
                self.report.error(at, None, Problem::FileUnreadable, "");
                continue;
            };
            seen.clear();
            rows::read(reader, file, &self.budget, &mut self.report, |row| match file {
                File::Manifest | File::PeopleCsv | File::PeopleXlsx => {}
                File::Orgs => knowledge.org(row, &mut seen),
                File::AcademicSessions => knowledge.session(row, &mut seen),
                File::Courses => knowledge.course(row, &mut seen),
                File::Users => knowledge.user(row, &mut seen),
                File::Roles => knowledge.role(row, &mut seen),
                File::Classes => knowledge.class(row, &mut seen),
                File::Enrollments => knowledge.enrollment(row, &mut seen),
            });
        }
        let ignored = knowledge.count_people();
        let at = Place { file: File::Users, row: None };
        self.report.note_many(at, Problem::UserIgnored, "", ignored);
    }
}

/// What one file may hold only once.
#[derive(Default)]
struct Seen {
    sources: HashSet<u64>,
    /// Codes of courses, of terms, of sections within their term; addresses of people.
    others: HashSet<u64>,
}

impl Seen {
    fn clear(&mut self) {
        self.sources.clear();
        self.others.clear();
    }

    /// Notes the row's id; whether it is the first of its file.
    fn source(&mut self, row: &mut Row<'_>, source: &str) -> bool {
        let first = self.sources.insert(hash(source));
        if !first {
            row.error("sourcedId", Problem::SourcedIdTwice, "");
        }
        first
    }

    fn other(&mut self, row: &mut Row<'_>, column: &str, problem: Problem, value: &impl Hash) {
        if !self.others.insert(hash_of(value)) {
            row.error(column, problem, "");
        }
    }
}

impl Knowledge {
    /// A line of the manifest.
    fn declared(&mut self, row: &mut Row<'_>, version: &mut Option<String>) {
        let name = row.required("propertyName", 255);
        let value = row.optional("value", 255).unwrap_or_default();
        let Some(name) = name else { return };
        if name == "oneroster.version" {
            *version = Some(value.to_owned());
        }
        let Some(stem) = name.strip_prefix("file.") else { return };
        match (value, File::DATA.into_iter().find(|file| file.stem() == stem)) {
            ("absent", _) => {}
            ("delta", _) => row.error("value", Problem::DeltaUnsupported, name),
            ("bulk", Some(file)) => {
                self.present.insert(file);
            }
            ("bulk", None) => row.note(Problem::FileIgnored, stem),
            _ => row.error("value", Problem::ManifestValueWrong, "bulk, delta, absent"),
        }
    }

    fn org(&mut self, row: &mut Row<'_>, seen: &mut Seen) {
        let Some(org) = parse::org(row) else { return };
        seen.source(row, org.source);
        self.orgs.insert(hash(org.source));
        if let Some(code) = org.department {
            self.departments.insert(hash(org.source), code);
        }
    }

    fn session(&mut self, row: &mut Row<'_>, seen: &mut Seen) {
        let Some(session) = parse::session(row) else { return };
        seen.source(row, session.source);
        self.sessions.insert(hash(session.source));
        if !session.is_term {
            return row.note(Problem::SessionIgnored, session.kind);
        }
        seen.other(row, "title", Problem::CodeTwice, &session.code);
        self.terms.insert(hash(session.source), (session.first_day, session.last_day));
        self.counts.terms += 1;
    }

    fn course(&mut self, row: &mut Row<'_>, seen: &mut Seen) {
        let Some(course) = parse::course(row) else { return };
        seen.source(row, course.source);
        seen.other(row, "courseCode", Problem::CodeTwice, &course.code);
        self.check_org(row, course.org);
        self.courses.insert(hash(course.source));
        self.counts.courses += 1;
    }

    fn user(&mut self, row: &mut Row<'_>, seen: &mut Seen) {
        let Some(user) = parse::user(row) else { return };
        seen.source(row, user.source);
        if let Some(email) = user.email {
            seen.other(row, "email", Problem::EmailTwice, &email.folded());
        }
        self.users.insert(hash(user.source), row.number());
    }

    fn role(&mut self, row: &mut Row<'_>, seen: &mut Seen) {
        let Some(role) = parse::role(row) else { return };
        seen.source(row, role.source);
        self.check_org(row, role.org);
        let user = hash(role.user);
        if !self.users.contains_key(&user) {
            return row.error("userSourcedId", Problem::ReferenceDangling, File::Users.name());
        }
        match role.name {
            "student" => self.roles.entry(user).or_default().student = true,
            "teacher" => {
                let roles = self.roles.entry(user).or_default();
                roles.teacher = true;
                roles.org = roles.org.or(role.org.map(hash));
            }
            other => row.note(Problem::RoleIgnored, other),
        }
    }

    fn class(&mut self, row: &mut Row<'_>, seen: &mut Seen) {
        let Some(class) = parse::class(row) else { return };
        seen.source(row, class.source);
        seen.other(row, "classCode", Problem::CodeTwice, &(class.terms, &class.code));
        if !self.courses.contains(&hash(class.course)) {
            row.error("courseSourcedId", Problem::ReferenceDangling, File::Courses.name());
        }
        let term = hash(class.terms);
        if class.terms.contains(',') {
            row.error("termSourcedIds", Problem::NotOneTerm, "");
        } else if !self.sessions.contains(&term) {
            row.error("termSourcedIds", Problem::ReferenceDangling, File::AcademicSessions.name());
        } else if !self.terms.contains_key(&term) {
            row.error("termSourcedIds", Problem::NotATerm, "");
        }
        self.classes.insert(hash(class.source), row.number());
        self.counts.sections += 1;
    }

    fn enrollment(&mut self, row: &mut Row<'_>, seen: &mut Seen) {
        let Some(enrollment) = parse::enrollment(row) else { return };
        seen.source(row, enrollment.source);
        if !self.classes.contains_key(&hash(enrollment.class)) {
            row.error("classSourcedId", Problem::ReferenceDangling, File::Classes.name());
        }
        let user = hash(enrollment.user);
        if !self.users.contains_key(&user) {
            return row.error("userSourcedId", Problem::ReferenceDangling, File::Users.name());
        }
        if enrollment.role != "student" {
            return row.note(Problem::RoleIgnored, enrollment.role);
        }
        if !self.roles.get(&user).is_some_and(|roles| roles.student) {
            row.error("userSourcedId", Problem::NotAStudent, "");
        }
        self.counts.history += 1;
    }

    fn check_org(&self, row: &mut Row<'_>, org: Option<&str>) {
        if org.is_some_and(|org| !self.orgs.contains(&hash(org))) {
            row.error("orgSourcedId", Problem::ReferenceDangling, File::Orgs.name());
        }
    }

    /// Users who are neither students nor teachers are left out; answers how many.
    fn count_people(&mut self) -> u64 {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.counts.people = number(self.roles.len());
        number(self.users.len()).saturating_sub(self.counts.people)
    }
}
