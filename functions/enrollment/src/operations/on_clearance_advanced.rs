//! The next page of a cancelled section's students: who is registered is dropped, with everything credited; who only
//! holds a seat has their bundle undone. Each by themselves: a page that broke off comes again and finds its own work.

use events::{ClearanceAdvanced, DropReason, ReleaseReason};
use shell::{Delivery, Failure, Fault, run_step};
use table::{PageRequest, Stored};

use super::cause_of;
use crate::Ctx;
use crate::domain::{Clearance, Registration, RegistrationState, SectionStatus};
use crate::store::{self, Cause, RosterEntry};

/// Students of one page: three calls each, well within the time of one invocation.
const PAGE: u32 = 25;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: ClearanceAdvanced = delivery.event()?;
    let (key, seats_key) = (store::clearance_key(event.section), store::seats_key(event.section));
    let mut batch = ctx.table.get_batch(vec![(&key).into(), (&seats_key).into()]).await?;
    let missing = |what: &str| Fault::defect(format!("{} has no {what}", event.section));
    let mut stored = batch.take(&key)?.ok_or_else(|| missing("clearance"))?;
    let seats = batch.take(&seats_key)?.ok_or_else(|| missing("seats"))?.value;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    let is_current = !stored.value.done && stored.value.step == event.step;
    // Planned anew before its term was published: whoever comes now is welcome.
    if !is_current || seats.status != SectionStatus::Cancelled {
        return Ok(transaction.commit().await?);
    }
    let cause = cause_of(delivery);
    let request = PageRequest { after: stored.value.after.clone(), limit: PAGE };
    let page = ctx.table.query(&store::roster(event.section), &request).await?;
    for entry in &page.records {
        run_step(async || take_out(ctx, &entry.value, &stored.value, cause).await).await?;
    }
    stored.value.advance(page.next);
    transaction.update(&stored);
    if !stored.value.done {
        let next = ClearanceAdvanced { section: event.section, step: stored.value.step };
        transaction.event(next, stored.version + 1, cause.now, cause.correlation_id);
    }
    Ok(transaction.commit().await?)
}

async fn take_out(
    ctx: &Ctx,
    entry: &RosterEntry,
    clearance: &Clearance,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let key = store::registration_key(entry.registration);
    let Some(registration) = ctx.table.get(&key).await? else {
        return Err(Fault::defect(format!("{} is on a roster only", entry.registration)).into());
    };
    match registration.value.state {
        RegistrationState::SeatHeld => undo(ctx, entry, cause).await,
        RegistrationState::Registered => drop_out(ctx, registration, clearance, cause).await,
        // It left the roster since the page was read.
        RegistrationState::Released
        | RegistrationState::Dropped
        | RegistrationState::Withdrawn
        | RegistrationState::Completed
        | RegistrationState::Cancelled => Ok(()),
    }
}

/// What is registered is past undoing: it is dropped with what it is linked with, and billing gives everything back.
async fn drop_out(
    ctx: &Ctx,
    registration: Stored<Registration>,
    clearance: &Clearance,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let mut departure = store::departure(&ctx.table, registration).await?;
    // What is linked and still on its way goes by its own saga.
    let is_registered = |registration: &Stored<Registration>| {
        registration.value.state == RegistrationState::Registered
    };
    departure.registrations.retain(is_registered);
    for registration in &mut departure.registrations {
        registration.value.cancel(cause.now, &clearance.by(), clearance.reason.clone());
    }
    let mut transaction = ctx.table.transaction();
    departure.write(&mut transaction, DropReason::SectionCancelled, cause);
    transaction.update(&departure.student_term);
    Ok(transaction.commit().await?)
}

async fn undo(ctx: &Ctx, entry: &RosterEntry, cause: Cause<'_>) -> Result<(), Failure> {
    let mut bundle = store::bundle(&ctx.table, entry.submission, entry.bundle).await?;
    let approvals = store::approvals(&ctx.table, &bundle.value).await?;
    let mut transaction = ctx.table.transaction();
    let reason = ReleaseReason::SectionCancelled;
    if store::undo_bundle(&mut transaction, &mut bundle, approvals, reason, cause) {
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{Enter, Event, RegistrationDropped, SagaRequested, SectionCancelled};
    use kernel::{Id, SectionId};
    use shell::Step;
    use table::Table;
    use testkit::person;

    use super::super::{
        OfBundle, confirm, on_section_withdrawn, read_submission, release_seats, submit,
    };
    use super::*;
    use crate::domain::BundleState;
    use crate::fixtures::{
        ask, bundle, by, cart, code, deliver_all, held, of_bundle, offer, registrations,
        seats_agree, section, taken, told,
    };

    async fn cancelled(table: &Table, section: SectionId) {
        let event = SectionCancelled { section, ..SectionCancelled::example() };
        let delivery = testkit::delivery("on-section-withdrawn", event);
        on_section_withdrawn::handle(&Ctx::new(table.clone()), &delivery).await.expect("taken in");
    }

    async fn clear(table: &Table) -> usize {
        let consumer = ("on-clearance-advanced", testkit::now());
        deliver_all::<ClearanceAdvanced>(table, consumer, handle).await
    }

    async fn registered(table: &Table, student: &str, section: SectionId) -> Step<OfBundle> {
        let ctx = Ctx::new(table.clone());
        let call = by(student, cart(&[section]));
        let step = of_bundle(&submit::handle(&ctx, &call).await.expect("a seat"));
        confirm::handle(&ctx, &step).await.expect("confirms");
        step
    }

    #[tokio::test]
    async fn students_are_dropped_page_by_page_with_the_reason() {
        let test = testkit::TestTable::new().await;
        let table = &test.table;
        let section = offer(table, "a", |event| event.capacity = 100).await;
        let students: Vec<String> = (0..60).map(|number| format!("student-{number}")).collect();
        for student in &students {
            registered(table, student, section).await;
        }
        cancelled(table, section).await;
        assert_eq!(clear(table).await, 3, "pages of 25");
        assert_eq!(taken(table, section).await, 0);
        let dropped: Vec<RegistrationDropped> = told(table).await;
        assert_eq!(dropped.len(), 60);
        assert!(dropped.iter().all(|event| event.reason == DropReason::SectionCancelled));
        let persons: Vec<_> = students.iter().map(|student| person(student)).collect();
        seats_agree(table, section, &persons).await;
        let registration = registrations(table, persons[0]).await.remove(0);
        assert_eq!(registration.state, RegistrationState::Cancelled);
        let last = registration.history.last().expect("it has a history");
        assert_eq!(last.reason.as_deref(), Some("Too few students."));
        assert_eq!(last.by, kernel::PersonId::derived_from("registrar").to_string());
    }

    #[tokio::test]
    async fn a_waiting_bundle_is_undone_by_an_execution_of_its_own() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let reply = held(&test.table, |event| event.approval_required = true).await;
        ask(&test.table, &reply).await;
        cancelled(&test.table, section("a")).await;
        clear(&test.table).await;
        let undoing = bundle(&test.table, &reply).await;
        let reason = Some(ReleaseReason::SectionCancelled);
        assert_eq!(
            (undoing.state, undoing.reason, undoing.attempt),
            (BundleState::Undoing, reason, 2)
        );
        let requests: Vec<SagaRequested> = told(&test.table).await;
        let request = requests.iter().find(|request| request.attempt == 2).expect("it is told");
        assert_eq!((request.enter, request.reason), (Enter::Undo, reason));
        assert_eq!(code(confirm::handle(&ctx, &of_bundle(&reply)).await), "EXECUTION_SUPERSEDED");
        let OfBundle { submission, bundle, .. } = of_bundle(&reply).command;
        let undo = testkit::step(OfBundle { submission, bundle, attempt: 2 });
        release_seats::handle(&ctx, &undo).await.expect("releases");
        seats_agree(&test.table, section("a"), &[person("ada")]).await;
    }

    #[tokio::test]
    async fn a_bundle_with_a_cancelled_section_is_not_confirmed() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let reply: read_submission::Reply = held(&test.table, |_| ()).await;
        cancelled(&test.table, section("a")).await;
        // The clearance has not come to this student yet.
        assert_eq!(code(confirm::handle(&ctx, &of_bundle(&reply)).await), "BUNDLE_UNDONE");
        let undoing = bundle(&test.table, &reply).await;
        assert_eq!(undoing.reason, Some(ReleaseReason::SectionCancelled));
        clear(&test.table).await;
        let after = bundle(&test.table, &reply).await;
        assert_eq!(after, undoing, "its own execution undoes it");
    }

    #[tokio::test]
    async fn a_page_is_cleared_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let section = offer(table, "a", |_| ()).await;
                registered(table, "ada", section).await;
                let ctx = Ctx::new(table.clone());
                submit::handle(&ctx, &by("bob", cart(&[section]))).await.expect("a seat");
                cancelled(table, section).await;
                let event = ClearanceAdvanced { section, step: 0 };
                testkit::delivery("on-clearance-advanced", event)
            },
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                assert_eq!(told::<RegistrationDropped>(table).await.len(), 1);
                let requests: Vec<SagaRequested> = told(table).await;
                let undone = requests.iter().filter(|request| request.enter == Enter::Undo);
                assert_eq!(undone.count(), 1);
                assert_eq!(taken(table, section("a")).await, 1, "until the undo gives it back");
                seats_agree(table, section("a"), &[person("ada"), person("bob")]).await;
            },
        )
        .await;
    }
}
