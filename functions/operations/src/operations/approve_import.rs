//! Approves a validated import, or refuses it, and lets the waiting execution go on.

use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::IMPORTERS;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::act(
    "approve-import",
    "/imports/{import}/approval",
    IMPORTERS,
    "Approve a validated import, or refuse it",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
    pub approve: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: ImportId,
    pub approved: bool,
}

/// What the waiting execution goes on with.
#[derive(Debug, Serialize)]
struct Answer {
    approved: bool,
}

/// The decision is written first and answered then: asked again, a decision whose answer was lost is answered again.
pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { import, approve } = call.command;
    let mut stored = store::import(&ctx.table, import).await?;
    let reply = Reply { id: import, approved: approve };
    if stored.value.decide(approve, call.person())? {
        let mut transaction = ctx.table.transaction();
        transaction.update(&stored);
        call.keep_reply(&mut transaction, &reply);
        transaction.commit().await?;
    }
    if let Some(token) = &stored.value.task_token {
        ctx.import_machine.answer(token, &Answer { approved: approve }).await?;
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use kernel::Id;
    use table::Table;

    use super::*;
    use crate::domain::State;
    use crate::machine::Machine;
    use crate::stub::{self, Stub};

    fn ctx(table: &Table, stub: &Stub) -> Ctx {
        Ctx { import_machine: Machine::at(&stub.config(), "arn:machine"), ..stub::ctx(table) }
    }

    async fn waiting(table: &Table) -> ImportId {
        stub::import_with(table, |import| {
            import.state = State::Validated;
            import.validated = true;
            import.task_token = Some("token".into());
        })
        .await
    }

    #[tokio::test]
    async fn an_approval_is_written_and_answered_whatever_happens_on_the_wire() {
        let stub = Stub::start().await;
        testkit::under_every_fault_anew(
            async |table| {
                stub.forget_answers();
                testkit::call(Command { import: waiting(table).await, approve: true })
            },
            async |table, call| handle(&ctx(table, &stub), call).await.map(drop),
            async |table, call| {
                let import = store::import(table, call.command.import).await.expect("an import");
                assert_eq!(import.value.state, State::Approved);
                assert_eq!(import.value.approved_by, Some(testkit::person("ada")));
                let answers = stub.answers();
                assert_eq!(answers.first().map(String::as_str), Some(r#"{"approved":true}"#));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_answer_that_was_lost_is_given_when_the_approval_is_repeated() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let import = waiting(&test.table).await;
        let call = testkit::call(Command { import, approve: false });
        let ctx = ctx(&test.table, &stub);
        stub.fail("SendTaskSuccess");
        assert!(handle(&ctx, &call).await.is_err());
        stub.mend();
        let reply = handle(&ctx, &call).await.expect("repeats");
        assert_eq!(reply, Reply { id: import, approved: false });
        assert_eq!(stub.answers(), [r#"{"approved":false}"#]);
        stub.fail_with("SendTaskSuccess", "TaskTimedOut");
        handle(&ctx, &call).await.expect("whoever waits no longer needs no answer");
    }

    #[tokio::test]
    async fn a_decision_stands_and_only_a_validated_import_gets_one() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let ctx = ctx(&test.table, &stub);
        let import = waiting(&test.table).await;
        let decide = |import, approve| testkit::call(Command { import, approve });
        handle(&ctx, &decide(import, true)).await.expect("approves");
        assert_eq!(stub::code(handle(&ctx, &decide(import, false)).await), "IMPORT_DECIDED");
        let new = stub::new_import(&test.table).await;
        assert_eq!(stub::code(handle(&ctx, &decide(new, true)).await), "IMPORT_NOT_VALIDATED");
        let unknown = ImportId::derived_from("nothing");
        assert_eq!(stub::code(handle(&ctx, &decide(unknown, true)).await), "IMPORT_UNKNOWN");
    }
}
