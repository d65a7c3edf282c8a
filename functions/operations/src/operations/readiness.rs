//! Whether the API can do its work: its table answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::domain::Refusal;

pub const ROUTE: Route =
    Route::get("readiness", "/readyz", Access::Public, "Say whether the API can do its work");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    /// Always `ready`.
    pub status: &'static str,
}

pub async fn handle(ctx: &Ctx, _: &Call<Command>) -> Result<Reply, Failure> {
    match ctx.table.answers().await {
        Ok(()) => Ok(Reply { status: "ready" }),
        Err(failure) => {
            tracing::warn!(error = Failure::from(failure).line(), "the table does not answer");
            Err(Refusal::NotReady.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use events::Event;
    use table::Table;
    use testkit::{Fault, Faults, TestTable};

    use super::*;
    use crate::stub::{self, ctx};

    #[tokio::test]
    async fn an_api_whose_table_does_not_answer_is_not_ready() {
        let test = TestTable::new().await;
        let ctx = ctx(&test.table);
        assert!(handle(&ctx, &testkit::call(Command {})).await.is_ok());
        test.engine.set_faults(Faults::lasting(0, Fault::FailBefore));
        let refused = handle(&ctx, &testkit::call(Command {})).await;
        assert_eq!(stub::code(refused), "NOT_READY");
    }

    #[tokio::test]
    async fn what_is_denied_is_our_defect_and_not_worth_asking_again() {
        let test = TestTable::new().await;
        let nowhere = Table::new(Client::new(&test.engine.sdk_config()), "nowhere");
        let failure = Failure::from(nowhere.answers().await.expect_err("there is no such table"));
        assert!(matches!(&failure, Failure::Fault(fault) if !fault.retryable), "{failure:?}");
        let mut transaction = nowhere.transaction();
        transaction.event(events::ImportApplied::example(), 1, testkit::now(), "test");
        let failure = Failure::from(transaction.commit().await.expect_err("nor for writes"));
        assert!(matches!(&failure, Failure::Fault(fault) if !fault.retryable), "{failure:?}");
    }
}
