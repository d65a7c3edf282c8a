//! The catalog offers a section, or offers it otherwise than before: registration keeps its own picture of it. What the
//! course itself has said goes before what its section says of it.

use events::{SeatFreed, SectionOffered};
use kernel::{CrossListId, Date};
use shell::{Delivery, Failure};
use table::Transaction;

use super::cause_of;
use crate::Ctx;
use crate::domain::{SectionSeats, SharedSeats};
use crate::store::{self, Cause, CourseSection, LookAgain, TermSection};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: SectionOffered = delivery.event()?;
    let seats_key = store::seats_key(event.section);
    let course_key = store::course_facts_key(event.course.id);
    let (term_key, update_key) =
        (store::term_facts_key(event.term.id), store::course_update_key(event.course.id));
    let mut keys = vec![(&seats_key).into(), (&course_key).into()];
    let look_key = store::look_again_key(event.section);
    keys.extend([(&term_key).into(), (&update_key).into(), (&look_key).into()]);
    let mut batch = ctx.table.get_batch(keys).await?;
    let standing = batch.take(&seats_key)?;
    let course = batch.take(&course_key)?;
    let update = batch.take(&update_key)?;
    let look = batch.take(&look_key)?.map(|look| look.version);
    let first_day = batch.take(&term_key)?.map(|term| term.value.first_day);
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    let outdated =
        standing.as_ref().is_some_and(|seats| seats.value.section_version >= event.section_version);
    if !outdated {
        let pointer =
            CourseSection { course: event.course.id, section: event.section, term: event.term.id };
        let before = standing.as_ref().map(|standing| &standing.value);
        let mut seats = SectionSeats::offered(event, before);
        let in_force = course.as_ref().zip(first_day).and_then(|(course, day)| {
            course.value.on(day).map(|version| (version, course.value.course_version))
        });
        if let Some((version, course_version)) = in_force {
            seats.follow_course(version, course_version);
        }
        if course.is_some() && first_day.is_none() {
            // Which version of the course counts follows from the term, which is still on its way.
            let (course, cause) = (pointer.course, cause_of(delivery));
            store::begin_course_update(&mut transaction, course, update.as_ref(), cause);
        }
        let waiting =
            share_seats(ctx, &mut transaction, (&seats, before), cause_of(delivery)).await?;
        let today = ctx.date(delivery.now);
        look_after_line(&mut transaction, &seats, (today, look));
        // Who joins at this moment finds the section changed, and is judged anew.
        if waiting > 0 {
            let freed_by = format!("version {}", seats.section_version);
            let told = (seats.section_version, cause_of(delivery));
            store::tell_free_seat(&mut transaction, &seats, freed_by, told);
        }
        transaction.put(&seats, standing.map(|seats| seats.version));
        transaction.overwrite(&TermSection { term: pointer.term, section: pointer.section });
        transaction.overwrite(&pointer);
        // A word of the course that comes meanwhile would find the section not yet there, and pass it over.
        transaction.check(&course_key, course.map(|course| course.version));
    }
    Ok(transaction.commit().await?)
}

/// The days of the list may be others.
fn look_after_line(
    transaction: &mut Transaction<'_>,
    seats: &SectionSeats,
    (today, look): (Date, Option<u64>),
) {
    if !seats.may_have_line() {
        return;
    }
    let over = (!seats.has_waitlist(today)).then_some(today);
    if let Some(due_on) = over.or_else(|| seats.next_look(today)) {
        transaction.put(&LookAgain { section: seats.section, due_on }, look);
    }
}

/// What is taken in the section counts on the cross-list that it comes to, and no longer on the one that it leaves.
/// Answers how many stand in the line that it now has.
async fn share_seats(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    (seats, before): (&SectionSeats, Option<&SectionSeats>),
    cause: Cause<'_>,
) -> Result<i64, Failure> {
    let was = before.and_then(|before| before.cross_listing).map(|listing| listing.cross_list);
    let is = seats.cross_listing.map(|listing| listing.cross_list);
    if let Some(left) = was.filter(|_| was != is) {
        leave_shared(ctx, transaction, (seats, left), cause).await?;
    }
    let Some(listing) = seats.cross_listing else { return Ok(seats.line.waiting) };
    let stored = ctx.table.get(&store::shared_seats_key(listing.cross_list)).await?;
    let version = stored.as_ref().map(|stored| stored.version);
    let shared = stored.map(|stored| stored.value);
    let mut shared = shared.unwrap_or_else(|| SharedSeats::empty(listing.cross_list));
    shared.capacity = i64::from(listing.capacity);
    shared.line = shared.line.with_all_seats_its_own();
    shared.sections.insert(seats.section);
    if was != is {
        shared.taken += seats.taken;
        shared.line.waiting += seats.line.waiting;
        shared.line.last_position = shared.line.last_position.max(seats.line.last_position);
    }
    transaction.put(&shared, version);
    Ok(shared.line.waiting)
}

async fn leave_shared(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    (seats, left): (&SectionSeats, CrossListId),
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let stored = ctx.table.get(&store::shared_seats_key(left)).await?;
    let Some(mut shared) = stored else { return Ok(()) };
    shared.value.taken -= seats.taken;
    shared.value.line.waiting -= seats.line.waiting;
    shared.value.line = shared.value.line.with_all_seats_its_own();
    shared.value.sections.remove(&seats.section);
    transaction.update(&shared);
    // The seats that left with it may have been what kept who waits from theirs.
    let first = shared.value.sections.first().filter(|_| shared.value.line.waiting > 0);
    if let Some(section) = first {
        let version = shared.version + 1;
        let freed_by = format!("{left}, version {version}");
        let event = SeatFreed { section: *section, freed_by, step: 0, after: None };
        transaction.event(event, version, cause.now, cause.correlation_id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::Event;
    use kernel::Id;

    use super::super::{
        OfBundle, begin_undo, confirm, drop_registration, release_seats, set_student_record, submit,
    };
    use super::*;
    use crate::domain::StudentRecord;
    use crate::fixtures::{by, cart, code, of_bundle, offer, offer_again, seats_agree};

    fn offered(version: u64, capacity: u32) -> SectionOffered {
        SectionOffered { section_version: version, capacity, ..SectionOffered::example() }
    }

    #[tokio::test]
    async fn a_late_event_does_not_undo_a_newer_one() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let deliver = async |version, capacity, id: &str| {
            let mut delivery = testkit::delivery("on-section-offered", offered(version, capacity));
            delivery.envelope.id = id.to_owned();
            handle(&ctx, &delivery).await
        };
        deliver(2, 20, "second").await.expect("taken in");
        deliver(1, 10, "first, late").await.expect("passed over");
        assert!(matches!(deliver(2, 20, "second").await, Err(Failure::DoneBefore)), "a duplicate");
        let key = store::seats_key(SectionOffered::example().section);
        let seats = test.table.get(&key).await.expect("reads").expect("is there");
        assert_eq!(seats.value.capacity, 20);
    }

    #[tokio::test]
    async fn a_section_is_taken_in_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::delivery("on-section-offered", offered(1, 30)),
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                let key = store::seats_key(SectionOffered::example().section);
                let seats = table.get(&key).await.expect("reads").expect("is there");
                assert_eq!((seats.version, seats.value.taken), (1, 0));
            },
        )
        .await;
    }

    fn keeps(seats: u32) -> impl FnOnce(&mut SectionOffered) {
        move |event| {
            event.capacity = 2;
            event.pools = vec![kernel::SeatPool {
                population: "program(CS)".parse().expect("a requirement"),
                seats,
                priority: 1,
                until: Some("2027-01-20".parse().expect("a date")),
            }];
        }
    }

    async fn computer_scientist(ctx: &Ctx, student: &str) {
        let programs = ["CS".to_owned()].into();
        let record = StudentRecord { programs, ..StudentRecord::default() };
        let command = set_student_record::Command { student: testkit::person(student), record };
        set_student_record::handle(ctx, &testkit::call(command)).await.expect("set");
    }

    #[tokio::test]
    async fn seats_that_are_kept_go_to_their_population_until_their_day() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", keeps(1)).await;
        computer_scientist(&ctx, "cyd").await;
        let submit =
            async |student: &str| submit::handle(&ctx, &by(student, cart(&[section]))).await;
        submit("ada").await.expect("the general seat");
        assert_eq!(code(submit("bob").await), "RESERVED_CLOSED");
        let kept = submit("cyd").await.expect("the seat that is kept");
        assert_eq!(code(submit("bob").await), "CLOSED");
        let students = ["ada", "bob", "cyd"].map(testkit::person);
        seats_agree(&test.table, section, &students).await;
        // Given back, it is the population's again, and everybody's after the day.
        let undo = of_bundle(&kept);
        let OfBundle { submission, bundle, attempt } = undo.command;
        let reason = events::ReleaseReason::PaymentTimedOut;
        let begin = begin_undo::Command { submission, bundle, attempt, reason };
        begin_undo::handle(&ctx, &testkit::step(begin)).await.expect("begins");
        release_seats::handle(&ctx, &undo).await.expect("released");
        seats_agree(&test.table, section, &students).await;
        assert_eq!(code(submit("bob").await), "RESERVED_CLOSED");
        let now = "2027-01-21T00:00:00Z".parse().expect("a timestamp");
        let later = shell::Call { now, ..by("bob", cart(&[section])) };
        submit::handle(&ctx, &later).await.expect("unfilled seats return to all");
        seats_agree(&test.table, section, &students).await;
    }

    #[tokio::test]
    async fn a_pool_that_is_taken_away_keeps_whom_it_has() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", keeps(1)).await;
        computer_scientist(&ctx, "cyd").await;
        let held = submit::handle(&ctx, &by("cyd", cart(&[section]))).await.expect("a kept seat");
        offer_again(&test.table, "a", 2, |event| event.capacity = 2).await;
        submit::handle(&ctx, &cart(&[section])).await.expect("the other seat is everybody's");
        let full = submit::handle(&ctx, &by("bob", cart(&[section]))).await;
        assert_eq!(code(full), "CLOSED");
        let step = of_bundle(&held);
        confirm::handle(&ctx, &step).await.expect("confirms");
        let registration = held.bundles[0].registrations[0].registration;
        let drop = by("cyd", testkit::call(drop_registration::Command { registration }));
        drop_registration::handle(&ctx, &drop).await.expect("dropped");
        seats_agree(&test.table, section, &["ada", "cyd"].map(testkit::person)).await;
    }

    fn listed(capacity: u32) -> impl FnOnce(&mut SectionOffered) {
        let cross_list = kernel::CrossListId::derived_from("x");
        move |event| event.cross_listing = Some(events::CrossListing { cross_list, capacity })
    }

    async fn shared(table: &table::Table) -> (i64, i64) {
        let key = store::shared_seats_key(kernel::CrossListId::derived_from("x"));
        let shared = table.get(&key).await.expect("reads").expect("is there").value;
        (shared.taken, shared.capacity)
    }

    #[tokio::test]
    async fn a_seat_in_any_section_of_a_cross_list_counts_against_them_all() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (a, b) =
            (offer(&test.table, "a", listed(2)).await, offer(&test.table, "b", listed(2)).await);
        let submit = async |student: &str, section| {
            submit::handle(&ctx, &by(student, cart(&[section]))).await
        };
        submit("ada", a).await.expect("a seat");
        assert_eq!(code(submit("ada", b).await), "DUPLICATE_COURSE", "they are one class");
        submit("bob", b).await.expect("the last seat");
        assert_eq!(code(submit("cyd", a).await), "CLOSED");
        assert_eq!(shared(&test.table).await, (2, 2));
        offer_again(&test.table, "a", 2, listed(3)).await;
        submit("cyd", a).await.expect("one seat more");
        assert_eq!(shared(&test.table).await, (3, 3));
    }

    #[tokio::test]
    async fn a_section_takes_its_seats_with_it_to_a_cross_list_and_from_it() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let held = submit::handle(&ctx, &cart(&[section])).await.expect("a seat");
        offer_again(&test.table, "a", 2, listed(5)).await;
        assert_eq!(shared(&test.table).await, (1, 5));
        confirm::handle(&ctx, &of_bundle(&held)).await.expect("confirms");
        let registration = held.bundles[0].registrations[0].registration;
        let drop = testkit::call(drop_registration::Command { registration });
        drop_registration::handle(&ctx, &drop).await.expect("dropped");
        assert_eq!(shared(&test.table).await, (0, 5));
        submit::handle(&ctx, &by("bob", cart(&[section]))).await.expect("a seat");
        offer_again(&test.table, "a", 3, |_| ()).await;
        assert_eq!(shared(&test.table).await, (0, 5));
    }

    #[tokio::test]
    async fn many_contend_for_the_last_shared_seat_and_one_gets_it() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let sections =
            [offer(&test.table, "a", listed(1)).await, offer(&test.table, "b", listed(1)).await];
        let contend = async |student: &str, section| {
            let call = by(student, cart(&[section]));
            shell::run_step(async || submit::handle(&ctx, &call).await.map(drop)).await
        };
        let (ada, bob) = tokio::join!(contend("ada", sections[0]), contend("bob", sections[1]));
        assert_eq!(u8::from(ada.is_ok()) + u8::from(bob.is_ok()), 1);
        assert_eq!(code(if ada.is_ok() { bob } else { ada }), "CLOSED");
        assert_eq!(shared(&test.table).await, (1, 1));
    }
}
