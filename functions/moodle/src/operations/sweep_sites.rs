//! Schedule: wakes every site in which something is due and which may be asked: after an outage, after a wait, and
//! where a wake-up was lost. What changes by itself is found here: holds that end, roles that begin and end.

use std::time::Duration;

use kernel::Timestamp;
use serde::Serialize;
use shell::{Failure, Tick};
use table::{PageRequest, Partition, Record, Stored, deadline};

use super::{chosen, follows_holds, user_in};
use crate::domain::{HeldRoles, Holds, Site};
use crate::store::{self, Cause};
use crate::{Ctx, sync};

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    /// Sites that were woken.
    pub woken: u32,
    /// Sites that are left alone, with work waiting.
    pub left_alone: u32,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    let holds_ended = end_holds(ctx, tick).await;
    let roles_marked = mark_roles(ctx, tick).await;
    for site in store::all_sites(&ctx.table).await? {
        let code = &site.value.code;
        if site.value.settings.is_active {
            let lag_s = lag_s(sync::oldest_mark(ctx, code).await?, tick.now);
            shell::telemetry::count("MoodleLagS", lag_s, ("site", &code.0));
        }
        let is_waiting = sync::is_anything_due(ctx, code, tick.now).await?
            || store::is_anything_asked(&ctx.table, code).await?;
        if !is_waiting {
            continue;
        }
        let (health, _) = store::health(&ctx.table, code).await?;
        if !site.value.settings.is_active || !health.may_be_asked(tick.now) {
            reply.left_alone += 1;
            shell::telemetry::count("MoodleSitesLeftAlone", 1, ("site", &code.0));
            continue;
        }
        store::wake(&ctx.table, code, cause(tick), &tick.now.to_string()).await?;
        reply.woken += 1;
    }
    holds_ended.and(roles_marked).map(|()| reply)
}

/// Pages of a hundred that one tick takes of each kind, where the time allows; what is left over is the next one's.
const PAGES_MAX: u32 = 10;
/// What a page takes, and the sites behind it.
const PAGE_MIN: Duration = Duration::from_secs(8);

/// Does something with each record whose time has come. One student's must not stand in the way of the others'.
async fn each_due<R: Record>(
    ctx: &Ctx,
    waiting: &Partition<R>,
    is_due: impl Fn(&R) -> bool,
    act: impl AsyncFn(Stored<R>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut request = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let mut failed = None;
    for _ in 0..PAGES_MAX {
        let (page, unreadable) = ctx.table.query_readable(waiting, &request).await?;
        for failure in unreadable {
            tracing::warn!(?failure, record = R::KIND, "what changes by itself cannot be read");
            failed = Some(Failure::from(failure));
        }
        let is_last = !page.records.iter().all(|known| is_due(&known.value));
        for known in page.records.into_iter().take_while(|known| is_due(&known.value)) {
            if let Err(failure) = act(known).await {
                tracing::warn!(?failure, record = R::KIND, "what changes by itself was not marked");
                failed = Some(failure);
            }
        }
        match page.next {
            Some(next) if !is_last && deadline::left() > PAGE_MIN => request.after = Some(next),
            _ => break,
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn end_holds(ctx: &Ctx, tick: &Tick) -> Result<(), Failure> {
    let is_due = |holds: &Holds| is_over(holds.next_end(), tick);
    let end = async |known| end_holds_of(ctx, tick, known).await;
    each_due(ctx, &store::ending_holds(), is_due, end).await
}

async fn end_holds_of(ctx: &Ctx, tick: &Tick, mut known: Stored<Holds>) -> Result<(), Failure> {
    known.value.end(tick.now);
    let mut transaction = ctx.table.transaction();
    transaction.update(&known);
    if !known.value.is_held() {
        let sites = store::all_sites(&ctx.table).await?;
        let ids = user_in(&chosen(&sites, follows_holds), known.value.student);
        store::mark(&ctx.table, &mut transaction, &ids, cause(tick)).await?;
    }
    Ok(transaction.commit().await?)
}

async fn mark_roles(ctx: &Ctx, tick: &Tick) -> Result<(), Failure> {
    let is_due = |held: &HeldRoles| is_over(held.next_change(), tick);
    let mark = async |known| mark_roles_of(ctx, tick, known).await;
    each_due(ctx, &store::changing_roles(), is_due, mark).await
}

async fn mark_roles_of(
    ctx: &Ctx,
    tick: &Tick,
    mut known: Stored<HeldRoles>,
) -> Result<(), Failure> {
    let changed = known.value.take_changed(tick.now);
    let mut transaction = ctx.table.transaction();
    transaction.update(&known);
    let sites = store::all_sites(&ctx.table).await?;
    let belongs = |site: &Site| changed.iter().any(|role| site.settings.people.contains(role));
    let ids = user_in(&chosen(&sites, belongs), known.value.person);
    store::mark(&ctx.table, &mut transaction, &ids, cause(tick)).await?;
    Ok(transaction.commit().await?)
}

fn is_over(at: Option<Timestamp>, tick: &Tick) -> bool {
    at.is_some_and(|at| at <= tick.now)
}

fn lag_s(oldest: Option<Timestamp>, now: Timestamp) -> u64 {
    let lag_s = oldest.map(|oldest| now.duration_since(oldest).as_secs());
    u64::try_from(lag_s.unwrap_or_default()).unwrap_or_default()
}

fn cause(tick: &Tick) -> Cause<'_> {
    Cause { now: tick.now, correlation_id: &tick.correlation_id }
}

#[cfg(test)]
mod tests {
    use events::{Event, HoldPlaced, WorkMarked};
    use jiff::SignedDuration;

    use super::super::on_hold_changed;
    use super::*;
    use crate::domain::{Kind, SiteCode, WorkId};
    use crate::fixtures::{self, World};

    fn tick(after_s: i64) -> Tick {
        let now = testkit::now() + SignedDuration::from_secs(after_s);
        Tick { now, correlation_id: "tick".into() }
    }

    async fn wakes(ctx: &Ctx) -> usize {
        let events = testkit::published(&ctx.table).await.into_iter();
        let of_site = events.filter(|event| event.data["kind"] == "site");
        of_site.filter(|event| event.name == WorkMarked::NAME).count()
    }

    #[tokio::test]
    async fn a_site_with_work_is_woken_and_one_without_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
        assert_eq!(handle(&ctx, &tick(0)).await.expect("sweeps"), Reply::default());
        fixtures::deliver_person(&ctx, "ada").await;
        let reply = handle(&ctx, &tick(1)).await.expect("sweeps");
        assert_eq!(reply, Reply { woken: 1, left_alone: 0 });
        assert_eq!(wakes(&ctx).await, 1);
    }

    /// Lies where the holds on a student lie, and cannot be read as that.
    #[derive(Serialize, serde::Deserialize)]
    struct Spoilt {}

    impl table::Record for Spoilt {
        const KIND: &'static str = "spoilt";
        const SCHEMA: u32 = 1;

        fn key(&self) -> table::Key<Self> {
            table::Key::new("SPOILT", "HOLDS")
        }

        fn index_key(&self) -> Option<(String, String)> {
            Some(("HOLDS".to_owned(), "2000-01-01T00:00:00.000Z#spoilt".to_owned()))
        }
    }

    #[tokio::test]
    async fn holds_that_cannot_be_read_keep_no_others_from_ending() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        let (student, ends_at) = (testkit::person("ada"), Some(tick(60).now));
        let placed = HoldPlaced { student, ends_at, ..HoldPlaced::example() };
        let placed = testkit::delivery("on-hold-changed", placed);
        on_hold_changed::handle(&ctx, &placed).await.expect("taken in");
        let mut transaction = ctx.table.transaction();
        transaction.overwrite(&Spoilt {});
        transaction.commit().await.expect("somebody writes past the code");
        let swept = handle(&ctx, &tick(60)).await;
        assert!(matches!(swept, Err(Failure::Fault(_))), "somebody is told: {swept:?}");
        let known = ctx.table.get(&store::holds_key(student)).await.expect("reads");
        assert!(!known.expect("is there").value.is_held());
    }

    #[tokio::test]
    async fn sites_are_woken_and_holds_ended_once_whatever_happens_on_the_wire() {
        let ends = tick(60);
        let (student, ends_at) = (testkit::person("ada"), Some(ends.now));
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_finance_site(&ctx, "http://127.0.0.1:9").await;
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                let placed = HoldPlaced { student, ends_at, ..HoldPlaced::example() };
                let placed = testkit::delivery("on-hold-changed", placed);
                on_hold_changed::handle(&ctx, &placed).await.expect("taken in");
            },
            async |table, ()| handle(&fixtures::ctx(table), &ends).await.map(drop),
            async |table, ()| {
                let known = table.get(&store::holds_key(student)).await.expect("reads");
                let known = known.expect("is there");
                assert_eq!((known.version, known.value.is_held()), (2, false));
                assert_eq!(wakes(&fixtures::ctx(table)).await, 1, "one of the two follows holds");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_site_that_failed_is_woken_when_its_time_has_come() {
        let world = World::start().await;
        world.site.break_after(0, testkit::MoodleFault::Maintenance, u64::MAX);
        world.enrol("a", "ada").await;
        world.run().await;
        let reply = handle(&world.ctx, &tick(5)).await.expect("sweeps");
        assert_eq!(reply, Reply { woken: 0, left_alone: 1 });
        let reply = handle(&world.ctx, &tick(120)).await.expect("sweeps");
        assert_eq!(reply, Reply { woken: 1, left_alone: 0 });
    }

    #[tokio::test]
    async fn a_role_whose_day_has_come_marks_whom_it_belongs_to_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                fixtures::add_finance_site(&ctx, "http://127.0.0.1:9").await;
                let role = fixtures::role_from_to("ada", shell::Role::Teacher, Some(1), None);
                super::super::on_role_changed::handle(&ctx, &role).await.expect("taken in");
            },
            async |table, ()| mark_roles(&fixtures::ctx(table), &tick(3_600)).await,
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                let (site, kind) = (SiteCode("academics".into()), Kind::User);
                let entity = testkit::person("ada").to_string();
                let work = table.get(&store::work_key(&WorkId { site, kind, entity })).await;
                let work = work.expect("reads").expect("is marked").value;
                assert_eq!(work.due_at, tick(3_600).now, "marked with its day");
                assert_eq!(fixtures::marked(&ctx, "finance").await.len(), 0, "no teachers there");
                let key = store::held_roles_key(testkit::person("ada"));
                let held = table.get(&key).await.expect("reads").expect("is there").value;
                assert_eq!(held.next_change(), None);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn how_long_a_site_lags_is_counted_from_the_oldest_mark_that_waits_for_nothing_else() {
        let world = World::start().await;
        let academics = SiteCode("academics".into());
        let lag = async || {
            let oldest = sync::oldest_mark(&world.ctx, &academics).await.expect("reads");
            lag_s(oldest, tick(900).now)
        };
        assert_eq!(lag().await, 0, "nothing waits");
        let confirmed = fixtures::confirmed("a", "ada");
        super::super::on_registration_changed::handle(&world.ctx, &confirmed).await.expect("told");
        fixtures::deliver_person(&world.ctx, "ada").await;
        world.run().await;
        assert_eq!(lag().await, 0, "her course is nobody's news yet");
        world.site.break_after(0, testkit::MoodleFault::Maintenance, u64::MAX);
        world.enrol("a", "ada").await;
        world.run_after(60).await;
        assert_eq!(lag().await, 900);
    }
}
