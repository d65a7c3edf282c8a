//! Schedule: in the institution's night, has every site looked through that was not looked through for most of a day.

use jiff::SignedDuration;
use kernel::Timestamp;
use serde::Serialize;
use shell::{Failure, Tick};

use crate::Ctx;
use crate::domain::{DriftCheck, Site};
use crate::store::{self, Cause};

/// Hours in which a site has time for us.
const NIGHT: std::ops::Range<i8> = 1..5;
/// Less than a day, so that every night has its check.
const APART: SignedDuration = SignedDuration::from_hours(20);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reply {
    pub started: u32,
}

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    if !NIGHT.contains(&tick.now.to_zoned(ctx.time_zone().clone()).hour()) {
        return Ok(reply);
    }
    for site in store::all_sites(&ctx.table).await? {
        if site.value.settings.is_active && start(ctx, &site.value, tick).await? {
            reply.started += 1;
        }
    }
    Ok(reply)
}

/// Whether a check was due, and is asked for now.
async fn start(ctx: &Ctx, site: &Site, tick: &Tick) -> Result<bool, Failure> {
    let code = &site.code;
    let (check_key, report_key) = (store::drift_check_key(code), store::drift_report_key(code));
    let keys = vec![(&check_key).into(), (&report_key).into()];
    let mut known = ctx.table.get_batch(keys).await?;
    let (check, report) = (known.take(&check_key)?, known.take(&report_key)?);
    let is_recent = |asked_at: Timestamp| tick.now.duration_since(asked_at) < APART;
    let is_left = check
        .as_ref()
        .is_some_and(|check| check.value.is_under_way() || is_recent(check.value.asked_at))
        || report.is_some_and(|report| is_recent(report.value.asked_at));
    if is_left {
        return Ok(false);
    }
    let mut transaction = ctx.table.transaction();
    let asked = DriftCheck::asked(code.clone(), tick.now, None);
    transaction.put(&asked, check.map(|check| check.version));
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    store::wake_in(&mut transaction, code, cause, "drift");
    transaction.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SiteCode;
    use crate::fixtures::{self, World};

    fn at(time: &str) -> Tick {
        Tick { now: time.parse().expect("a timestamp"), correlation_id: "tick".into() }
    }

    #[tokio::test]
    async fn every_night_has_one_check() {
        let world = World::start().await;
        let started =
            async |time: &str| handle(&world.ctx, &at(time)).await.expect("it looks").started;
        assert_eq!(started("2027-01-10T12:00:00Z").await, 0, "by day a site is left to its people");
        assert_eq!(started("2027-01-10T01:10:00Z").await, 1);
        assert_eq!(started("2027-01-10T02:10:00Z").await, 0, "it is under way");
        world.run().await;
        assert_eq!(started("2027-01-10T04:10:00Z").await, 0, "it has reported");
        assert_eq!(started("2027-01-11T01:10:00Z").await, 1);
    }

    #[tokio::test]
    async fn a_check_is_asked_for_once_whatever_happens_on_the_wire() {
        let night = at("2027-01-10T01:10:00Z");
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
            },
            async |table, ()| handle(&fixtures::ctx(table), &night).await.map(drop),
            async |table, ()| {
                let key = store::drift_check_key(&SiteCode("academics".into()));
                let check = table.get(&key).await.expect("reads").expect("asked for");
                assert_eq!((check.version, check.value.asked_at), (1, night.now));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_site_that_is_not_active_is_not_looked_through() {
        let world = World::start().await;
        world.change_settings(|settings| settings.is_active = false).await;
        let reply = handle(&world.ctx, &at("2027-01-10T01:10:00Z")).await.expect("it looks");
        assert_eq!(reply, Reply::default());
    }
}
