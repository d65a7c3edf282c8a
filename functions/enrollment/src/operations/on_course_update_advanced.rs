//! The next page of a course's sections: each is judged by the course's last word from now on. Those who are registered
//! stay.

use events::{CourseUpdateAdvanced, TermState};
use shell::{Delivery, Failure, Fault, run_step};
use table::PageRequest;

use super::cause_of;
use crate::Ctx;
use crate::store::{self, CourseFacts, CourseSection};

/// Sections of one page: two calls each, well within the time of one invocation.
const PAGE: u32 = 25;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: CourseUpdateAdvanced = delivery.event()?;
    let (key, facts_key) =
        (store::course_update_key(event.course), store::course_facts_key(event.course));
    let mut batch = ctx.table.get_batch(vec![(&key).into(), (&facts_key).into()]).await?;
    let missing = |what: &str| Fault::defect(format!("{} has no {what}", event.course));
    let mut stored = batch.take(&key)?.ok_or_else(|| missing("update"))?;
    let facts = batch.take(&facts_key)?.ok_or_else(|| missing("facts"))?.value;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    if stored.value.done || stored.value.step != event.step {
        return Ok(transaction.commit().await?);
    }
    let request = PageRequest { after: stored.value.after.clone(), limit: PAGE };
    let page = ctx.table.query(&store::course_sections(event.course), &request).await?;
    for section in &page.records {
        run_step(async || bring_up_to_date(ctx, &section.value, &facts).await).await?;
    }
    stored.value.advance(page.next);
    let cause = cause_of(delivery);
    store::write_course_update(&mut transaction, &stored.value, Some(stored.version), cause);
    Ok(transaction.commit().await?)
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
    use events::Event;
    use kernel::{CourseId, Id};

    use super::super::on_course_changed::{self, tests::changed, tests::known_term};
    use super::*;
    use crate::fixtures::{offer, section, told, update_courses};

    async fn offer_of_a(table: &table::Table, name: &str) {
        offer(table, name, |event| event.course.id = CourseId::derived_from("a")).await;
    }

    #[tokio::test]
    async fn a_page_follows_its_course_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                known_term(&ctx).await;
                for name in ["b", "c"] {
                    offer_of_a(table, name).await;
                }
                let course = changed(2, |version| version.title = "New".into());
                on_course_changed::handle(&ctx, &course).await.expect("taken in");
                let event = told::<CourseUpdateAdvanced>(table).await.remove(0);
                testkit::delivery("on-course-update-advanced", event)
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
    async fn a_course_with_many_sections_is_brought_up_to_date_page_by_page() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        known_term(&ctx).await;
        let names: Vec<String> = (0..60).map(|number| format!("section-{number}")).collect();
        for name in &names {
            offer_of_a(&test.table, name).await;
        }
        let new = changed(2, |version| version.title = "New".into());
        on_course_changed::handle(&ctx, &new).await.expect("taken in");
        assert_eq!(update_courses(&test.table).await, 3, "pages of 25");
        for name in &names {
            let stored = test.table.get(&store::seats_key(section(name))).await.expect("reads");
            assert_eq!(stored.expect("is there").value.course.title, "New");
        }
    }

    #[tokio::test]
    async fn a_later_word_begins_anew_and_the_earlier_page_is_of_the_past() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        known_term(&ctx).await;
        offer_of_a(&test.table, "b").await;
        for (version, title) in [(2, "New"), (3, "Newer")] {
            let word = changed(version, |version| version.title = title.into());
            on_course_changed::handle(&ctx, &word).await.expect("taken in");
        }
        let old = CourseUpdateAdvanced { step: 0, ..CourseUpdateAdvanced::example() };
        let old = CourseUpdateAdvanced { course: CourseId::derived_from("a"), ..old };
        let old = testkit::delivery("on-course-update-advanced", old);
        handle(&ctx, &old).await.expect("passed over");
        let title = async || {
            let stored = test.table.get(&store::seats_key(section("b"))).await.expect("reads");
            stored.expect("is there").value.course.title
        };
        assert_eq!(title().await, "Calculus I");
        update_courses(&test.table).await;
        assert_eq!(title().await, "Newer");
    }
}
