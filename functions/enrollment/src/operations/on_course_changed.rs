//! The catalog says what a course now is: its sections are brought up to date, page by page. Those who are registered
//! stay.

use events::CourseChanged;
use shell::{Delivery, Failure};

use super::cause_of;
use crate::Ctx;
use crate::store::{self, CourseFacts};

/// The course first: a section that is offered while its sisters are brought up to date is offered by it.
pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let facts = CourseFacts::from(delivery.event::<CourseChanged>()?);
    let facts_key = store::course_facts_key(facts.course);
    let update_key = store::course_update_key(facts.course);
    let mut batch = ctx.table.get_batch(vec![(&facts_key).into(), (&update_key).into()]).await?;
    let standing = batch.take(&facts_key)?;
    let update = batch.take(&update_key)?;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    let known = standing.as_ref().map(|standing| standing.value.course_version).unwrap_or_default();
    if known < facts.course_version {
        transaction.put(&facts, standing.map(|standing| standing.version));
        let cause = cause_of(delivery);
        store::begin_course_update(&mut transaction, facts.course, update.as_ref(), cause);
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
pub mod tests {
    use events::{CourseUpdateAdvanced, Event, TermChanged};
    use kernel::{CourseId, Id, SectionId};

    use super::super::{on_course_update_advanced, on_section_offered, on_term_changed, submit};
    use super::*;
    use crate::domain::SectionSeats;
    use crate::fixtures::{by, cart, code, offer, told, update_courses};

    /// The course of the section "a", with another title and requirement from the 1st of January 2027 on.
    pub fn changed(
        course_version: u64,
        change: impl FnOnce(&mut events::CourseVersion),
    ) -> Delivery {
        let mut event = CourseChanged { course_version, ..CourseChanged::example() };
        event.course = CourseId::derived_from("a");
        event.versions[0].prerequisites = None;
        let mut next = event.versions[0].clone();
        next.effective_from = "2027-01-01".parse().expect("a date");
        change(&mut next);
        event.versions.push(next);
        let mut delivery = testkit::delivery("on-course-changed", event);
        delivery.envelope.id = format!("course-{course_version}");
        delivery
    }

    pub async fn known_term(ctx: &Ctx) {
        let mut term = TermChanged::example();
        term.windows.clear();
        let delivery = testkit::delivery("on-term-changed", term);
        on_term_changed::handle(ctx, &delivery).await.expect("the term is known");
    }

    async fn seats(ctx: &Ctx, section: SectionId) -> SectionSeats {
        ctx.table.get(&store::seats_key(section)).await.expect("reads").expect("is there").value
    }

    #[tokio::test]
    async fn an_edited_requirement_reaches_registration_and_nobody_loses_a_seat() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        known_term(&ctx).await;
        let section = offer(&test.table, "a", |_| ()).await;
        submit::handle(&ctx, &by("bob", cart(&[section]))).await.expect("a seat");
        let stricter = changed(2, |version| {
            version.title = "Analysis".into();
            version.credits_hundredths = 900;
            version.prerequisites = Some("course(BASE)".parse().expect("a requirement"));
        });
        handle(&ctx, &stricter).await.expect("taken in");
        update_courses(&test.table).await;
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "PREREQ_NOT_MET");
        // Late: it was overtaken.
        handle(&ctx, &changed(1, |version| version.title = "Old".into()))
            .await
            .expect("passed over");
        update_courses(&test.table).await;
        let seats = seats(&ctx, section).await;
        assert_eq!((seats.course.title.as_str(), seats.credits_hundredths), ("Analysis", 900));
        assert_eq!(seats.taken, 1);
    }

    #[tokio::test]
    async fn the_version_of_the_term_s_first_day_counts() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        known_term(&ctx).await;
        let section = offer(&test.table, "a", |_| ()).await;
        let next_year = changed(2, |version| {
            version.effective_from = "2028-01-01".parse().expect("a date");
            version.title = "Next year's".into();
        });
        handle(&ctx, &next_year).await.expect("taken in");
        update_courses(&test.table).await;
        assert_eq!(seats(&ctx, section).await.course.title, "Calculus I");
    }

    #[tokio::test]
    async fn a_section_s_older_picture_of_its_course_does_not_undo_a_newer_one() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        known_term(&ctx).await;
        handle(&ctx, &changed(2, |version| version.title = "New".into())).await.expect("taken in");
        let section = offer(&test.table, "a", |_| ()).await;
        assert_eq!(seats(&ctx, section).await.course.title, "New", "offered with the old title");
    }

    #[tokio::test]
    async fn a_course_whose_term_is_still_on_its_way_comes_again() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let delivery = changed(2, |version| version.title = "New".into());
        handle(&ctx, &delivery).await.expect("taken in");
        let event = told::<CourseUpdateAdvanced>(&test.table).await.remove(0);
        let update = testkit::delivery("on-course-update-advanced", event);
        let early = on_course_update_advanced::handle(&ctx, &update).await;
        assert!(matches!(early, Err(Failure::Fault(fault)) if fault.retryable));
        known_term(&ctx).await;
        on_course_update_advanced::handle(&ctx, &update).await.expect("now it is known");
        assert_eq!(seats(&ctx, section).await.course.title, "New");
    }

    #[tokio::test]
    async fn a_section_offered_while_its_term_is_unknown_gets_the_newest_word_in_the_end() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        handle(&ctx, &changed(2, |version| version.title = "New".into())).await.expect("taken in");
        update_courses(&test.table).await;
        let section = offer(&test.table, "a", |_| ()).await;
        assert_eq!(seats(&ctx, section).await.course.title, "Calculus I", "by its own word");
        known_term(&ctx).await;
        update_courses(&test.table).await;
        assert_eq!(seats(&ctx, section).await.course.title, "New");
    }

    #[tokio::test]
    async fn a_course_is_taken_in_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| changed(2, |version| version.title = "New".into()),
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                let key = store::course_facts_key(CourseId::derived_from("a"));
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 1);
                assert_eq!(told::<CourseUpdateAdvanced>(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_section_offered_again_keeps_to_the_newest_word_of_its_course() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        known_term(&ctx).await;
        let section = offer(&test.table, "a", |_| ()).await;
        handle(&ctx, &changed(2, |version| version.title = "New".into())).await.expect("taken in");
        let mut event = events::SectionOffered { section, ..Event::example() };
        (event.section_version, event.course.id) = (2, CourseId::derived_from("a"));
        let mut delivery = testkit::delivery("on-section-offered", event);
        delivery.envelope.id = "again".into();
        on_section_offered::handle(&ctx, &delivery).await.expect("taken in");
        assert_eq!(seats(&ctx, section).await.course.title, "New");
    }
}
