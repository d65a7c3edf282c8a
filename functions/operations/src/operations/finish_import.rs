//! Import step: the end, good or bad. Finishing twice changes nothing, and the failure of an execution that a younger
//! one has replaced neither.

use events::ImportApplied;
use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Step};

use crate::Ctx;
use crate::domain::{Caught, State};
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
    pub run: u32,
    /// What the state machine caught; absent when all went well.
    #[serde(default)]
    pub failure: Option<Caught>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub state: State,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let Command { import, run, failure } = &step.command;
    let mut stored = store::import(&ctx.table, *import).await?;
    if stored.value.finish(*run, failure.as_ref())? {
        let mut transaction = ctx.table.transaction();
        transaction.update(&stored);
        if stored.value.state == State::Applied {
            let event = ImportApplied { import: *import, rows: stored.value.counts.rows() };
            transaction.event(event, 1, step.now, &step.correlation_id);
        }
        transaction.commit().await?;
    }
    Ok(Reply { state: stored.value.state })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub;

    async fn all_done(table: &table::Table) -> ImportId {
        stub::import_with(table, |import| {
            import.state = State::Applying;
            import.run = 2;
            import.validated = true;
            import.approval = Some(true);
            import.counts.people = 7;
            import.progress.chunks = 1;
            import.progress.chunks_done = 1;
        })
        .await
    }

    fn failed(import: ImportId, run: u32) -> Step<Command> {
        let failure = Some(Caught { error: "Defect".into(), cause: String::new() });
        testkit::step(Command { import, run, failure })
    }

    #[tokio::test]
    async fn an_import_is_applied_once_and_told_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                testkit::step(Command { import: all_done(table).await, run: 2, failure: None })
            },
            async |table, step| handle(&stub::ctx(table), step).await.map(drop),
            async |table, step| {
                let import = store::import(table, step.command.import).await.expect("an import");
                assert_eq!(import.value.state, State::Applied);
                let events = testkit::published(table).await;
                assert_eq!(events.len(), 1);
                assert_eq!(events[0].data["rows"], 7);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_failure_is_kept_unless_it_is_late() {
        let test = testkit::TestTable::new().await;
        let ctx = stub::ctx(&test.table);
        let import = all_done(&test.table).await;
        let late = handle(&ctx, &failed(import, 1)).await.expect("answers");
        assert_eq!(late.state, State::Applying);
        let failed_now = handle(&ctx, &failed(import, 2)).await.expect("answers");
        assert_eq!(failed_now.state, State::Failed);
        assert_eq!(testkit::published(&test.table).await.len(), 0);
    }

    #[tokio::test]
    async fn what_is_not_done_cannot_end_well() {
        let test = testkit::TestTable::new().await;
        let import = stub::new_import(&test.table).await;
        let step = testkit::step(Command { import, run: 1, failure: None });
        assert_eq!(stub::code(handle(&stub::ctx(&test.table), &step).await), "IMPORT_NOT_APPROVED");
    }
}
