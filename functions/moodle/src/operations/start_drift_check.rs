//! Has a site looked through for what differs from what should stand there. One check at a time: who asks while one is
//! under way gets that one.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::STAFF;
use crate::Ctx;
use crate::domain::{DriftCheck, SiteCode};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "start-drift-check",
    "/moodle/sites/{site}/drift-checks",
    STAFF,
    "Look through a Moodle site for what differs",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub site: SiteCode,
    /// When the check that is under way now was asked for.
    pub asked_at: Timestamp,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let site = store::site(&ctx.table, &call.command.site).await?.value.code;
    let standing = ctx.table.get(&store::drift_check_key(&site)).await?;
    let mut transaction = ctx.table.transaction();
    let check = match &standing {
        Some(standing) if standing.value.is_under_way() => standing.value.clone(),
        _ => {
            let asked = DriftCheck::asked(site.clone(), call.now, Some(call.person()));
            transaction.put(&asked, standing.map(|standing| standing.version));
            asked
        }
    };
    let reply = Reply { site: site.clone(), asked_at: check.asked_at };
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::wake_in(&mut transaction, &site, cause, "drift");
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, World, code};

    fn command(site: &str) -> Command {
        Command { site: SiteCode(site.into()) }
    }

    #[tokio::test]
    async fn who_asks_while_a_check_is_under_way_gets_that_one() {
        let world = World::start().await;
        let first = handle(&world.ctx, &testkit::call(command("academics"))).await.expect("asked");
        let later = testkit::now() + jiff::SignedDuration::from_mins(1);
        let asked_later = async || {
            let call = Call { now: later, ..testkit::call(command("academics")) };
            handle(&world.ctx, &call).await.expect("asked")
        };
        assert_eq!(asked_later().await, first);
        world.run().await;
        assert_eq!(asked_later().await.asked_at, later, "the first one has reported");
        let nowhere = handle(&world.ctx, &testkit::call(command("library"))).await;
        assert_eq!(code(nowhere), "SITE_UNKNOWN");
    }

    #[tokio::test]
    async fn a_check_is_asked_for_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                testkit::call(command("academics"))
            },
            async |table, call| handle(&fixtures::ctx(table), call).await.map(drop),
            async |table, call| {
                let check = table.get(&store::drift_check_key(&call.command.site)).await;
                let check = check.expect("reads").expect("asked for");
                assert_eq!((check.version, check.value.asked_at), (1, call.now));
            },
        )
        .await;
    }
}
