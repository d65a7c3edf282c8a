//! Saga step and its last: the student has been told, nothing is left to do. Closing twice changes nothing.

use shell::{Failure, Step};

use super::{OfBundle, StepReply};
use crate::Ctx;
use crate::store;

pub async fn handle(ctx: &Ctx, step: &Step<OfBundle>) -> Result<StepReply, Failure> {
    let OfBundle { submission, bundle, attempt } = step.command;
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    if !bundle.value.closed {
        bundle.value.close(step.now);
        let mut transaction = ctx.table.transaction();
        transaction.update(&bundle);
        transaction.commit().await?;
    }
    Ok(StepReply { state: bundle.value.state })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::*;
    use crate::fixtures::{held, of_bundle};

    #[tokio::test]
    async fn a_closed_bundle_is_no_longer_anybody_s_work_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| of_bundle(&held(table, |_| ()).await),
            async |table, step| handle(&Ctx::new(table.clone()), step).await.map(drop),
            async |table, step| {
                handle(&Ctx::new(table.clone()), step)
                    .await
                    .expect("closing twice changes nothing");
                let open = table
                    .query(&store::open_bundles(), &PageRequest::default())
                    .await
                    .expect("lists");
                assert_eq!(open.records.len(), 0);
            },
        )
        .await;
    }
}
