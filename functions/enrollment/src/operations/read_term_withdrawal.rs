//! How far a student's withdrawal from a term has come.

use kernel::TermWithdrawalId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::STUDENT_OR_REGISTRAR;
use super::start_term_withdrawal::Reply;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-term-withdrawal",
    "/term-withdrawals/{withdrawal}",
    STUDENT_OR_REGISTRAR,
    "Read how far a withdrawal from a term has come",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub withdrawal: TermWithdrawalId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let stored = ctx.table.get(&store::term_withdrawal_key(call.command.withdrawal)).await?;
    let within = stored.filter(|stored| call.may_touch(stored.value.student, &[]));
    let stored = within.ok_or(Refusal::TermWithdrawalUnknown)?;
    Ok(Reply::of(&stored.value, stored.version))
}
