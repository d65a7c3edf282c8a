//! An operator's invocation: proves one chain of the audit trail, or all. It changes nothing, and where the time does
//! not suffice it says how to go on.

use shell::{Failure, ProveTrail, Step, TrailProof};

use crate::Ctx;

pub async fn handle(ctx: &Ctx, step: &Step<ProveTrail>) -> Result<TrailProof, Failure> {
    shell::prove_trail(&ctx.table, &step.command).await
}
