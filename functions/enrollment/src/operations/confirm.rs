//! Saga step and pivot: the registrations of a bundle stand. Nothing undoes it. Confirming twice changes nothing.

use shell::{Failure, Step};

use super::{OfBundle, StepReply, cause};
use crate::Ctx;
use crate::store;

pub async fn handle(ctx: &Ctx, step: &Step<OfBundle>) -> Result<StepReply, Failure> {
    let OfBundle { submission, bundle } = step.command;
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    if bundle.value.confirm(step.now)? {
        let members = store::members(&ctx.table, &bundle.value).await?;
        store::record_confirmation(&ctx.table, &bundle, members, cause(step)).await?;
    }
    Ok(StepReply { state: bundle.value.state })
}
