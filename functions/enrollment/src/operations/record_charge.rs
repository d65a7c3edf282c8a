//! Saga step: note what is to be paid, so that the student sees it. Undone by release-seats. Noting twice changes
//! nothing.

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
    pub attempt: u32,
    pub invoice: InvoiceId,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<StepReply, Failure> {
    let Command { submission, bundle, attempt, invoice } = step.command;
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    if bundle.value.await_payment(invoice, step.now)? {
        let mut transaction = ctx.table.transaction();
        transaction.update(&bundle);
        transaction.commit().await?;
    }
    Ok(StepReply { state: bundle.value.state })
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;
    use crate::domain::BundleState;
    use crate::fixtures::{bundle, held, of_bundle};
    use crate::operations::OfBundle;

    #[tokio::test]
    async fn the_invoice_is_noted_once_whatever_happens_on_the_wire() {
        let invoice = InvoiceId::derived_from("invoice");
        testkit::under_every_fault(
            async |table| held(table, |_| ()).await,
            async |table, reply| {
                let OfBundle { submission, bundle, attempt } = of_bundle(reply).command;
                let command = Command { submission, bundle, attempt, invoice };
                handle(&Ctx::new(table.clone()), &testkit::step(command)).await.map(drop)
            },
            async |table, reply| {
                let bundle = bundle(table, reply).await;
                assert_eq!(
                    (bundle.state, bundle.invoice),
                    (BundleState::AwaitingPayment, Some(invoice))
                );
            },
        )
        .await;
    }
}
