//! Import step: keeps the token by which the waiting execution is answered. Nothing to undo; a later token replaces an
//! earlier one, and where the decision has fallen already the step is refused, so that nobody waits for it.

use kernel::ImportId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Step};

use crate::Ctx;
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
    #[schemars(length(min = 1, max = 2_048))]
    pub task_token: String,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<(), Failure> {
    let mut stored = store::import(&ctx.table, step.command.import).await?;
    stored.value.await_approval(step.command.task_token.clone())?;
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Import, State};
    use crate::stub;

    fn validated(import: &mut Import) {
        import.state = State::Validated;
        import.validated = true;
    }

    #[tokio::test]
    async fn the_token_is_kept_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let import = stub::import_with(table, validated).await;
                testkit::step(Command { import, task_token: "token".into() })
            },
            async |table, step| handle(&stub::ctx(table), step).await,
            async |table, step| {
                let import = store::import(table, step.command.import).await.expect("an import");
                assert_eq!(import.value.task_token.as_deref(), Some("token"));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_waits_for_a_decision_that_has_fallen() {
        let test = testkit::TestTable::new().await;
        let import = stub::import_with(&test.table, |import| {
            validated(import);
            import.decide(true, testkit::person("ada")).expect("approves");
        })
        .await;
        let step = testkit::step(Command { import, task_token: "token".into() });
        assert_eq!(stub::code(handle(&stub::ctx(&test.table), &step).await), "IMPORT_DECIDED");
        let import = stub::new_import(&test.table).await;
        let step = testkit::step(Command { import, task_token: "token".into() });
        let result = handle(&stub::ctx(&test.table), &step).await;
        assert_eq!(stub::code(result), "IMPORT_NOT_VALIDATED");
    }
}
