//! Schedule: wakes every site in which something is due and which may be asked: after an outage, after a wait, and
//! where a wake-up was lost. Holds that end by themselves are ended here.

use serde::Serialize;
use shell::{Failure, Tick};
use table::{PageRequest, Stored};

use super::{chosen, follows_holds, user_in};
use crate::domain::Holds;
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
    for site in store::all_sites(&ctx.table).await? {
        let code = &site.value.code;
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
        let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
        store::wake(&ctx.table, code, cause, &tick.now.to_string()).await?;
        reply.woken += 1;
    }
    holds_ended.map(|()| reply)
}

/// What is left over ends with the next tick.
const HOLDS_ENDED_MAX: u32 = 50;

async fn end_holds(ctx: &Ctx, tick: &Tick) -> Result<(), Failure> {
    let page = PageRequest { after: None, limit: HOLDS_ENDED_MAX };
    let (ending, unreadable) = ctx.table.query_readable(&store::ending_holds(), &page).await?;
    let mut failed = None;
    for failure in unreadable {
        tracing::warn!(?failure, "the holds on a student cannot be read");
        failed = Some(Failure::from(failure));
    }
    for known in ending.records {
        if known.value.next_end().is_none_or(|ends_at| ends_at > tick.now) {
            break;
        }
        // One student's must not stand in the way of the others'.
        if let Err(failure) = end_holds_of(ctx, tick, known).await {
            tracing::warn!(?failure, "the holds on a student that are over were not ended");
            failed = Some(failure);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn end_holds_of(ctx: &Ctx, tick: &Tick, mut known: Stored<Holds>) -> Result<(), Failure> {
    known.value.end(tick.now);
    let mut transaction = ctx.table.transaction();
    transaction.update(&known);
    if !known.value.is_held() {
        let sites = store::all_sites(&ctx.table).await?;
        let ids = user_in(&chosen(&sites, follows_holds), known.value.student);
        let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
        store::mark(&ctx.table, &mut transaction, &ids, cause).await?;
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, HoldPlaced, WorkMarked};
    use jiff::SignedDuration;

    use super::super::on_hold_changed;
    use super::*;
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
}
