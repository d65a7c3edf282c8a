//! Schedule: after the census date of a term each student is counted as they are found, section by section, once. What
//! does not fit into one run is gone on with in the next.

use std::collections::BTreeSet;
use std::time::Duration;

use kernel::{PersonId, SectionId, TermId};
use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, Stored};

use crate::Ctx;
use crate::domain::{Census, CensusEntry};
use crate::store::{self, RosterEntry};

/// Terms of which one run takes the census.
const CENSUSES_MAX: u32 = 10;
/// Sections after which it is noted how far the census has come.
const SECTIONS_PER_PAGE: u32 = 20;
/// Pages of sections, and of a section's roster, that one run goes through at most.
const PAGES_MAX: u32 = 500;
/// Students who are counted in one transaction.
const COUNTED_AT_ONCE: usize = 40;
/// What a page may take.
const TIME_LEFT_MIN: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub counted: usize,
    pub taken: usize,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let page = PageRequest { after: None, limit: CENSUSES_MAX };
    for census in ctx.table.query(&store::due_censuses(), &page).await?.records {
        // The day itself still counts.
        if ctx.date(tick.now) <= census.value.census_on {
            break;
        }
        take(ctx, tick, census.value.term, &mut reply).await?;
    }
    Ok(reply)
}

async fn take(ctx: &Ctx, tick: &Tick, term: TermId, reply: &mut Reply) -> Result<(), Failure> {
    for _ in 0..PAGES_MAX {
        let Some(census) = ctx.table.get(&store::census_key(term)).await? else { return Ok(()) };
        if census.value.taken_at.is_some() || table::deadline::left() < TIME_LEFT_MIN {
            return Ok(());
        }
        let request = PageRequest { after: census.value.after.clone(), limit: SECTIONS_PER_PAGE };
        let page = ctx.table.query(&store::term_sections(term), &request).await?;
        for section in &page.records {
            reply.counted += count(ctx, tick, term, section.value.section).await?;
        }
        let next = Census {
            taken_at: page.next.is_none().then_some(tick.now),
            after: page.next,
            ..census.value
        };
        reply.taken += usize::from(next.taken_at.is_some());
        let mut transaction = ctx.table.transaction();
        transaction.update(&Stored { value: next, version: census.version });
        transaction.commit().await?;
    }
    Ok(())
}

async fn count(ctx: &Ctx, tick: &Tick, term: TermId, section: SectionId) -> Result<usize, Failure> {
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let mut counted = 0;
    for _ in 0..PAGES_MAX {
        let found = ctx.table.query(&store::roster(section), &page).await?;
        let students: Vec<PersonId> =
            found.records.iter().map(|stored: &Stored<RosterEntry>| stored.value.student).collect();
        for students in students.chunks(COUNTED_AT_ONCE) {
            counted += run_step(async || count_some(ctx, tick, term, students).await).await?;
        }
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    Ok(counted)
}

/// Who has been found in another section is counted already.
async fn count_some(
    ctx: &Ctx,
    tick: &Tick,
    term: TermId,
    students: &[PersonId],
) -> Result<usize, Failure> {
    let students: BTreeSet<PersonId> = students.iter().copied().collect();
    let keys: Vec<_> = students
        .iter()
        .map(|student| {
            (store::census_entry_key(term, *student), store::student_term_key(*student, term))
        })
        .collect();
    let wanted = keys.iter().flat_map(|(entry, student_term)| [entry.into(), student_term.into()]);
    let mut batch = ctx.table.get_batch(wanted.collect()).await?;
    let mut transaction = ctx.table.transaction();
    let mut counted = 0;
    for (entry, student_term) in &keys {
        if batch.take(entry)?.is_some() {
            continue;
        }
        let student_term = batch.take(student_term)?.map(|stored| stored.value);
        if let Some(entry) = student_term.and_then(|it| CensusEntry::of(&it, tick.now)) {
            transaction.create(&entry);
            counted += 1;
        }
    }
    if counted > 0 {
        transaction.commit().await?;
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use testkit::{TestTable, person};

    use super::super::join_waitlist::tests::registered;
    use super::super::withdraw_registration::tests::term_is_known;
    use super::super::{drop_registration, list_census_entries, submit};
    use super::*;
    use crate::domain::Load;
    use crate::fixtures::{by, cart, offer, term};

    fn tick(now: &str) -> Tick {
        Tick { now: now.parse().expect("a timestamp"), correlation_id: "test".into() }
    }

    async fn entries(ctx: &Ctx) -> Vec<CensusEntry> {
        let list = testkit::call(list_census_entries::Command { term: term() });
        list_census_entries::handle(ctx, &list).await.expect("lists").items
    }

    /// Ada full-time in three sections, Bob in one, Cyd with a seat that is only held.
    async fn term_with_students(ctx: &Ctx) {
        term_is_known(ctx).await;
        let mut sections = Vec::new();
        for name in ["a", "b", "c"] {
            let credits = |event: &mut events::SectionOffered| event.credits_hundredths = 800;
            sections.push(offer(&ctx.table, name, credits).await);
        }
        for section in &sections {
            registered(ctx, "ada", *section).await;
        }
        registered(ctx, "bob", sections[0]).await;
        submit::handle(ctx, &by("cyd", cart(&sections[..1]))).await.expect("a seat is held");
    }

    #[tokio::test]
    async fn each_student_is_counted_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                term_is_known(&ctx).await;
                let section = offer(table, "a", |_| ()).await;
                registered(&ctx, "bob", section).await;
            },
            async |table, ()| {
                let ctx = Ctx::new(table.clone());
                handle(&ctx, &tick("2027-02-20T00:00:00Z")).await.map(drop)
            },
            async |table, ()| {
                let entries = entries(&Ctx::new(table.clone())).await;
                assert_eq!(entries.len(), 1);
                assert_eq!(entries[0].student, person("bob"));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn it_is_taken_after_the_day_and_what_comes_later_does_not_change_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        term_with_students(&ctx).await;
        let on_the_day = handle(&ctx, &tick("2027-02-19T23:59:59Z")).await.expect("waits");
        assert_eq!(on_the_day, Reply::default());
        let taken = handle(&ctx, &tick("2027-02-20T00:00:00Z")).await.expect("takes it");
        assert_eq!(taken, Reply { counted: 2, taken: 1 });
        let before = entries(&ctx).await;
        let of = |student| before.iter().find(|it| it.student == person(student));
        assert_eq!(before.len(), 2, "a seat that is only held may still go");
        let ada = of("ada").expect("is counted");
        assert_eq!((ada.load, ada.credits_hundredths), (Load::FullTime, 2_400));
        assert_eq!(of("bob").expect("is counted").load, Load::PartTime);
        let section = crate::fixtures::section("a");
        let page = PageRequest::default();
        let roster = ctx.table.query(&store::roster(section), &page).await.expect("reads");
        let of_ada = roster.records.iter().find(|it| it.value.student == person("ada"));
        let registration = of_ada.expect("is there").value.registration;
        let drop = testkit::call(drop_registration::Command { registration });
        drop_registration::handle(&ctx, &drop).await.expect("dropped");
        let again = handle(&ctx, &tick("2027-02-21T00:00:00Z")).await.expect("nothing is due");
        assert_eq!(again, Reply::default());
        assert_eq!(entries(&ctx).await, before);
    }
}
