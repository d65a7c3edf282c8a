//! Import step: terms, courses and sections from another system, row by row. A row that is there already changes
//! nothing; each row is written whole or not at all.

use kernel::{Date, Meeting, SourceId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Imported, RowOutcome, Step};
use table::Record;

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
    let TermRow {
        source,
        code,
        title,
        first_day,
        last_day,
        registration_opens_at,
        registration_closes_at,
        ..
    } = row.clone();
    let id = source.id();
    let term = Term {
        id,
        code,
        title,
        first_day,
        last_day,
        registration_opens_at,
        registration_closes_at,
    };
    term.check()?;
    let Some(read_version) = changed(ctx, &term).await? else { return Ok(RowOutcome::Unchanged) };
    let mut transaction = ctx.table.transaction();
    store::write_term(&mut transaction, &term, read_version, cause);
    commit(transaction, read_version, Refusal::TermCodeTaken).await
}

async fn import_course(
    ctx: &Ctx,
    row: &CourseRow,
    cause: Cause<'_>,
) -> Result<RowOutcome, Failure> {
    let CourseRow { source, code, title, credits_hundredths, department, .. } = row.clone();
    let course = Course {
        id: source.id(),
        code,
        title,
        credits_hundredths,
        department,
        corequisites: Vec::new(),
    };
    let Some(read_version) = changed(ctx, &course).await? else { return Ok(RowOutcome::Unchanged) };
    let mut transaction = ctx.table.transaction();
    store::write_course(&mut transaction, &course, read_version, cause);
    commit(transaction, read_version, Refusal::CourseCodeTaken).await
}

async fn import_section(
    ctx: &Ctx,
    row: &SectionRow,
    cause: Cause<'_>,
) -> Result<RowOutcome, Failure> {
    let SectionRow { source, code, capacity, price_group, approval_required, meetings, .. } =
        row.clone();
    let (term, course) = (row.term.id(), row.course.id());
    let context = store::section_context(&ctx.table, term, course).await?;
    let course_code = context.course.value.code.clone();
    let id = source.id();
    let section = Section {
        id,
        code,
        term,
        course,
        course_code,
        capacity,
        price_group,
        approval_required,
        meetings,
    };
    section.check()?;
    let Some(read_version) = changed(ctx, &section).await? else {
        return Ok(RowOutcome::Unchanged);
    };
    let mut transaction = ctx.table.transaction();
    store::write_section(&mut transaction, &section, &context, read_version, cause);
    commit(transaction, read_version, Refusal::SectionCodeTaken).await
}

/// The version to write over, or none where the record stands already as it is to be.
async fn changed<R: Record + PartialEq>(
    ctx: &Ctx,
    record: &R,
) -> Result<Option<Option<u64>>, Failure> {
    let stored = ctx.table.get(&record.key()).await?;
    Ok(match stored {
        Some(stored) if stored.value == *record => None,
        stored => Some(stored.map(|stored| stored.version)),
    })
}

async fn commit(
    transaction: table::Transaction<'_>,
    read_version: Option<u64>,
    code_taken: Refusal,
) -> Result<RowOutcome, Failure> {
    if read_version.is_none() {
        store::commit_new(transaction, code_taken).await?;
    } else {
        transaction.commit().await?;
    }
    Ok(RowOutcome::Applied)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let ctx = Ctx { table: test.table.clone() };
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
            async |table, step| handle(&Ctx { table: table.clone() }, step).await.map(drop),
            async |table, _| assert_eq!(testkit::published(table).await.len(), 3),
        )
        .await;
    }
}
