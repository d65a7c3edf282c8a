//! Event: something of a site was marked. Whoever is woken looks at all that is due there; a site that is left alone
//! just now acknowledges, and the sweeper wakes it again.

use events::WorkMarked;
use shell::{Delivery, Failure};

use crate::domain::SiteCode;
use crate::store::{self, Cause};
use crate::{Ctx, sync};

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let WorkMarked { site, .. } = delivery.event()?;
    let site = SiteCode(site);
    let correlation_id = &delivery.envelope.correlation_id;
    let run = sync::run(ctx, &site, delivery.now, correlation_id).await?;
    // What was marked while the lease was being given back found nobody to wake.
    let left =
        !run.more && run.looked > 0 && sync::is_anything_due(ctx, &site, shell::now()).await?;
    if run.more || left {
        let cause = Cause { now: delivery.now, correlation_id };
        store::wake(&ctx.table, &site, cause, "again").await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, World};

    #[tokio::test]
    async fn a_wake_up_brings_a_confirmed_registration_into_moodle() {
        let world = World::start().await;
        world.enrol("a", "ada").await;
        let event =
            WorkMarked { site: "academics".into(), kind: "site".into(), entity: "-".into() };
        let delivery = testkit::delivery("on-work-marked", event.clone());
        handle(&world.ctx, &delivery).await.expect("it is looked at");
        assert_eq!(world.enrolled(), [("a".to_owned(), "ada".to_owned(), false)]);
        world.site.take_asked();
        handle(&world.ctx, &delivery).await.expect("nothing is left to do");
        assert_eq!(world.site.take_asked().requests.len(), 0);
        let unknown = WorkMarked { site: "library".into(), ..event };
        let delivery = testkit::delivery("on-work-marked", unknown);
        handle(&world.ctx, &delivery).await.expect("a site that is gone is nobody's work");
        assert_eq!(fixtures::marked(&world.ctx, "academics").await, Vec::<String>::new());
    }
}
