//! Import step: sections that a student took before Matricula, confirmed and not billed. They take a seat, as
//! they did. One that has its final grade is completed by it; a grade that is posted later takes its place.

use events::GradePosted;
use kernel::{GradeScale, Id, PersonId, RegistrationId, SectionId, SourceId, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Imported, RowOutcome, Step};

use crate::domain::{
    Entry, EntryState, History, Refusal, Registration, RegistrationState, SectionSeats,
    SectionStatus, StudentTerm, Transition, entry,
};
use crate::store::{self, Cause};
use crate::{Ctx, provisional};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(max = 500))]
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub row: u64,
    pub student: SourceId,
    pub section: SourceId,
    /// Where the section is over.
    #[serde(default)]
    pub grade: Option<FinalGrade>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinalGrade {
    #[schemars(length(min = 1, max = 20))]
    pub grade: String,
    /// The grades of its scheme from the worst to the best.
    pub scale: GradeScale,
    pub passed: bool,
    /// Those of the section, where it was passed and nothing is said.
    #[schemars(range(max = 10_000))]
    pub credits_earned_hundredths: Option<u32>,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Imported, Failure> {
    shell::import_rows(&step.command.rows, |row| row.row, async |row| import(ctx, step, row).await)
        .await
}

/// The section first, then its grade: a row that broke off between them finds the section taken.
async fn import(ctx: &Ctx, step: &Step<Command>, row: &Row) -> Result<RowOutcome, Failure> {
    let (outcome, taken) = take_section(ctx, step, row).await?;
    let (Some(grade), Some(taken)) = (&row.grade, taken) else { return Ok(outcome) };
    let cause = Cause { now: step.now, correlation_id: &step.correlation_id };
    let mut transaction = ctx.table.transaction();
    let event = posted(grade, &taken, step);
    if !provisional::take_grade(ctx, &mut transaction, event, cause).await? {
        return Ok(outcome);
    }
    transaction.commit().await?;
    Ok(RowOutcome::Applied)
}

/// A section that was taken before Matricula.
struct Taken {
    registration: RegistrationId,
    student: PersonId,
    seats: SectionSeats,
}

/// As if it were posted, and before every word of it that is.
fn posted(grade: &FinalGrade, taken: &Taken, step: &Step<Command>) -> GradePosted {
    const BEFORE_ALL: u64 = 0;
    let Taken { registration, student, seats } = taken;
    let of_section = if grade.passed { seats.credits_hundredths } else { 0 };
    GradePosted {
        registration: *registration,
        grade_version: BEFORE_ALL,
        student: *student,
        section: seats.section,
        course: seats.course.id,
        course_code: seats.course.code.clone(),
        term: seats.term.id,
        grade: grade.grade.clone(),
        scale: grade.scale.clone(),
        passed: grade.passed,
        attempted: true,
        credits_earned_hundredths: grade.credits_earned_hundredths.unwrap_or(of_section),
        posted_at: step.now,
    }
}

/// What became of the section; nothing to be graded where the student is in it otherwise.
async fn take_section(
    ctx: &Ctx,
    step: &Step<Command>,
    row: &Row,
) -> Result<(RowOutcome, Option<Taken>), Failure> {
    let (student, section): (PersonId, SectionId) = (row.student.id(), row.section.id());
    let id = RegistrationId::derived_from(&format!("history:{student}:{section}"));
    let (seats_key, registration_key) = (store::seats_key(section), store::registration_key(id));
    let history_key = store::history_key(student);
    let keys = vec![(&seats_key).into(), (&registration_key).into(), (&history_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    // The catalog's event may still be on its way: the chunk is tried again until it is here.
    let seats = batch.take(&seats_key)?.ok_or_else(|| {
        shell::Fault::outside(
            "a section of the import is not known yet",
            format!("{section} was not offered"),
        )
    })?;
    let taken = |seats: &SectionSeats| {
        let seats = seats.clone();
        Some(Taken { registration: id, student, seats })
    };
    if batch.take(&registration_key)?.is_some() {
        return Ok((RowOutcome::Unchanged, taken(&seats.value)));
    }
    if seats.value.status == SectionStatus::Cancelled {
        return Err(Refusal::SectionCancelled.into());
    }
    let stored_history = batch.take(&history_key)?;
    let term_key = store::student_term_key(student, seats.value.term.id);
    let stored_term = ctx.table.get(&term_key).await?;
    let (term_version, history_version) = (
        stored_term.as_ref().map(|stored| stored.version),
        stored_history.as_ref().map(|stored| stored.version),
    );
    let mut student_term = stored_term
        .map_or_else(|| StudentTerm::empty(student, seats.value.term.id), |stored| stored.value);
    let mut history = stored_history.map_or_else(|| History::empty(student), |stored| stored.value);
    if student_term.entries.iter().any(|entry| entry.section == section) {
        return Ok((RowOutcome::Unchanged, None));
    }
    if !history.courses.contains(&seats.value.course.id) {
        history.courses.push(seats.value.course.id);
    }
    let terms = history.course_codes.entry(seats.value.course.code.clone()).or_default();
    terms.insert(seats.value.term.id);
    let registered = EntryState::Registered;
    student_term.entries.push(Entry { state: registered, ..entry(&seats.value, id) });
    let mut transaction = ctx.table.transaction();
    store::write_registration(&mut transaction, &registration(id, student, &seats.value, step));
    transaction.put(&student_term, term_version);
    transaction.put(&history, history_version);
    store::add_taken_seat(&mut transaction, &seats.value);
    transaction.commit().await?;
    Ok((RowOutcome::Applied, taken(&seats.value)))
}

fn registration(
    id: RegistrationId,
    student: PersonId,
    seats: &SectionSeats,
    step: &Step<Command>,
) -> Registration {
    let origin = id.to_string();
    Registration {
        id,
        bundle: Id::derived_from(&origin),
        submission: SubmissionId::derived_from(&origin),
        student,
        term: seats.term.id,
        term_code: seats.term.code.clone(),
        section: seats.section,
        section_code: seats.code.clone(),
        course_title: seats.course.title.clone(),
        credits_hundredths: seats.credits_hundredths,
        department: seats.department.clone(),
        drop_until: seats.term.registration_closes_at,
        state: RegistrationState::Registered,
        pool: None,
        provisional: false,
        overrides: Vec::new(),
        last_attended_on: None,
        history: vec![Transition {
            to: RegistrationState::Registered,
            at: step.now,
            by: "import".to_owned(),
            reason: None,
        }],
    }
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionCancelled, SectionOffered};
    use testkit::TestTable;

    use super::super::{on_grade_posted, on_section_withdrawn};
    use super::*;
    use crate::fixtures::{offer, registrations, seats_agree, taken};

    fn rows() -> Command {
        let (student, section) = (SourceId("u1".into()), SourceId("s1".into()));
        let row =
            |row| Row { row, student: student.clone(), section: section.clone(), grade: None };
        Command { rows: vec![row(1), row(2)] }
    }

    fn graded(grade: &str) -> Command {
        let mut command = rows();
        command.rows.truncate(1);
        command.rows[0].grade = Some(FinalGrade {
            grade: grade.into(),
            scale: GradeScale(["F", "C", "A"].map(str::to_owned).into()),
            passed: grade != "F",
            credits_earned_hundredths: None,
        });
        command
    }

    async fn state(table: &table::Table) -> RegistrationState {
        registrations(table, SourceId("u1".into()).id()).await[0].state
    }

    async fn history(table: &table::Table) -> History {
        let key = store::history_key(SourceId("u1".into()).id());
        table.get(&key).await.expect("reads").expect("is there").value
    }

    #[tokio::test]
    async fn a_final_grade_is_taken_in_with_its_section_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| offered(table).await,
            async |table, _| {
                let step = testkit::step(graded("C"));
                handle(&Ctx::new(table.clone()), &step).await.map(drop)
            },
            async |table, section| {
                assert_eq!(state(table).await, RegistrationState::Completed);
                let history = history(table).await;
                assert_eq!((history.results.len(), history.scales.len()), (1, 1));
                let result = &history.results[0];
                let credits = SectionOffered::example().credits_hundredths;
                assert_eq!((&*result.grade, result.credits_earned_hundredths), ("C", credits));
                seats_agree(table, *section, &[SourceId("u1".into()).id()]).await;
                let again = handle(&Ctx::new(table.clone()), &testkit::step(graded("A"))).await;
                let again = again.expect("imports again");
                assert_eq!((again.applied, again.unchanged), (0, 1), "the first word stands");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_grade_may_come_later_than_its_section_and_one_that_is_posted_takes_its_place() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        offered(&test.table).await;
        handle(&ctx, &testkit::step(rows())).await.expect("imports");
        assert_eq!(state(&test.table).await, RegistrationState::Registered);
        let later = handle(&ctx, &testkit::step(graded("F"))).await.expect("imports");
        assert_eq!((later.applied, later.unchanged), (1, 0));
        let failed = history(&test.table).await;
        assert_eq!(failed.completed(), [], "it was failed");
        assert_eq!(failed.results[0].credits_earned_hundredths, 0);
        let registration = failed.results[0].registration;
        let student = SourceId("u1".into()).id();
        let event = GradePosted { registration, student, ..GradePosted::example() };
        let posted = testkit::delivery("on-grade-posted", event);
        on_grade_posted::handle(&ctx, &posted).await.expect("taken in");
        let history = history(&test.table).await;
        assert_eq!((history.results.len(), &*history.results[0].grade), (1, "B"));
    }

    async fn offered(table: &table::Table) -> SectionId {
        let section: SectionId = SourceId("s1".into()).id();
        offer(table, "ignored", |event| event.section = section).await;
        section
    }

    #[tokio::test]
    async fn history_is_taken_in_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| offered(table).await,
            async |table, _| {
                handle(&Ctx::new(table.clone()), &testkit::step(rows())).await.map(drop)
            },
            async |table, section| {
                assert_eq!(taken(table, *section).await, 1);
                seats_agree(table, *section, &[SourceId("u1".into()).id()]).await;
                let again = handle(&Ctx::new(table.clone()), &testkit::step(rows()))
                    .await
                    .expect("imports again");
                assert_eq!((again.applied, again.unchanged), (0, 2));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_is_taken_into_a_cancelled_section() {
        let test = TestTable::new().await;
        let section = offered(&test.table).await;
        let ctx = Ctx::new(test.table.clone());
        let event = SectionCancelled { section, ..SectionCancelled::example() };
        let delivery = testkit::delivery("on-section-withdrawn", event);
        on_section_withdrawn::handle(&ctx, &delivery).await.expect("cancelled");
        let imported = handle(&ctx, &testkit::step(rows())).await.expect("imports the others");
        let codes: Vec<_> = imported.refused.iter().map(|row| row.code.as_str()).collect();
        assert_eq!(codes, ["SECTION_CANCELLED", "SECTION_CANCELLED"]);
        assert_eq!(taken(&test.table, section).await, 0);
    }

    #[tokio::test]
    async fn a_section_whose_event_is_still_on_its_way_is_waited_for() {
        let test = TestTable::new().await;
        let result = handle(&Ctx::new(test.table.clone()), &testkit::step(rows())).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if fault.retryable));
    }
}
