//! A rollover begins to copy, or goes on where it stopped.

use kernel::RolloverId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::read_rollover::Reply;
use super::{KEEPERS, create_rollover};
use crate::Ctx;
use crate::domain::{Refusal, RolloverState};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "start-rollover",
    "/rollovers/{rollover}/start",
    KEEPERS,
    "Copy the sections of a rollover that was tried out, or go on where it stopped",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub rollover: RolloverId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = store::rollover_key(call.command.rollover);
    let mut stored = ctx.table.get(&key).await?.ok_or(Refusal::RolloverUnknown)?;
    if stored.value.state == RolloverState::Done {
        return Err(Refusal::RolloverDone.into());
    }
    create_rollover::terms(ctx, stored.value.from, stored.value.to).await?;
    stored.value.start();
    let reply = Reply::of(&stored.value, stored.version + 1);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_rollover(&mut transaction, &stored.value, Some(stored.version), true, cause);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{Event, RolloverAdvanced};
    use kernel::Id;

    use super::*;
    use crate::fixtures::{code, ctx, registrar};

    #[tokio::test]
    async fn a_rollover_starts_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let terms = create_rollover::tests::two_terms(&ctx(table)).await;
                let plan = registrar(create_rollover::tests::command(terms));
                let plan = create_rollover::handle(&ctx(table), &plan).await.expect("a plan");
                registrar(Command { rollover: plan.id })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let told = testkit::published(table).await;
                let told = told.iter().filter(|event| event.name == RolloverAdvanced::NAME);
                assert_eq!(told.count(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_unknown_rollover_is_not_there() {
        let test = testkit::TestTable::new().await;
        let command = Command { rollover: RolloverId::derived_from("none") };
        let result = handle(&ctx(&test.table), &registrar(command)).await;
        assert_eq!(code(result), "ROLLOVER_UNKNOWN");
    }
}
