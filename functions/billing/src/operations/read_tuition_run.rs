//! One tuition run, as far as it has come.

use kernel::TuitionRunId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::start_tuition_run::Reply;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-tuition-run",
    "/tuition-runs/{tuition_run}",
    BURSAR,
    "Read how far a tuition run has come",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub tuition_run: TuitionRunId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let run = ctx.table.get(&store::tuition_run_key(call.command.tuition_run)).await?;
    Ok(Reply::of(&run.ok_or(Refusal::TuitionRunUnknown)?.value))
}
