//! Starts the validation of an uploaded file; an import that was stopped goes on where it was.

use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};

use super::{IMPORTERS, read_import};
use crate::Ctx;
use crate::machine::Started;
use crate::store;

pub const ROUTE: Route = Route::act(
    "start-import",
    "/imports/{import}/validation",
    IMPORTERS,
    "Validate the uploaded file, or go on with an import that was stopped",
)
.for_clients(ClientScope::ImportsWrite);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
}

pub type Reply = read_import::Reply;

/// What an execution of the state machine begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub import: ImportId,
    pub run: u32,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let mut stored = store::import(&ctx.table, call.command.import).await?;
    stored.value.check_startable()?;
    let run = start(ctx, call.command.import, stored.value.run).await?;
    stored.value.take_over(run);
    let reply = Reply::of(&stored.value, stored.version + 1, call.locale);
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

/// Starts the next execution, unless the last one still runs. Names follow from the import, so that a repeated call
/// finds the execution of the first. An execution that handed over may have left a younger one than we know of.
async fn start(ctx: &Ctx, import: ImportId, last: u32) -> Result<u32, Failure> {
    /// Executions that may have followed each other without our knowing.
    const STEPS_MAX: u32 = 5;
    let first = last.max(1);
    for run in first..first + STEPS_MAX {
        let input = Input { import, run };
        if ctx.import_machine.start(&format!("{import}-{run}"), &input).await? == Started::Running {
            return Ok(run);
        }
    }
    Err(Failure::Conflict { with_twin: false })
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;
    use crate::domain::State;
    use crate::machine::Machine;
    use crate::stub::{self, Stub};

    fn ctx(table: &table::Table, stub: &Stub) -> Ctx {
        Ctx { import_machine: Machine::at(&stub.config(), "arn:machine"), ..stub::ctx(table) }
    }

    #[tokio::test]
    async fn an_import_is_started_whatever_happens_on_the_wire() {
        let stub = Stub::start().await;
        testkit::under_every_fault_anew(
            async |table| {
                stub.forget_executions();
                testkit::call(Command { import: stub::new_import(table).await })
            },
            async |table, call| handle(&ctx(table, &stub), call).await.map(drop),
            async |table, call| {
                let import = store::import(table, call.command.import).await.expect("an import");
                assert_eq!((import.value.state, import.value.run), (State::Validating, 1));
                assert_eq!(stub.executions(), [format!("{}-1", call.command.import)]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn one_that_runs_is_not_started_again_and_one_that_ended_gets_a_new_run() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let import = stub::new_import(&test.table).await;
        let ctx = ctx(&test.table, &stub);
        let call = || testkit::call(Command { import });
        assert_eq!(handle(&ctx, &call()).await.expect("starts").state, State::Validating);
        handle(&ctx, &call()).await.expect("it runs");
        assert_eq!(stub.executions().len(), 1);
        stub.end_execution(&format!("{import}-1"));
        handle(&ctx, &call()).await.expect("starts again");
        assert_eq!(stub.executions(), [format!("{import}-1"), format!("{import}-2")]);
        let stored = store::import(&test.table, import).await.expect("an import");
        assert_eq!(stored.value.run, 2);
    }

    #[tokio::test]
    async fn what_is_over_or_unknown_is_not_started() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let ctx = ctx(&test.table, &stub);
        let unknown = Command { import: ImportId::derived_from("nothing") };
        assert_eq!(stub::code(handle(&ctx, &testkit::call(unknown)).await), "IMPORT_UNKNOWN");
        for (state, code) in
            [(State::Invalid, "IMPORT_INVALID"), (State::Applied, "IMPORT_ALREADY_APPLIED")]
        {
            let import = stub::import_with(&test.table, |import| import.state = state).await;
            assert_eq!(stub::code(handle(&ctx, &testkit::call(Command { import })).await), code);
        }
        let rejected = stub::import_with(&test.table, |import| import.approval = Some(false)).await;
        let result = handle(&ctx, &testkit::call(Command { import: rejected })).await;
        assert_eq!(stub::code(result), "IMPORT_REJECTED");
        assert_eq!(stub.executions(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn when_step_functions_does_not_answer_nothing_is_written() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let import = stub::new_import(&test.table).await;
        stub.fail("StartExecution");
        let result = handle(&ctx(&test.table, &stub), &testkit::call(Command { import })).await;
        assert!(matches!(result, Err(Failure::Fault(fault)) if fault.retryable));
        let stored = store::import(&test.table, import).await.expect("an import");
        assert_eq!(stored.value.state, State::Created);
    }
}
