//! A new program of study.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_program::Reply;
use crate::Ctx;
use crate::domain::{Code, Program, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create("create-program", "/programs", KEEPERS, "Create a program");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    pub department: Code,
    /// Hundredths of a credit: 18000 is 180 credits.
    #[schemars(range(max = 100_000))]
    pub credits_required_hundredths: u32,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { code, title, department, credits_required_hundredths } = call.command.clone();
    let program = Program {
        id: call.new_id(),
        code,
        title,
        department,
        credits_required_hundredths,
        retired_from: None,
    };
    let reply = Reply { program, version: 1 };
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let claim = store::write_program(&mut transaction, &reply.program, None, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, claim, Refusal::ProgramCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixtures::{code, ctx, registrar};

    pub fn bachelor() -> Command {
        Command {
            code: Code("BSC-MATH".into()),
            title: "Bachelor of Mathematics".into(),
            department: Code("MATH".into()),
            credits_required_hundredths: 18_000,
        }
    }

    #[tokio::test]
    async fn a_code_is_given_once() {
        let test = testkit::TestTable::new().await;
        handle(&ctx(&test.table), &registrar(bachelor())).await.expect("the first one is made");
        let second = handle(&ctx(&test.table), &registrar(bachelor())).await;
        assert_eq!(code(second), "PROGRAM_CODE_TAKEN");
    }

    #[tokio::test]
    async fn a_program_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| registrar(bachelor()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| assert_eq!(testkit::published(table).await.len(), 1),
        )
        .await;
    }
}
