//! Event: a section is suspended, or cancelled. Its courses are looked at; who taught what was cancelled does so no
//! more. Students leave by the drop of their registrations.

use events::{Event, SectionCancelled, SectionSuspended};
use shell::{Delivery, Failure};
use table::Stored;

use super::on_section_offered::learn_teachers;
use super::{chosen, course_in, has_courses, mark};
use crate::Ctx;
use crate::domain::{Closed, Closure, Section};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let closure = if delivery.envelope.name == SectionCancelled::NAME {
        let SectionCancelled { section, section_version, .. } = delivery.event()?;
        Closure { section, section_version, closed: Closed::Cancelled }
    } else {
        let SectionSuspended { section, section_version, .. } = delivery.event()?;
        Closure { section, section_version, closed: Closed::Suspended }
    };
    let (section_key, closure_key) =
        (store::section_key(closure.section), store::closure_key(closure.section));
    let keys = vec![(&section_key).into(), (&closure_key).into()];
    let mut records = ctx.table.get_batch(keys).await?;
    let known: Option<Stored<Section>> = records.take(&section_key)?;
    let before: Option<Stored<Closure>> = records.take(&closure_key)?;
    if before.as_ref().is_some_and(|one| one.value.section_version >= closure.section_version) {
        return Ok(());
    }
    let sites = store::all_sites(&ctx.table).await?;
    let sites = chosen(&sites, has_courses);
    if let Some(Stored { value, version }) = &known {
        let taught = value.taught(Some(&closure));
        learn_teachers(ctx, delivery, &taught, Some(*version), &value.teachers, &sites).await?;
    }
    let mut transaction = ctx.table.transaction();
    transaction.put(&closure, before.map(|before| before.version));
    // Offered meanwhile, it has other teachers.
    transaction.check(&section_key, known.map(|known| known.version));
    delivery.mark_seen(&mut transaction);
    mark(ctx, &mut transaction, delivery, &course_in(&sites, closure.section)).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::HiddenCourses;
    use crate::fixtures::{self, World, marked};
    use crate::operations::on_section_offered;

    fn cancelled(version: u64) -> Delivery {
        let section = fixtures::section("a");
        let event =
            SectionCancelled { section, section_version: version, ..SectionCancelled::example() };
        fixtures::versioned("on-section-closed", event, version)
    }

    fn suspended(version: u64) -> Delivery {
        let section = fixtures::section("a");
        let event =
            SectionSuspended { section, section_version: version, ..SectionSuspended::example() };
        fixtures::versioned("on-section-closed", event, version)
    }

    /// Taught by ada.
    fn offered(version: u64) -> Delivery {
        let mut offered = fixtures::offered("a", version);
        let ada = testkit::person("ada").to_string();
        offered.envelope.data["teachers"] = vec![ada].into();
        offered
    }

    async fn offer(world: &World, version: u64) {
        on_section_offered::handle(&world.ctx, &offered(version)).await.expect("taken in");
    }

    /// Whether students see the course, and whether the teacher is suspended in it.
    fn stands(world: &World) -> (bool, bool) {
        let (courses, enrolments) = (world.site.courses(), world.site.enrolments());
        (courses[0]["visible"] == 1, enrolments[0]["suspended"] == true)
    }

    #[tokio::test]
    async fn a_cancelled_course_is_hidden_and_left_by_its_teacher_until_it_is_offered_again() {
        let world = World::start().await;
        fixtures::deliver_person(&world.ctx, "ada").await;
        offer(&world, 1).await;
        world.run().await;
        assert_eq!(stands(&world), (true, false));
        handle(&world.ctx, &suspended(2)).await.expect("taken in");
        world.run_after(100).await;
        assert_eq!(stands(&world), (true, false), "whoever is in it stays");
        handle(&world.ctx, &cancelled(3)).await.expect("taken in");
        world.run_after(200).await;
        assert_eq!(stands(&world), (false, true));
        offer(&world, 4).await;
        world.run_after(300).await;
        assert_eq!(stands(&world), (true, false));
        world.change_settings(|settings| settings.hidden_courses = HiddenCourses::None).await;
        handle(&world.ctx, &cancelled(5)).await.expect("taken in");
        world.run_after(400).await;
        assert_eq!(stands(&world), (true, true), "the site wants it seen");
    }

    #[tokio::test]
    async fn a_section_that_is_cancelled_before_it_has_a_course_has_none_in_whatever_order_it_is_told()
     {
        for reversed in [false, true] {
            let world = World::start().await;
            fixtures::deliver_person(&world.ctx, "ada").await;
            if !reversed {
                offer(&world, 1).await;
            }
            handle(&world.ctx, &cancelled(2)).await.expect("taken in");
            if reversed {
                offer(&world, 1).await;
            }
            for seconds in [0, 100] {
                world.run_after(seconds).await;
            }
            assert_eq!(world.site.courses().len(), 0, "{reversed}");
            assert_eq!(world.site.enrolments().len(), 0, "{reversed}");
        }
    }

    #[tokio::test]
    async fn a_cancelled_section_marks_its_course_and_its_teacher_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                on_section_offered::handle(&ctx, &offered(1)).await.expect("taken in");
            },
            async |table, ()| handle(&fixtures::ctx(table), &cancelled(2)).await,
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                let (section, ada) = (fixtures::section("a"), testkit::person("ada"));
                let key = store::registrations_key(section, ada);
                let known = table.get(&key).await.expect("reads").expect("is there").value;
                assert!(!known.teaches);
                assert_eq!(marked(&ctx, "academics").await.len(), 3, "and the enrolment");
                handle(&ctx, &suspended(1)).await.expect("late news");
                let closure = table.get(&store::closure_key(section)).await.expect("reads");
                assert_eq!(closure.map(|one| one.value.closed), Some(Closed::Cancelled));
            },
        )
        .await;
    }
}
