//! The catalog says what a course now is: its sections are judged by it from now on. Those who are registered stay.

use events::{CourseChanged, TermState};
use shell::{Delivery, Failure, Fault, run_step};
use table::PageRequest;

use crate::Ctx;
use crate::store::{self, CourseFacts, CourseSection};

/// Pages of 100 sections of one course, in all terms.
const PAGES_MAX: u32 = 50;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let facts = CourseFacts::from(delivery.event::<CourseChanged>()?);
    if take_in(ctx, &facts).await? {
        let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
        for _ in 0..PAGES_MAX {
            let found = ctx.table.query(&store::course_sections(facts.course), &page).await?;
            for stored in &found.records {
                run_step(async || bring_up_to_date(ctx, &stored.value, &facts).await).await?;
            }
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        if page.after.is_some() {
            return Err(Fault::defect(format!("{} has too many sections", facts.course)).into());
        }
    }
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    Ok(transaction.commit().await?)
}

/// The course first: a section that is offered while its sisters are brought up to date is offered by it. `false` where
/// a later word has come before: whoever brought it sees to the sections.
async fn take_in(ctx: &Ctx, facts: &CourseFacts) -> Result<bool, Failure> {
    let standing = ctx.table.get(&store::course_facts_key(facts.course)).await?;
    let known = standing.as_ref().map(|standing| standing.value.course_version).unwrap_or_default();
    if known < facts.course_version {
        let mut transaction = ctx.table.transaction();
        transaction.put(facts, standing.map(|standing| standing.version));
        transaction.commit().await?;
    }
    Ok(known <= facts.course_version)
}

/// A section that knows a later word keeps it, and one of a closed term stays as it was.
async fn bring_up_to_date(
    ctx: &Ctx,
    section: &CourseSection,
    facts: &CourseFacts,
) -> Result<(), Failure> {
    let (seats_key, term_key) =
        (store::seats_key(section.section), store::term_facts_key(section.term));
    let mut batch = ctx.table.get_batch(vec![(&seats_key).into(), (&term_key).into()]).await?;
    let lacking =
        |what: &str| Fault::outside("a course's section is not known yet", what.to_owned());
    let mut seats = batch.take(&seats_key)?.ok_or_else(|| lacking("its seats"))?;
    let term = batch.take(&term_key)?.ok_or_else(|| lacking("its term"))?.value;
    if seats.value.course_version >= facts.course_version || term.state == TermState::Closed {
        return Ok(());
    }
    if let Some(version) = facts.on(term.first_day) {
        seats.value.follow_course(version, facts.course_version);
        let mut transaction = ctx.table.transaction();
        transaction.update(&seats);
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{Event, TermChanged};
    use kernel::{CourseId, Id, SectionId};

    use super::super::{on_section_offered, on_term_changed, submit};
    use super::*;
    use crate::domain::SectionSeats;
    use crate::fixtures::{by, cart, code, offer, section};

    /// The course of the section "a", with another title and requirement from the 1st of January 2027 on.
    fn changed(course_version: u64, change: impl FnOnce(&mut events::CourseVersion)) -> Delivery {
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

    async fn known_term(ctx: &Ctx) {
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
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "PREREQ_NOT_MET");
        // Late: it was overtaken.
        handle(&ctx, &changed(1, |version| version.title = "Old".into()))
            .await
            .expect("passed over");
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
        let early = handle(&ctx, &delivery).await;
        assert!(matches!(early, Err(Failure::Fault(fault)) if fault.retryable));
        known_term(&ctx).await;
        handle(&ctx, &delivery).await.expect("now it is known");
        assert_eq!(seats(&ctx, section).await.course.title, "New");
    }

    #[tokio::test]
    async fn all_sections_follow_their_course_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                known_term(&Ctx::new(table.clone())).await;
                for name in ["b", "c"] {
                    let of_a = |event: &mut events::SectionOffered| {
                        event.course.id = CourseId::derived_from("a");
                    };
                    offer(table, name, of_a).await;
                }
                changed(2, |version| version.title = "New".into())
            },
            async |table, delivery| handle(&Ctx::new(table.clone()), delivery).await,
            async |table, _| {
                for name in ["b", "c"] {
                    let stored = table.get(&store::seats_key(section(name))).await.expect("reads");
                    let stored = stored.expect("is there");
                    assert_eq!((stored.version, stored.value.course.title.as_str()), (2, "New"));
                }
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
