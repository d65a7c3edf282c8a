//! Schedule: offers that have expired free their seats, lists that are over are closed, and lines are looked at again
//! when kept seats become everybody's, or a hold on somebody in them ends by itself. What decides is the time; this
//! only follows it.

use events::{SeatFreed, WaitlistState};
use kernel::SectionId;
use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, Partition, Record, Stored};

use crate::Ctx;
use crate::domain::{Place, SectionSeats, SectionStatus};
use crate::store::{self, Cause, HoldEnd, LookAgain};

/// Who acts where nobody does.
const BY: &str = "waitlist";
/// Offers and holds that one run ends, lines that it looks at, and places that it closes in one of them; the next one
/// goes on.
const OFFERS_MAX: u32 = 100;
const HOLDS_MAX: u32 = 50;
const LINES_MAX: u32 = 20;
const PLACES_MAX: u32 = 100;
/// Pages on which nothing could be followed, behind which a run looks for something that can.
const PAGES_MAX: u32 = 10;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub expired: usize,
    pub holds_ended: usize,
    pub closed: usize,
    pub looked_at: usize,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let mut sweep = Sweep::default();
    let (offers, holds, looks) = (store::expired_offers(), store::hold_ends(), store::due_looks());
    let has_expired = |place: &Place| place.offered_until.is_some_and(|until| until <= tick.now);
    sweep
        .follow(ctx, (&offers, OFFERS_MAX), has_expired, async |place, reply| {
            run_step(async || expire(ctx, &place.value, cause).await).await?;
            reply.expired += 1;
            Ok(())
        })
        .await?;
    let has_ended = |end: &HoldEnd| end.ends_at <= tick.now;
    sweep
        .follow(ctx, (&holds, HOLDS_MAX), has_ended, async |end, reply| {
            run_step(async || end_hold(ctx, &end.value, cause).await).await?;
            reply.holds_ended += 1;
            Ok(())
        })
        .await?;
    let today = ctx.date(tick.now);
    let is_due = |look: &LookAgain| look.due_on <= today;
    sweep
        .follow(ctx, (&looks, LINES_MAX), is_due, async |due, reply| {
            reply.closed += look(ctx, due, cause).await?;
            reply.looked_at += 1;
            Ok(())
        })
        .await?;
    sweep.failed.map_or(Ok(sweep.reply), Err)
}

/// What a run has come to. One that cannot be read or followed does not stop the others; the run fails for it in the
/// end, so that somebody is told.
#[derive(Default)]
struct Sweep {
    reply: Reply,
    failed: Option<Failure>,
}

impl Sweep {
    /// Follows what is due, up to the first that is not. A page on which something could be followed is enough for one
    /// run; one on which nothing could be stands in the way of nothing.
    async fn follow<R: Record>(
        &mut self,
        ctx: &Ctx,
        (all, max): (&Partition<R>, u32),
        is_due: impl Fn(&R) -> bool,
        follow: impl AsyncFn(Stored<R>, &mut Reply) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut page = PageRequest { after: None, limit: max };
        for _ in 0..PAGES_MAX {
            let (found, unreadable) = ctx.table.query_readable(all, &page).await?;
            for failure in unreadable {
                self.failed = Some(named(failure.into(), R::KIND));
            }
            let mut followed = false;
            for stored in found.records {
                if !is_due(&stored.value) {
                    return Ok(());
                }
                let (of, _): (String, String) = (&stored.value.key()).into();
                match follow(stored, &mut self.reply).await {
                    Ok(()) => followed = true,
                    Err(failure) => self.failed = Some(named(failure, &of)),
                }
            }
            page.after = found.next;
            if followed || page.after.is_none() {
                break;
            }
        }
        Ok(())
    }
}

fn named(failure: Failure, of: &str) -> Failure {
    tracing::error!(of, error = failure.line(), "a waitlist does not move on");
    failure
}

/// The index may lag behind: what was answered meanwhile is left alone.
async fn expire(ctx: &Ctx, place: &Place, cause: Cause<'_>) -> Result<(), Failure> {
    let key = store::waitlist_entry_key(place.entry);
    let stored = ctx.table.get(&key).await?;
    let expired = stored.filter(|stored| stored.value.offer_has_expired(cause.now));
    let Some(stored) = expired else { return Ok(()) };
    let in_line = store::in_line(&ctx.table, stored).await?;
    let mut transaction = ctx.table.transaction();
    store::write_end(&mut transaction, in_line, WaitlistState::OfferExpired, BY, cause);
    Ok(transaction.commit().await?)
}

/// Closes a list that is over, else has its line served; and notes when it is next looked at. Answers how many were in
/// the line that was closed.
async fn look(ctx: &Ctx, look: Stored<LookAgain>, cause: Cause<'_>) -> Result<usize, Failure> {
    let section = look.value.section;
    let stored = ctx.table.get(&store::seats_key(section)).await?;
    let seats = stored.map(|stored| stored.value);
    let today = ctx.date(cause.now);
    let is_open = |seats: &SectionSeats| {
        seats.has_waitlist(today) && seats.status != SectionStatus::Cancelled
    };
    let closed = if seats.as_ref().is_some_and(is_open) {
        0
    } else {
        let closed = close(ctx, section, cause).await?;
        if closed == PLACES_MAX as usize {
            return Ok(closed);
        }
        closed
    };
    let mut transaction = ctx.table.transaction();
    match seats.as_ref().filter(|seats| is_open(seats)) {
        Some(seats) => {
            let freed_by = format!("{}", look.value.due_on);
            let event = SeatFreed { section, freed_by, step: 0, after: None };
            transaction.event(event, 1, cause.now, cause.correlation_id);
            match seats.next_look(today) {
                Some(due_on) => transaction.put(&LookAgain { section, due_on }, Some(look.version)),
                None => transaction.delete(&look),
            };
        }
        None => {
            transaction.delete(&look);
        }
    }
    match transaction.commit().await.map_err(Failure::from) {
        // The section was offered otherwise meanwhile: that has set another day.
        Err(Failure::Conflict { .. }) => Ok(closed),
        other => other.map(|()| closed),
    }
}

/// Closes everybody's place, as far as it can be: those that cannot come again with the next run.
async fn close(ctx: &Ctx, section: SectionId, cause: Cause<'_>) -> Result<usize, Failure> {
    let page = PageRequest { after: None, limit: PLACES_MAX };
    let (places, unreadable) = ctx.table.query_readable(&store::places(section), &page).await?;
    let mut failed = unreadable.into_iter().map(Failure::from).last();
    for place in &places.records {
        let closed = run_step(async || close_place(ctx, &place.value, cause).await).await;
        if let Err(failure) = closed {
            failed = Some(named(failure, &place.value.entry.to_string()));
        }
    }
    failed.map_or(Ok(places.records.len()), Err)
}

async fn close_place(ctx: &Ctx, place: &Place, cause: Cause<'_>) -> Result<(), Failure> {
    let stored = ctx.table.get(&store::waitlist_entry_key(place.entry)).await?;
    let open = stored.filter(|stored| stored.value.state.is_open());
    let Some(stored) = open else { return Ok(()) };
    let in_line = store::in_line(&ctx.table, stored).await?;
    let mut transaction = ctx.table.transaction();
    store::write_end(&mut transaction, in_line, WaitlistState::Closed, BY, cause);
    Ok(transaction.commit().await?)
}

/// Whoever was stopped by it may be the next in a line. What another run has followed is left alone.
async fn end_hold(ctx: &Ctx, end: &HoldEnd, cause: Cause<'_>) -> Result<(), Failure> {
    let Some(stored) = ctx.table.get(&end.key()).await? else { return Ok(()) };
    let HoldEnd { hold, student, .. } = *end;
    let waited_for = store::waited_for(&ctx.table, student).await?;
    let mut transaction = ctx.table.transaction();
    transaction.delete(&stored);
    let because = format!("end of {hold}");
    store::ask_lines_again(&mut transaction, &waited_for, &because, (stored.version, cause));
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionCancelled, SectionOffered, WaitlistChanged, WaitlistMode};
    use kernel::WaitlistEntryId;
    use shell::Role;
    use testkit::TestTable;

    use super::super::join_waitlist::tests::{entry, full, join, serve, serve_at};
    use super::super::place_hold::tests::{office, on};
    use super::super::{on_section_withdrawn, place_hold};
    use super::*;
    use crate::domain::HoldKind;
    use crate::fixtures::{offer, offer_again, taken, told};

    fn tick(now: &str) -> Tick {
        Tick { now: now.parse().expect("a timestamp"), correlation_id: "test".into() }
    }

    fn ending(event: &mut SectionOffered) {
        full(WaitlistMode::Confirmation, 0)(event);
        event.waitlist.ends_on = Some("2027-01-20".parse().expect("a date"));
    }

    #[tokio::test]
    async fn a_list_that_is_over_is_closed_and_everybody_is_told() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", ending).await;
        let ids = [join(&ctx, "ada", section).await, join(&ctx, "bob", section).await];
        let last_day = handle(&ctx, &tick("2027-01-20T23:59:59Z")).await.expect("sweeps");
        assert_eq!(last_day, Reply::default());
        let over = handle(&ctx, &tick("2027-01-21T00:00:00Z")).await.expect("sweeps");
        assert_eq!((over.looked_at, over.closed), (1, 2));
        for id in ids {
            assert_eq!(entry(&ctx, id).await.state, WaitlistState::Closed);
        }
        let told: Vec<WaitlistChanged> = told(&test.table).await;
        let closed = told.iter().filter(|event| event.state == WaitlistState::Closed);
        assert_eq!(closed.count(), 2);
        let again = handle(&ctx, &tick("2027-01-21T00:01:00Z")).await.expect("sweeps");
        assert_eq!(again, Reply::default());
    }

    #[tokio::test]
    async fn no_offer_outlives_the_list() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let today = |capacity| {
            move |event: &mut SectionOffered| {
                full(WaitlistMode::Confirmation, capacity)(event);
                event.waitlist.ends_on = Some("2027-01-15".parse().expect("a date"));
            }
        };
        let section = offer(&test.table, "a", today(0)).await;
        let ada = join(&ctx, "ada", section).await;
        offer_again(&test.table, "a", 2, today(1)).await;
        serve(&ctx).await;
        let offered = entry(&ctx, ada).await.offer.expect("a seat is held");
        assert_eq!(offered.expires_at.to_string(), "2027-01-15T23:59:59Z");
    }

    #[tokio::test]
    async fn the_line_of_a_cancelled_section_is_cleared_with_what_was_offered() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Confirmation, 0)).await;
        let ids = [join(&ctx, "ada", section).await, join(&ctx, "bob", section).await];
        offer_again(&test.table, "a", 2, full(WaitlistMode::Confirmation, 1)).await;
        serve(&ctx).await;
        let event = SectionCancelled { section, section_version: 3, ..Event::example() };
        let delivery = testkit::delivery("on-section-withdrawn", event);
        on_section_withdrawn::handle(&ctx, &delivery).await.expect("cancelled");
        handle(&ctx, &tick(testkit::NOW)).await.expect("sweeps");
        for id in ids {
            assert_eq!(entry(&ctx, id).await.state, WaitlistState::Closed);
        }
        assert_eq!(taken(&test.table, section).await, 0);
    }

    #[tokio::test]
    async fn kept_seats_that_become_everybody_s_go_to_the_line() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let kept = |event: &mut SectionOffered| {
            full(WaitlistMode::Confirmation, 1)(event);
            event.pools = vec![kernel::SeatPool {
                population: "program(CS)".parse().expect("a requirement"),
                seats: 1,
                priority: 1,
                until: Some("2027-01-18".parse().expect("a date")),
            }];
        };
        let section = offer(&test.table, "a", kept).await;
        let ada = join(&ctx, "ada", section).await;
        handle(&ctx, &tick("2027-01-18T12:00:00Z")).await.expect("sweeps");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, ada).await.state, WaitlistState::Waiting);
        let looked = handle(&ctx, &tick("2027-01-19T00:00:00Z")).await.expect("sweeps");
        assert_eq!(looked.looked_at, 1);
        let told = told::<SeatFreed>(&test.table).await;
        let on_the_day = told.iter().filter(|event| event.freed_by == "2027-01-19");
        assert_eq!(on_the_day.count(), 1, "the line is served on the day");
    }

    #[tokio::test]
    async fn one_bad_record_does_not_stop_the_others() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let mut offered = Vec::new();
        for name in ["a", "b"] {
            let section = offer(&test.table, name, full(WaitlistMode::Confirmation, 0)).await;
            offered.push(join(&ctx, &format!("student of {name}"), section).await);
            offer_again(&test.table, name, 2, full(WaitlistMode::Confirmation, 1)).await;
        }
        serve(&ctx).await;
        let key = store::seats_key(entry(&ctx, offered[0]).await.section);
        let seats = test.table.get(&key).await.expect("reads").expect("is there");
        let mut transaction = test.table.transaction();
        transaction.delete(&seats);
        transaction.commit().await.expect("the first one's section is lost");
        let swept = handle(&ctx, &tick("2027-01-17T00:00:00Z")).await;
        assert!(matches!(swept, Err(Failure::Fault(_))), "somebody is told: {swept:?}");
        assert_eq!(entry(&ctx, offered[0]).await.state, WaitlistState::Offered);
        assert_eq!(entry(&ctx, offered[1]).await.state, WaitlistState::OfferExpired);
    }

    /// Lies where something else lies, and cannot be read as that.
    #[derive(Serialize, serde::Deserialize)]
    struct Spoilt {
        pk: String,
        index: String,
    }

    impl Record for Spoilt {
        const KIND: &'static str = "spoilt";
        const SCHEMA: u32 = 1;

        fn key(&self) -> table::Key<Self> {
            table::Key::new(self.pk.clone(), "0000000000")
        }

        fn index_key(&self) -> Option<(String, String)> {
            Some((self.index.clone(), "2000-01-01".to_owned()))
        }
    }

    async fn spoil(table: &table::Table, pk: &str, index: &str) {
        let mut transaction = table.transaction();
        transaction.overwrite(&Spoilt { pk: pk.to_owned(), index: index.to_owned() });
        transaction.commit().await.expect("somebody writes past the code");
    }

    #[tokio::test]
    async fn what_cannot_be_read_stops_nothing() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let offered = offer(&test.table, "a", full(WaitlistMode::Confirmation, 0)).await;
        let offered = join(&ctx, "ada", offered).await;
        offer_again(&test.table, "a", 2, full(WaitlistMode::Confirmation, 1)).await;
        serve(&ctx).await;
        let over = offer(&test.table, "b", ending).await;
        let waiting = [join(&ctx, "ada", over).await, join(&ctx, "bob", over).await];
        for index in ["WAITLIST-OFFERS", "WAITLIST-LOOKS", "HOLD-ENDS"] {
            spoil(&test.table, &format!("SPOILT#{index}"), index).await;
        }
        spoil(&test.table, &format!("WAITLIST#{over}"), "NOWHERE").await;
        let swept = handle(&ctx, &tick("2027-01-21T00:00:00Z")).await;
        assert!(matches!(swept, Err(Failure::Fault(_))), "somebody is told: {swept:?}");
        assert_eq!(entry(&ctx, offered).await.state, WaitlistState::OfferExpired);
        for id in waiting {
            assert_eq!(entry(&ctx, id).await.state, WaitlistState::Closed);
        }
    }

    #[tokio::test]
    async fn many_that_cannot_be_followed_do_not_stand_in_the_way_of_one_that_can() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let mut lines = Vec::new();
        for at in 0..=LINES_MAX {
            let section = offer(&test.table, &at.to_string(), ending).await;
            lines.push((section, join(&ctx, &format!("student {at}"), section).await));
        }
        lines.sort_by_key(|(section, _)| section.to_string());
        let (_, last) = lines.pop().expect("the last of the index");
        for (section, _) in &lines {
            let key = store::seats_key(*section);
            let seats = test.table.get(&key).await.expect("reads").expect("is there");
            let mut transaction = test.table.transaction();
            transaction.delete(&seats);
            transaction.commit().await.expect("lost");
        }
        let swept = handle(&ctx, &tick("2027-01-21T00:00:00Z")).await;
        assert!(matches!(swept, Err(Failure::Fault(_))), "somebody is told: {swept:?}");
        assert_eq!(entry(&ctx, last).await.state, WaitlistState::Closed);
    }

    /// Ada stands in line for a section with a free seat, and is held until noon.
    async fn held_until_noon(ctx: &Ctx) -> WaitlistEntryId {
        let section = offer(&ctx.table, "a", full(WaitlistMode::Automatic, 0)).await;
        let ada = join(ctx, "ada", section).await;
        let ends_at = Some("2027-01-15T12:00:00Z".parse().expect("a timestamp"));
        let hold = place_hold::Command { ends_at, ..on("ada", HoldKind::Academic) };
        place_hold::handle(ctx, &office(Role::Registrar, hold)).await.expect("held");
        offer_again(&ctx.table, "a", 2, full(WaitlistMode::Automatic, 1)).await;
        serve(ctx).await;
        assert_eq!(entry(ctx, ada).await.state, WaitlistState::Waiting);
        ada
    }

    #[tokio::test]
    async fn a_hold_that_ends_by_itself_wakes_the_lines_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                let ada = held_until_noon(&ctx).await;
                let early = handle(&ctx, &tick("2027-01-15T11:59:59Z")).await.expect("sweeps");
                assert_eq!(early, Reply::default());
                ada
            },
            async |table, _| {
                let noon = tick("2027-01-15T12:00:00Z");
                handle(&Ctx::new(table.clone()), &noon).await.map(drop)
            },
            async |table, ada| {
                let ctx = Ctx::new(table.clone());
                serve_at(&ctx, "2027-01-15T12:00:01Z".parse().expect("a timestamp")).await;
                assert_eq!(entry(&ctx, *ada).await.state, WaitlistState::Registered);
                let again = handle(&ctx, &tick("2027-01-15T12:01:00Z")).await.expect("sweeps");
                assert_eq!(again.holds_ended, 0);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_offer_expires_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                let section = offer(table, "a", full(WaitlistMode::Confirmation, 0)).await;
                let ada = join(&ctx, "ada", section).await;
                offer_again(table, "a", 2, full(WaitlistMode::Confirmation, 1)).await;
                serve(&ctx).await;
                ada
            },
            async |table, _| {
                let late = tick("2027-01-17T00:00:00Z");
                handle(&Ctx::new(table.clone()), &late).await.map(drop)
            },
            async |table, ada| {
                let expired = entry(&Ctx::new(table.clone()), *ada).await;
                assert_eq!(expired.state, WaitlistState::OfferExpired);
                assert_eq!(taken(table, expired.section).await, 0);
            },
        )
        .await;
    }
}
