//! The next page of a rollover is copied: each section by itself, then how far it has come, with the event that brings
//! it on. A page that broke off comes again and finds its own work.

use events::RolloverAdvanced;
use shell::{Delivery, Failure, run_step};
use table::PageRequest;

use super::create_rollover;
use crate::Ctx;
use crate::domain::{self, Refusal, RolloverState, Section};
use crate::store::{self, Cause};

/// Sections of one page: two calls each, well within the time of one invocation.
const PAGE: u32 = 25;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let event: RolloverAdvanced = delivery.event()?;
    let key = store::rollover_key(event.rollover);
    let mut stored = ctx.table.get(&key).await?.ok_or(Refusal::RolloverUnknown)?;
    let rollover = &mut stored.value;
    let mut transaction = ctx.table.transaction();
    delivery.mark_seen(&mut transaction);
    // A later start, or a later page, has taken over.
    if rollover.state != RolloverState::Running || rollover.step != event.step {
        return Ok(transaction.commit().await?);
    }
    let correlation_id = &delivery.envelope.correlation_id;
    let cause = Cause { now: delivery.now, correlation_id };
    let (from, to) = create_rollover::terms(ctx, rollover.from, rollover.to).await?;
    let request = PageRequest { after: rollover.after.clone(), limit: PAGE };
    let page = ctx.table.query(&store::sections(from.id, None), &request).await?;
    let sections: Vec<Section> = page.records.into_iter().map(|stored| stored.value).collect();
    let courses = store::courses_by_id(&ctx.table, &sections).await?;
    for section in &sections {
        let course = courses.get(&section.course).ok_or(Refusal::CourseUnknown)?;
        let with_teachers = rollover.with_teachers;
        match domain::copied(section, course, &from, &to, with_teachers) {
            Err(why) => rollover.skip(section, why),
            Ok(draft) => match run_step(async || write(ctx, &draft, cause).await).await {
                Ok(()) => rollover.copied += 1,
                Err(Failure::Refused(refusal)) => rollover.skip(section, refusal.code()),
                Err(failure) => return Err(failure),
            },
        }
    }
    rollover.after = page.next;
    rollover.step += 1;
    let goes_on = rollover.after.is_some();
    if !goes_on {
        rollover.state = RolloverState::Done;
    }
    let read_version = Some(stored.version);
    store::write_rollover(&mut transaction, &stored.value, read_version, goes_on, cause);
    Ok(transaction.commit().await?)
}

/// Writes one draft, unless an earlier run of this page did.
async fn write(ctx: &Ctx, draft: &Section, cause: Cause<'_>) -> Result<(), Failure> {
    if ctx.table.get(&store::section_key(draft.id)).await?.is_some() {
        return Ok(());
    }
    let mut context = store::section_context(&ctx.table, draft.term, &[draft]).await?;
    context.book(draft)?;
    let mut transaction = ctx.table.transaction();
    let claim = store::write_sections(&mut transaction, &[(draft, None)], &context, cause);
    store::commit_new(transaction, claim, Refusal::SectionCodeTaken).await
}

#[cfg(test)]
mod tests {
    use events::Event;
    use kernel::{RolloverId, TermId};
    use table::Table;

    use super::super::{create_section, read_rollover, start_rollover};
    use super::*;
    use crate::domain::{Code, SectionState};
    use crate::fixtures::{self, ctx, registrar};

    async fn started(ctx: &Ctx, terms: (TermId, TermId)) -> RolloverId {
        let plan = registrar(create_rollover::tests::command(terms));
        let rollover = create_rollover::handle(ctx, &plan).await.expect("a plan").id;
        let start = registrar(start_rollover::Command { rollover });
        start_rollover::handle(ctx, &start).await.expect("starts");
        rollover
    }

    /// Delivers every event of the rollover that is told, as the bus would, until it is told none.
    async fn run(table: &Table) {
        const STEPS_MAX: u32 = 50;
        let mut delivered = Vec::new();
        for _ in 0..STEPS_MAX {
            let told = testkit::published(table).await.into_iter();
            let next = told
                .filter(|event| event.name == RolloverAdvanced::NAME)
                .find(|event| !delivered.contains(&event.id));
            let Some(envelope) = next else { return };
            delivered.push(envelope.id.clone());
            let consumer = "on-rollover-advanced".to_owned();
            let delivery = Delivery { envelope, consumer, now: testkit::now() };
            handle(&ctx(table), &delivery).await.expect("goes on");
        }
        panic!("the rollover does not end");
    }

    async fn drafts(table: &Table, term: TermId) -> Vec<Section> {
        let page = PageRequest { after: None, limit: 100 };
        let page = table.query(&store::sections(term, None), &page).await.expect("lists");
        page.records.into_iter().map(|stored| stored.value).collect()
    }

    #[tokio::test]
    async fn a_term_s_sections_become_drafts_of_the_next_page_by_page() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let terms = create_rollover::tests::two_terms(&ctx).await;
        let course = fixtures::course(&ctx, "MANY", "").await.id;
        for number in 0..60 {
            let command = create_section::Command {
                code: Code(format!("M-{number}")),
                term: terms.0,
                course,
                ..create_section::tests::plain()
            };
            create_section::handle(&ctx, &registrar(command)).await.expect("a section");
        }
        let rollover = started(&ctx, terms).await;
        run(&test.table).await;
        let read = registrar(read_rollover::Command { rollover });
        let done = read_rollover::handle(&ctx, &read).await.expect("reads");
        assert_eq!((done.state, done.copied, done.skipped), (RolloverState::Done, 62, 1));
        let drafts = drafts(&test.table, terms.1).await;
        assert_eq!(drafts.len(), 62);
        assert!(drafts.iter().all(|section| section.state == SectionState::Draft));
    }

    #[tokio::test]
    async fn a_second_start_and_a_late_event_copy_nothing_twice() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let terms = create_rollover::tests::two_terms(&ctx).await;
        let rollover = started(&ctx, terms).await;
        let again = registrar(start_rollover::Command { rollover });
        start_rollover::handle(&ctx, &again).await.expect("starts again");
        run(&test.table).await;
        assert_eq!(drafts(&test.table, terms.1).await.len(), 2);
        let after = registrar(start_rollover::Command { rollover });
        let after = start_rollover::handle(&ctx, &after).await;
        assert_eq!(fixtures::code(after), "ROLLOVER_DONE");
    }

    #[tokio::test]
    async fn a_page_is_copied_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let terms = create_rollover::tests::two_terms(&ctx(table)).await;
                let rollover = started(&ctx(table), terms).await;
                let event = RolloverAdvanced { rollover, step: 1 };
                (testkit::delivery("on-rollover-advanced", event), terms.1)
            },
            async |table, (delivery, _)| handle(&ctx(table), delivery).await,
            async |table, (_, to)| assert_eq!(drafts(table, *to).await.len(), 2),
        )
        .await;
    }
}
