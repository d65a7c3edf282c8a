//! The secret address of a student's calendar is good no longer. Where there is none, nothing changes.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::submit;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::delete(
    "revoke-schedule-feed",
    "/schedule-feed",
    submit::ACCESS,
    "Revoke the secret address of one's own calendar",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let feed = ctx.table.get(&store::schedule_feed_key(call.person())).await?;
    let Some(feed) = feed else { return Ok(()) };
    let mut transaction = ctx.table.transaction();
    store::revoke_address(&mut transaction, &feed.value);
    transaction.delete(&feed);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::super::issue_schedule_feed::tests::{issued, secret};
    use super::super::read_schedule_feed::tests::read;
    use super::*;
    use crate::fixtures::code;

    #[tokio::test]
    async fn a_revoked_address_is_unknown_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| issued(&Ctx::new(table.clone()), "ada").await,
            async |table, _| handle(&Ctx::new(table.clone()), &testkit::call(Command {})).await,
            async |table, address| {
                let ctx = Ctx::new(table.clone());
                assert_eq!(code(read(&ctx, &secret(address)).await), "SCHEDULE_FEED_UNKNOWN");
                handle(&ctx, &testkit::call(Command {})).await.expect("again changes nothing");
            },
        )
        .await;
    }
}
