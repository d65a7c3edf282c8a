//! Schedule: proves all chains of the audit trail, a piece at a time, and fails as long as one is broken.

use shell::{Failure, Tick, TrailWatch};

use crate::Ctx;

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<TrailWatch, Failure> {
    shell::watch_trail(&ctx.table, tick).await
}
