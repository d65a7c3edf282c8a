//! Saga step and last undo: give the held seats back. Releasing twice, or what was never held, changes nothing.

use events::ReleaseReason;
use shell::{Failure, Step};

use super::{OfBundle, StepReply, cause};
use crate::Ctx;
use crate::store;

pub async fn handle(ctx: &Ctx, step: &Step<OfBundle>) -> Result<StepReply, Failure> {
    let OfBundle { submission, bundle, attempt } = step.command;
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    if bundle.value.release(step.now) {
        let members = store::members(&ctx.table, &bundle.value).await?;
        let reason = bundle.value.reason.unwrap_or(ReleaseReason::SagaFailed);
        store::record_release(&ctx.table, &bundle, members, reason, cause(step)).await?;
    }
    Ok(StepReply { state: bundle.value.state })
}

#[cfg(test)]
mod tests {
    use events::{Event, RegistrationReleased};
    use testkit::person;

    use super::*;
    use crate::domain::{BundleState, RegistrationState};
    use crate::fixtures::{held, of_bundle, registrations, seats_agree, section};
    use crate::operations::{begin_undo, confirm};

    async fn begun(table: &table::Table) -> Step<OfBundle> {
        let step = of_bundle(&held(table, |_| ()).await);
        let OfBundle { submission, bundle, attempt } = step.command;
        let command = begin_undo::Command {
            submission,
            bundle,
            attempt,
            reason: ReleaseReason::PaymentTimedOut,
        };
        begin_undo::handle(&Ctx::new(table.clone()), &testkit::step(command))
            .await
            .expect("the undo begins");
        step
    }

    #[tokio::test]
    async fn seats_go_back_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| begun(table).await,
            async |table, step| handle(&Ctx::new(table.clone()), step).await.map(drop),
            async |table, step| {
                let again = handle(&Ctx::new(table.clone()), step)
                    .await
                    .expect("releasing twice changes nothing");
                assert_eq!(again.state, BundleState::Released);
                seats_agree(table, section("a"), &[person("ada")]).await;
                let registration = &registrations(table, person("ada")).await[0];
                assert_eq!(registration.state, RegistrationState::Released);
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == RegistrationReleased::NAME).count(),
                    1
                );
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_confirmed_is_never_released() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let step = of_bundle(&held(&test.table, |_| ()).await);
        confirm::handle(&ctx, &step).await.expect("confirms");
        let OfBundle { submission, bundle, attempt } = step.command;
        let undo =
            begin_undo::Command { submission, bundle, attempt, reason: ReleaseReason::SagaFailed };
        let decided = begin_undo::handle(&ctx, &testkit::step(undo)).await.expect("decides");
        assert_eq!(decided.state, BundleState::Confirmed);
        assert_eq!(handle(&ctx, &step).await.expect("does nothing").state, BundleState::Confirmed);
        seats_agree(&test.table, section("a"), &[person("ada")]).await;
    }
}
