//! Schedule: offers that have expired free their seats, lists that are over are closed, and lines are looked at again
//! when kept seats become everybody's. What decides is the time; this only follows it.

use events::{SeatFreed, WaitlistState};
use kernel::SectionId;
use serde::Serialize;
use shell::{Failure, Tick, run_step};
use table::{PageRequest, Stored};

use crate::Ctx;
use crate::domain::{Place, SectionSeats, SectionStatus};
use crate::store::{self, Cause, LookAgain};

/// Who acts where nobody does.
const BY: &str = "waitlist";
/// Offers that one run ends, lines that it looks at, and places that it closes in one of them; the next one goes on.
const OFFERS_MAX: u32 = 100;
const LINES_MAX: u32 = 20;
const PLACES_MAX: u32 = 100;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub expired: usize,
    pub closed: usize,
    pub looked_at: usize,
}

/// One that cannot be followed does not stop the others; the run fails for it in the end, so that somebody is told.
pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let (mut reply, mut failed) = (Reply::default(), None);
    let page = PageRequest { after: None, limit: OFFERS_MAX };
    for stored in ctx.table.query(&store::expired_offers(), &page).await?.records {
        if stored.value.offered_until.is_none_or(|until| tick.now < until) {
            break;
        }
        match run_step(async || expire(ctx, &stored.value, cause).await).await {
            Ok(()) => reply.expired += 1,
            Err(failure) => failed = Some(named(failure, &stored.value.entry.to_string())),
        }
    }
    let page = PageRequest { after: None, limit: LINES_MAX };
    for stored in ctx.table.query(&store::due_looks(), &page).await?.records {
        if ctx.date(tick.now) < stored.value.due_on {
            break;
        }
        let section = stored.value.section;
        match look(ctx, stored, cause).await {
            Ok(closed) => {
                reply.closed += closed;
                reply.looked_at += 1;
            }
            Err(failure) => failed = Some(named(failure, &section.to_string())),
        }
    }
    failed.map_or(Ok(reply), Err)
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

async fn close(ctx: &Ctx, section: SectionId, cause: Cause<'_>) -> Result<usize, Failure> {
    let page = PageRequest { after: None, limit: PLACES_MAX };
    let places = ctx.table.query(&store::places(section), &page).await?.records;
    for place in &places {
        run_step(async || {
            let key = store::waitlist_entry_key(place.value.entry);
            let stored = ctx.table.get(&key).await?;
            let open = stored.filter(|stored| stored.value.state.is_open());
            let Some(stored) = open else { return Ok(()) };
            let in_line = store::in_line(&ctx.table, stored).await?;
            let mut transaction = ctx.table.transaction();
            store::write_end(&mut transaction, in_line, WaitlistState::Closed, BY, cause);
            Ok(transaction.commit().await?)
        })
        .await?;
    }
    Ok(places.len())
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionCancelled, SectionOffered, WaitlistChanged, WaitlistMode};
    use testkit::TestTable;

    use super::super::join_waitlist::tests::{entry, full, join, serve};
    use super::super::on_section_withdrawn;
    use super::*;
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
