//! Import step: terms, courses and sections from another system, row by row. A row that is there already changes
//! nothing; each row is written whole or not at all.

use events::{CourseVersion, TermDates, TermState, WaitlistSettings};
use kernel::{Date, Meeting, SourceId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Imported, RowOutcome, Step};
use table::{Place, Transaction};

use super::create_section;
use crate::Ctx;
use crate::domain::{Code, Course, Refusal, Section, Term};
use crate::store::{self, Cause};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(max = 500))]
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Row {
    Term(TermRow),
    Course(CourseRow),
    Section(SectionRow),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TermRow {
    pub row: u64,
    pub source: SourceId,
    pub code: Code,
    pub title: String,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CourseRow {
    pub row: u64,
    pub source: SourceId,
    pub code: Code,
    pub title: String,
    pub credits_hundredths: u32,
    pub department: Code,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SectionRow {
    pub row: u64,
    pub source: SourceId,
    pub code: Code,
    pub term: SourceId,
    pub course: SourceId,
    pub capacity: u32,
    pub price_group: String,
    pub approval_required: bool,
    pub meetings: Vec<Meeting>,
}

impl Row {
    fn number(&self) -> u64 {
        match self {
            Self::Term(row) => row.row,
            Self::Course(row) => row.row,
            Self::Section(row) => row.row,
        }
    }
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Imported, Failure> {
    let cause = Cause { now: step.now, correlation_id: &step.correlation_id };
    let apply = async |row: &Row| match row {
        Row::Term(row) => import_term(ctx, row, cause).await,
        Row::Course(row) => import_course(ctx, row, cause).await,
        Row::Section(row) => import_section(ctx, row, cause).await,
    };
    shell::import_rows(&step.command.rows, Row::number, apply).await
}

async fn import_term(ctx: &Ctx, row: &TermRow, cause: Cause<'_>) -> Result<RowOutcome, Failure> {
    let TermRow { source, code, title, first_day, last_day, .. } = row.clone();
    let id = source.id();
    let stored = ctx.table.get(&store::term_key(id)).await?;
    let standing = stored.as_ref().map(|stored| stored.value.clone());
    let fresh = Term {
        id,
        code,
        title,
        parent: None,
        state: TermState::Published,
        first_day,
        last_day,
        registration_opens_at: row.registration_opens_at,
        registration_closes_at: row.registration_closes_at,
        windows: Vec::new(),
        dates: TermDates::default(),
    };
    // What the other system does not know stays as it was planned here.
    let term = match standing.clone() {
        Some(Term { parent, state, windows, dates, .. }) => {
            Term { parent, state, windows, dates, ..fresh }
        }
        None => fresh,
    };
    if standing.as_ref() == Some(&term) {
        return Ok(RowOutcome::Unchanged);
    }
    let parent = super::parent_of(ctx, &term).await?;
    term.check(parent.as_ref())?;
    let mut transaction = ctx.table.transaction();
    let read_version = stored.map(|stored| stored.version);
    let claim = store::write_term(&mut transaction, &term, read_version, cause);
    commit(transaction, claim, Refusal::TermCodeTaken).await
}

/// Into the version in force today; a course that is new here has been so for ever.
async fn import_course(
    ctx: &Ctx,
    row: &CourseRow,
    cause: Cause<'_>,
) -> Result<RowOutcome, Failure> {
    let CourseRow { source, code, title, credits_hundredths, department, .. } = row.clone();
    let id = source.id();
    let stored = ctx.table.get(&store::course_key(id)).await?;
    let today = super::today(cause.now);
    let version = CourseVersion {
        effective_from: today,
        title,
        credits_hundredths,
        credits_max_hundredths: None,
        department: department.0,
        prerequisites: None,
        corequisites: Vec::new(),
        equivalents: Vec::new(),
        cross_listed: Vec::new(),
        attempts_max: None,
    };
    let course = match stored.as_ref().map(|stored| stored.value.clone()) {
        None => Course { id, code, retired_from: None, versions: vec![version] },
        Some(mut course) => {
            let standing = course.on(today).clone();
            course.put_version(CourseVersion {
                title: version.title,
                credits_hundredths: version.credits_hundredths,
                department: version.department,
                ..standing
            })?;
            course
        }
    };
    if stored.as_ref().is_some_and(|stored| stored.value == course) {
        return Ok(RowOutcome::Unchanged);
    }
    let mut transaction = ctx.table.transaction();
    let read_version = stored.map(|stored| stored.version);
    let claim = store::write_course(&mut transaction, &course, read_version, cause);
    commit(transaction, claim, Refusal::CourseCodeTaken).await
}

/// Offered at once. What was planned of it here beyond its hours, such as pools or a suspension, stays.
async fn import_section(
    ctx: &Ctx,
    row: &SectionRow,
    cause: Cause<'_>,
) -> Result<RowOutcome, Failure> {
    let fresh = create_section::drafted(
        row.source.id(),
        create_section::Command {
            code: row.code.clone(),
            term: row.term.id(),
            course: row.course.id(),
            state: create_section::FirstState::Offered,
            component: None,
            capacity: row.capacity,
            price_group: row.price_group.clone(),
            approval_required: row.approval_required,
            permission_required: false,
            meetings: row.meetings.clone(),
            teachers: Vec::new(),
            student_groups: Vec::new(),
            pools: Vec::new(),
            restrictions: Vec::new(),
            waitlist: WaitlistSettings::default(),
        },
    );
    fresh.check()?;
    let stored = ctx.table.get(&store::section_key(fresh.id)).await?;
    let mut section = match stored.as_ref().map(|stored| stored.value.clone()) {
        None => fresh,
        Some(standing) => Section {
            code: fresh.code,
            capacity: fresh.capacity,
            price_group: fresh.price_group,
            approval_required: fresh.approval_required,
            meetings: with_rooms(fresh.meetings, &standing.meetings),
            ..standing
        },
    };
    let before = stored.as_ref().map(|stored| &stored.value);
    let sections: Vec<&Section> = before.into_iter().chain([&section]).collect();
    let mut context = store::section_context(&ctx.table, section.term, &sections).await?;
    if stored.is_none() {
        section.course_code = context.course(section.course).code.clone();
        section.department = Code(context.course_version(section.course).department.clone());
    } else if before == Some(&section) {
        return Ok(RowOutcome::Unchanged);
    }
    context.book(&section)?;
    let mut transaction = ctx.table.transaction();
    let sections = [(&section, stored.as_ref())];
    let claim = store::write_sections(&mut transaction, &sections, &context, cause);
    commit(transaction, claim, Refusal::SectionCodeTaken).await
}

/// The other system knows no rooms: a meeting that stays keeps its own.
fn with_rooms(meetings: Vec<Meeting>, standing: &[Meeting]) -> Vec<Meeting> {
    let room = |meeting: &Meeting| {
        let same = |other: &&Meeting| Meeting { room: None, ..(*other).clone() } == *meeting;
        standing.iter().find(same).and_then(|other| other.room.clone())
    };
    let roomed = meetings.into_iter().map(|meeting| Meeting { room: room(&meeting), ..meeting });
    roomed.collect()
}

async fn commit(
    transaction: Transaction<'_>,
    claim: Option<Place>,
    code_taken: Refusal,
) -> Result<RowOutcome, Failure> {
    store::commit_new(transaction, claim, code_taken).await?;
    Ok(RowOutcome::Applied)
}

#[cfg(test)]
mod tests {
    use super::super::edit_section;
    use super::*;
    use crate::fixtures;

    fn rows() -> Vec<Row> {
        let rows = serde_json::json!([
            { "kind": "term", "row": 1, "source": "t1", "code": "2027S", "title": "Spring", "first_day": "2027-02-01",
              "last_day": "2027-06-30", "registration_opens_at": "2027-01-04T08:00:00Z",
              "registration_closes_at": "2027-02-12T22:59:59Z" },
            { "kind": "course", "row": 2, "source": "c1", "code": "MATH101", "title": "Calculus I",
              "credits_hundredths": 600, "department": "MATH" },
            { "kind": "section", "row": 3, "source": "s1", "code": "MATH101-A", "term": "t1", "course": "c1",
              "capacity": 30, "price_group": "standard", "approval_required": false, "meetings": [] },
            { "kind": "section", "row": 4, "source": "s2", "code": "MATH101-B", "term": "t1", "course": "nowhere",
              "capacity": 30, "price_group": "standard", "approval_required": false, "meetings": [] },
        ]);
        serde_json::from_value(rows).expect("rows")
    }

    #[tokio::test]
    async fn a_second_import_changes_nothing_and_one_bad_row_stops_no_other() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let refused = vec![shell::RefusedRow { row: 4, code: "COURSE_UNKNOWN".to_owned() }];
        let first = handle(&ctx, &testkit::step(Command { rows: rows() })).await.expect("imports");
        assert_eq!(first, Imported { applied: 3, unchanged: 0, refused: refused.clone() });
        let events = testkit::published(&test.table).await.len();
        let second =
            handle(&ctx, &testkit::step(Command { rows: rows() })).await.expect("imports again");
        assert_eq!(second, Imported { applied: 0, unchanged: 3, refused });
        assert_eq!(
            testkit::published(&test.table).await.len(),
            events,
            "nothing changed, nothing to tell"
        );
    }

    #[tokio::test]
    async fn rows_are_applied_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::step(Command { rows: rows() }),
            async |table, step| handle(&Ctx::new(table.clone()), step).await.map(drop),
            async |table, _| assert_eq!(testkit::published(table).await.len(), 5),
        )
        .await;
    }

    #[tokio::test]
    async fn what_was_planned_here_outlives_a_second_import() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        handle(&ctx, &testkit::step(Command { rows: rows() })).await.expect("imports");
        let edit = serde_json::json!({
            "section": SourceId("s1".into()).id::<kernel::SectionId>(),
            "teachers": [testkit::person("teacher")],
        });
        let edit = serde_json::from_value(edit).expect("a command");
        let call = fixtures::at_version(1, fixtures::registrar(edit));
        edit_section::handle(&ctx, &call).await.expect("edits");
        let mut rows = rows();
        for row in &mut rows {
            match row {
                Row::Section(section) => section.capacity = 35,
                Row::Term(term) => term.title = "Spring 2027".into(),
                Row::Course(course) => course.title = "Analysis".into(),
            }
        }
        let again = handle(&ctx, &testkit::step(Command { rows })).await.expect("imports");
        assert_eq!(again.applied, 3);
        let key = store::section_key(SourceId("s1".into()).id());
        let section = ctx.table.get(&key).await.expect("reads").expect("is there").value;
        assert_eq!((section.capacity, section.teachers.len()), (35, 1));
    }
}
