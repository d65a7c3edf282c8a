//! Schedule: the seats of every section of a term that is not closed are counted one by one. Where the counters say
//! otherwise it is reported, and nothing is repaired: see `repair_seats.rs`. So are the totals that sections share.

use std::time::Duration;

use events::TermState;
use kernel::{SectionId, TermId};
use serde::Serialize;
use shell::{Failure, Tick};
use table::{PageRequest, Position};

use crate::Ctx;
use crate::domain::SeatDifference;
use crate::store::{self, CountedSection, SeatReconciler};

/// Terms that one run goes through at most, and pages of 100 sections in each.
const TERMS_MAX: u32 = 100;
const PAGES_MAX: u32 = 1_000;
/// Sections after which the time that is left is looked at.
const SECTIONS_PER_PAGE: u32 = 20;
/// What a page may take.
const TIME_LEFT_MIN: Duration = Duration::from_secs(30);
const DIFFERENCES_METRIC: &str = "SeatDifferences";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub counted: usize,
    /// Changed while they were counted: the next run looks again.
    pub busy: usize,
    pub different: Vec<SectionId>,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let stored = ctx.table.get(&store::seat_reconciler_key()).await?;
    let mut resume = stored.map(|stored| stored.value).unwrap_or_default();
    let page = PageRequest { after: None, limit: TERMS_MAX };
    let terms = ctx.table.query(&store::all_terms(), &page).await?.records;
    let open = terms.iter().filter(|term| term.value.state != TermState::Closed);
    let open: Vec<TermId> = open.map(|term| term.value.term).collect();
    let from = open.iter().position(|term| Some(*term) == resume.term).unwrap_or_default();
    let mut stopped_at = SeatReconciler::default();
    for term in &open[from..] {
        let after = resume.after.take().filter(|_| resume.term == Some(*term));
        if let Some(after) = count_term(ctx, tick, (*term, after), &mut reply).await? {
            stopped_at = SeatReconciler { term: Some(*term), after: after.position };
            break;
        }
    }
    let mut transaction = ctx.table.transaction();
    transaction.overwrite(&stopped_at);
    transaction.commit().await?;
    if !reply.different.is_empty() {
        let amount = reply.different.len().try_into().unwrap_or(u64::MAX);
        shell::telemetry::count(DIFFERENCES_METRIC, amount, ("context", "enrollment"));
    }
    Ok(reply)
}

/// For want of time the next run goes on here.
struct Stopped {
    position: Option<Position>,
}

async fn count_term(
    ctx: &Ctx,
    tick: &Tick,
    (term, after): (TermId, Option<Position>),
    reply: &mut Reply,
) -> Result<Option<Stopped>, Failure> {
    let mut page = PageRequest { after, limit: SECTIONS_PER_PAGE };
    for _ in 0..PAGES_MAX {
        if table::deadline::left() < TIME_LEFT_MIN {
            return Ok(Some(Stopped { position: page.after }));
        }
        let found = ctx.table.query(&store::term_sections(term), &page).await?;
        for section in &found.records {
            count_section(ctx, tick, section.value.section, reply).await?;
        }
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    Ok(None)
}

async fn count_section(
    ctx: &Ctx,
    tick: &Tick,
    section: SectionId,
    reply: &mut Reply,
) -> Result<(), Failure> {
    let Some(found) = store::counted_seats(&ctx.table, section).await? else {
        reply.busy += 1;
        return Ok(());
    };
    reply.counted += 1;
    let (counters, CountedSection { seats, counted, .. }) = (found.counters(), found);
    let known = ctx.table.get(&store::seat_difference_key(section)).await?;
    let mut transaction = ctx.table.transaction();
    if counters == counted {
        let Some(known) = known else { return Ok(()) };
        transaction.delete(&known);
    } else {
        tracing::error!(%section, "the counters of a section are not what was counted");
        reply.different.push(section);
        let section_code = seats.value.code;
        let found_at = tick.now;
        let found = SeatDifference { section, section_code, counters, counted, found_at };
        transaction.put(&found, known.map(|known| known.version));
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{SeatsRepaired, WaitlistMode};
    use kernel::{CrossListId, Id};
    use table::Stored;
    use testkit::{TestTable, person};

    use super::super::give_override::tests::staff;
    use super::super::join_waitlist::tests::{computer_scientists, full, join, registered, serve};
    use super::super::withdraw_registration::tests::term_is_known;
    use super::super::{list_seat_differences, repair_seats};
    use super::*;
    use crate::domain::{SharedCount, SharedSeats};
    use crate::fixtures::{code, offer, offer_again, seats_agree, section, told};

    fn tick() -> Tick {
        Tick { now: testkit::now(), correlation_id: "test".into() }
    }

    /// One seat of a pool, one general, one offered, and one who waits.
    async fn busy_section(ctx: &Ctx) -> SectionId {
        term_is_known(ctx).await;
        let kept = |capacity| {
            move |event: &mut events::SectionOffered| {
                full(WaitlistMode::Confirmation, capacity)(event);
                event.pools = vec![kernel::SeatPool {
                    population: "program(CS)".parse().expect("a requirement"),
                    seats: 1,
                    priority: 1,
                    until: None,
                }];
            }
        };
        let section = offer(&ctx.table, "a", kept(2)).await;
        computer_scientists(ctx, &["ada"]).await;
        registered(ctx, "ada", section).await;
        registered(ctx, "bob", section).await;
        join(ctx, "cyd", section).await;
        join(ctx, "dan", section).await;
        offer_again(&ctx.table, "a", 2, kept(3)).await;
        serve(ctx).await;
        section
    }

    /// The counters drift, as they never should.
    async fn disturb(ctx: &Ctx, section: SectionId) {
        let seats = ctx.table.get(&store::seats_key(section)).await.expect("reads");
        let mut seats = seats.expect("is there");
        seats.value.taken += 1;
        seats.value.taken_generally += 1;
        seats.value.line.waiting += 2;
        let mut transaction = ctx.table.transaction();
        transaction.update(&seats);
        transaction.commit().await.expect("disturbed");
    }

    #[tokio::test]
    async fn counters_that_are_right_are_left_alone() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        busy_section(&ctx).await;
        let reply = handle(&ctx, &tick()).await.expect("counts");
        assert_eq!(reply, Reply { counted: 1, busy: 0, different: Vec::new() });
    }

    #[tokio::test]
    async fn a_difference_is_reported_once_and_repaired_on_request_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                let section = busy_section(&ctx).await;
                disturb(&ctx, section).await;
                let found = handle(&ctx, &tick()).await.expect("counts");
                assert_eq!(found.different, [section]);
                handle(&ctx, &tick()).await.expect("finds the same");
                let list = testkit::call(list_seat_differences::Command {});
                let list = list_seat_differences::handle(&ctx, &list).await.expect("lists").items;
                assert_eq!((list[0].counters.taken, list[0].counted.taken), (4, 3));
                assert_eq!((list[0].counters.waiting, list[0].counted.waiting), (3, 1));
                let command = repair_seats::Command { section, reason: "A drill.".into() };
                staff("registrar", shell::Role::Registrar, None, command)
            },
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                shell::http::carry_out(&ctx, &repair_seats::handle, call).await.map(drop)
            },
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                let reply = handle(&ctx, &tick()).await.expect("counts");
                assert_eq!(reply.different, []);
                let told: Vec<SeatsRepaired> = told(table).await;
                assert_eq!(told.len(), 1);
                assert_eq!((told[0].repaired_by, told[0].section), (call.person(), section("a")));
                let list = testkit::call(list_seat_differences::Command {});
                let list = list_seat_differences::handle(&ctx, &list).await.expect("lists");
                assert_eq!(list.items, []);
            },
        )
        .await;
    }

    /// Ada in one section of a cross-list, Bob in the other, and Cyd in line.
    async fn cross_list(ctx: &Ctx) -> [SectionId; 2] {
        term_is_known(ctx).await;
        let listing =
            events::CrossListing { cross_list: CrossListId::derived_from("x"), capacity: 2 };
        let listed = |event: &mut events::SectionOffered| {
            full(WaitlistMode::Confirmation, 2)(event);
            event.cross_listing = Some(listing);
        };
        let sections = [offer(&ctx.table, "a", listed).await, offer(&ctx.table, "b", listed).await];
        registered(ctx, "ada", sections[0]).await;
        registered(ctx, "bob", sections[1]).await;
        join(ctx, "cyd", sections[0]).await;
        sections
    }

    async fn shared(ctx: &Ctx) -> Stored<SharedSeats> {
        let key = store::shared_seats_key(CrossListId::derived_from("x"));
        ctx.table.get(&key).await.expect("reads").expect("is there")
    }

    #[tokio::test]
    async fn the_total_of_a_cross_list_is_counted_and_repaired_with_any_of_its_sections() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let sections = cross_list(&ctx).await;
        let right = handle(&ctx, &tick()).await.expect("counts");
        assert_eq!(right, Reply { counted: 2, busy: 0, different: Vec::new() });
        let mut drifted = shared(&ctx).await;
        drifted.value.taken += 3;
        drifted.value.line.waiting -= 1;
        let mut transaction = ctx.table.transaction();
        transaction.update(&drifted);
        transaction.commit().await.expect("as it never should");
        let mut found = handle(&ctx, &tick()).await.expect("counts").different;
        found.sort_unstable();
        let mut both = sections;
        both.sort_unstable();
        assert_eq!(found, both);
        let command = repair_seats::Command { section: sections[1], reason: "A drill.".into() };
        let call = staff("registrar", shell::Role::Registrar, None, command);
        let repaired = repair_seats::handle(&ctx, &call).await.expect("repaired");
        assert_eq!(repaired.counters.shared, Some(SharedCount { taken: 5, waiting: 0 }));
        assert_eq!(repaired.counted.shared, Some(SharedCount { taken: 2, waiting: 1 }));
        assert_eq!(repaired.counted.taken, repaired.counters.taken, "its own were right");
        let shared = shared(&ctx).await.value;
        assert_eq!((shared.taken, shared.line.waiting), (2, 1));
        let after = handle(&ctx, &tick()).await.expect("counts");
        assert_eq!(after.different, []);
    }

    #[tokio::test]
    async fn a_section_whose_own_counter_drifts_leaves_the_total_of_its_cross_list_as_it_is() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [section, _] = cross_list(&ctx).await;
        disturb(&ctx, section).await;
        assert_eq!(handle(&ctx, &tick()).await.expect("counts").different, [section]);
        let command = repair_seats::Command { section, reason: "A drill.".into() };
        let call = staff("registrar", shell::Role::Registrar, None, command);
        repair_seats::handle(&ctx, &call).await.expect("repaired");
        let shared = shared(&ctx).await.value;
        assert_eq!((shared.taken, shared.line.waiting), (2, 1));
        assert_eq!(handle(&ctx, &tick()).await.expect("counts").different, []);
    }

    #[tokio::test]
    async fn what_agrees_is_not_repaired() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        term_is_known(&ctx).await;
        let section = offer(&test.table, "a", |_| ()).await;
        registered(&ctx, "ada", section).await;
        let command = repair_seats::Command { section, reason: "A drill.".into() };
        let call = staff("registrar", shell::Role::Registrar, None, command);
        assert_eq!(code(repair_seats::handle(&ctx, &call).await), "SEATS_AGREE");
        seats_agree(&test.table, section, &[person("ada")]).await;
    }
}
