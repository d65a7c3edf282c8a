//! Saga step: note what is to be paid, so that the student sees it. Undone by release-seats. Noting twice changes nothing.

use kernel::{BundleId, InvoiceId, SubmissionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Step};

use super::StepReply;
use crate::Ctx;
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub invoice: InvoiceId,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, invoice } = step.command;
    let mut bundle = store::bundle(&ctx.table, submission, bundle).await?;
    if bundle.value.await_payment(invoice, step.now)? {
        let mut transaction = ctx.table.transaction();
        transaction.update(&bundle);
        transaction.commit().await?;
    }
    Ok(StepReply { state: bundle.value.state })
}
