//! The catalog offers a section, or offers it otherwise than before: registration keeps its own picture of it. What the
//! course itself has said goes before what its section says of it.

use events::SectionOffered;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::domain::SectionSeats;
use crate::store::{self, CourseSection};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: SectionOffered = delivery.event()?;
    let seats_key = store::seats_key(event.section);
    let course_key = store::course_facts_key(event.course.id);
    let term_key = store::term_facts_key(event.term.id);
    let keys = vec![(&seats_key).into(), (&course_key).into(), (&term_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    let standing = batch.take(&seats_key)?;
    let course = batch.take(&course_key)?;
    let first_day = batch.take(&term_key)?.map(|term| term.value.first_day);
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    let outdated =
        standing.as_ref().is_some_and(|seats| seats.value.section_version >= event.section_version);
    if !outdated {
        let taken = standing.as_ref().map_or(0, |seats| seats.value.taken);
        let pointer =
            CourseSection { course: event.course.id, section: event.section, term: event.term.id };
        let mut seats = SectionSeats::offered(event, taken);
        let in_force = course.as_ref().zip(first_day).and_then(|(course, day)| {
            course.value.on(day).map(|version| (version, course.value.course_version))
        });
        if let Some((version, course_version)) = in_force {
            seats.follow_course(version, course_version);
        }
        transaction.put(&seats, standing.map(|seats| seats.version));
        transaction.overwrite(&pointer);
        // A word of the course that comes meanwhile would find the section not yet there, and pass it over.
        transaction.check(&course_key, course.map(|course| course.version));
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::*;

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
}
