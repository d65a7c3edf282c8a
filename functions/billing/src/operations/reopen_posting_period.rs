//! Opens a closed posting period again, and all after it.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::close_posting_period::{Reply, change};
use crate::Ctx;
use crate::domain::PostingPeriod;

pub const ROUTE: Route = Route::act(
    "reopen-posting-period",
    "/posting-periods/{period}/reopening",
    BURSAR,
    "Open a posting period again, and all after it",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub period: PostingPeriod,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let period = call.command.period;
    change(ctx, call, |open_from| open_from.map_or(period, |from| from.min(period))).await
}

#[cfg(test)]
mod tests {
    use super::super::{close_posting_period, read_posting_periods};
    use super::*;
    use crate::fixtures::ctx;

    #[tokio::test]
    async fn a_period_is_opened_again_whatever_happens_on_the_wire() {
        let period: PostingPeriod = "2026-12".parse().expect("a period");
        testkit::under_every_fault(
            async |table| {
                let close = testkit::call(close_posting_period::Command { period });
                close_posting_period::handle(&ctx(table), &close).await.expect("closed");
                testkit::call(Command { period })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let read = testkit::call(read_posting_periods::Command {});
                let reply = read_posting_periods::handle(&ctx(table), &read).await;
                assert_eq!(reply.expect("reads").open_from, Some(period));
            },
        )
        .await;
    }
}
