//! Event: an office stops a student, or lets them go again. Cohorts that follow holds are looked at.

use events::{Event, HoldLifted, HoldPlaced};
use shell::{Delivery, Failure};

use super::{chosen, follows_holds, take_in, user_in};
use crate::Ctx;
use crate::domain::Holds;
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let is_placed = delivery.envelope.name == HoldPlaced::NAME;
    let (student, hold, ends_at) = if is_placed {
        let HoldPlaced { student, hold, ends_at } = delivery.event()?;
        (student, hold, ends_at)
    } else {
        let HoldLifted { student, hold } = delivery.event()?;
        (student, hold, None)
    };
    let known = ctx.table.get(&store::holds_key(student)).await?;
    let read_version = known.as_ref().map(|known| known.version);
    let mut holds = known.map_or_else(|| Holds::none(student), |known| known.value);
    let was_held = holds.is_held();
    let is_news = if is_placed { holds.place(hold, ends_at) } else { holds.lift(hold) };
    if !is_news {
        return Ok(());
    }
    holds.end(delivery.now);
    let ids = if holds.is_held() == was_held {
        Vec::new()
    } else {
        let sites = store::all_sites(&ctx.table).await?;
        user_in(&chosen(&sites, follows_holds), student)
    };
    take_in(ctx, delivery, &holds, read_version, &ids).await
}

#[cfg(test)]
mod tests {
    use kernel::Timestamp;

    use super::*;
    use crate::domain::{CohortRule, SiteCode};
    use crate::fixtures::{self, World, marked};

    fn placed(ends_at: Option<Timestamp>) -> Delivery {
        let student = testkit::person("ada");
        let event = HoldPlaced { student, ends_at, ..HoldPlaced::example() };
        testkit::delivery("on-hold-changed", event)
    }

    fn lifted() -> Delivery {
        let event = HoldLifted { student: testkit::person("ada"), ..HoldLifted::example() };
        testkit::delivery("on-hold-changed", event)
    }

    async fn is_held(ctx: &Ctx) -> bool {
        let known = ctx.table.get(&store::holds_key(testkit::person("ada"))).await;
        known.expect("reads").is_some_and(|known| known.value.is_held())
    }

    #[tokio::test]
    async fn a_hold_marks_the_student_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_finance_site(&ctx, "http://127.0.0.1:9").await;
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
            },
            async |table, ()| handle(&fixtures::ctx(table), &placed(None)).await,
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                assert!(is_held(&ctx).await);
                let ada = format!("user {}", testkit::person("ada"));
                assert_eq!(marked(&ctx, "finance").await, [ada]);
                assert_eq!(marked(&ctx, "academics").await.len(), 0, "it follows no holds");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_hold_that_was_lifted_stays_so_in_whatever_order_the_events_come() {
        for reversed in [false, true] {
            let test = testkit::TestTable::new().await;
            let ctx = fixtures::ctx(&test.table);
            let mut events = [placed(None), lifted()];
            if reversed {
                events.reverse();
            }
            for event in &events {
                handle(&ctx, event).await.expect("taken in");
            }
            assert!(!is_held(&ctx).await);
        }
    }

    #[tokio::test]
    async fn a_student_is_in_the_cohort_as_long_as_a_hold_lasts_even_if_it_ends_by_itself() {
        let world = World::start().await;
        world.change_settings(|settings| settings.cohorts = vec![CohortRule::Hold]).await;
        world.enrol("a", "ada").await;
        let ends_at = testkit::now() + jiff::SignedDuration::from_hours(1);
        handle(&world.ctx, &placed(Some(ends_at))).await.expect("taken in");
        world.run().await;
        let ada = testkit::person("ada").to_string();
        assert_eq!(world.site.cohort_members("hold"), [ada]);
        let academics = SiteCode("academics".into());
        let sweep = async |now| {
            let tick = shell::Tick { now, correlation_id: "tick".into() };
            super::super::sweep_sites::handle(&world.ctx, &tick).await.expect("sweeps")
        };
        sweep(testkit::now()).await;
        assert!(
            !crate::sync::is_anything_due(&world.ctx, &academics, ends_at).await.expect("reads")
        );
        sweep(ends_at).await;
        world.run_after(3_600).await;
        assert_eq!(world.site.cohort_members("hold"), Vec::<String>::new());
        assert!(!is_held(&world.ctx).await);
    }
}
