//! Import step: sections that a student took before Matricula, confirmed and not billed. They take a seat, as
//! they did.

use kernel::{Id, PersonId, RegistrationId, SectionId, SourceId, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Imported, RowOutcome, Step};

use crate::Ctx;
use crate::domain::{
    Entry, EntryState, History, Refusal, Registration, RegistrationState, SectionSeats,
    SectionStatus, StudentTerm, Transition, entry,
};
use crate::store;

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
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Imported, Failure> {
    shell::import_rows(&step.command.rows, |row| row.row, async |row| import(ctx, step, row).await)
        .await
}

async fn import(ctx: &Ctx, step: &Step<Command>, row: &Row) -> Result<RowOutcome, Failure> {
    let (student, section): (PersonId, SectionId) = (row.student.id(), row.section.id());
    let id = RegistrationId::derived_from(&format!("history:{student}:{section}"));
    let (seats_key, registration_key) = (store::seats_key(section), store::registration_key(id));
    let history_key = store::history_key(student);
    let keys = vec![(&seats_key).into(), (&registration_key).into(), (&history_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    if batch.take(&registration_key)?.is_some() {
        return Ok(RowOutcome::Unchanged);
    }
    // The catalog's event may still be on its way: the chunk is tried again until it is here.
    let seats = batch.take(&seats_key)?.ok_or_else(|| {
        shell::Fault::outside(
            "a section of the import is not known yet",
            format!("{section} was not offered"),
        )
    })?;
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
        return Ok(RowOutcome::Unchanged);
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
    Ok(RowOutcome::Applied)
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
    use events::{Event, SectionCancelled};
    use testkit::TestTable;

    use super::super::on_section_withdrawn;
    use super::*;
    use crate::fixtures::{offer, seats_agree, taken};

    fn rows() -> Command {
        let row = |row| Row { row, student: SourceId("u1".into()), section: SourceId("s1".into()) };
        Command { rows: vec![row(1), row(2)] }
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
