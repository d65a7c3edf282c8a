//! A program as it is to be, or from when on nobody is admitted to it.

use kernel::{Date, ProgramId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_program::Reply;
use crate::Ctx;
use crate::domain::{Code, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route =
    Route::edit("edit-program", "/programs/{program}", KEEPERS, "Change or retire a program");

/// What is absent stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub program: ProgramId,
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    pub department: Option<Code>,
    #[schemars(range(max = 100_000))]
    pub credits_required_hundredths: Option<u32>,
    /// From this day on nobody is admitted to it.
    pub retired_from: Option<Date>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { program, title, department, credits_required_hundredths, retired_from } =
        call.command.clone();
    let key = store::program_key(program);
    let stored = ctx.table.get(&key).await?.ok_or(Refusal::ProgramUnknown)?;
    let mut program = stored.value.clone();
    program.title = title.unwrap_or(program.title);
    program.department = department.unwrap_or(program.department);
    program.credits_required_hundredths =
        credits_required_hundredths.unwrap_or(program.credits_required_hundredths);
    program.retired_from = retired_from.or(program.retired_from);
    if program == stored.value {
        return Ok(Reply { program, version: stored.version });
    }
    call.check_version(stored.version)?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_program(&mut transaction, &program, Some(stored.version), cause);
    transaction.commit().await?;
    Ok(Reply { program, version: stored.version + 1 })
}

#[cfg(test)]
mod tests {
    use super::super::{Standing, create_program, list_programs};
    use super::*;
    use crate::fixtures::{at_version, code, ctx, registrar};

    fn edit(program: ProgramId) -> Command {
        Command {
            program,
            title: None,
            department: None,
            credits_required_hundredths: None,
            retired_from: None,
        }
    }

    #[tokio::test]
    async fn a_program_is_changed_and_retired_as_it_was_read() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let command = create_program::tests::bachelor();
        let id = create_program::handle(&ctx, &registrar(command)).await.expect("made").program.id;
        let retire =
            Command { retired_from: Some("2026-09-01".parse().expect("a date")), ..edit(id) };
        let retired = handle(&ctx, &at_version(1, registrar(retire))).await.expect("retires");
        assert_eq!(retired.version, 2);
        let late = Command { title: Some("Other".into()), ..edit(id) };
        assert_eq!(
            code(handle(&ctx, &at_version(1, registrar(late))).await),
            "PRECONDITION_FAILED"
        );
        let listed = async |standing| {
            let command = list_programs::Command { department: None, standing: Some(standing) };
            let reply = list_programs::handle(&ctx, &testkit::call(command)).await.expect("lists");
            reply.items.len()
        };
        assert_eq!((listed(Standing::Retired).await, listed(Standing::Active).await), (1, 0));
    }

    #[tokio::test]
    async fn an_edit_is_written_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let command = registrar(create_program::tests::bachelor());
                let made = create_program::handle(&ctx(table), &command).await.expect("made");
                let edit = Command { title: Some("Other".into()), ..edit(made.program.id) };
                at_version(1, registrar(edit))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::program_key(call.command.program);
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 2);
            },
        )
        .await;
    }
}
