//! Saga step and pivot: the registrations of a bundle stand. Nothing undoes it. Confirming twice changes nothing.

use events::ReleaseReason;
use kernel::Timestamp;
use shell::{Failure, Step};
use table::Stored;

use super::{OfBundle, StepReply, cause};
use crate::Ctx;
use crate::domain::{Bundle, Refusal, Verdict};
use crate::store;

pub async fn handle(ctx: &Ctx, step: &Step<OfBundle>) -> Result<StepReply, Failure> {
    let OfBundle { submission, bundle, attempt } = step.command;
    let mut bundle = store::carried_bundle(&ctx.table, submission, bundle, attempt).await?;
    let before = bundle.value.clone();
    if bundle.value.confirm(step.now)? {
        let members = store::members(&ctx.table, &bundle.value).await?;
        if members.any_cancelled() {
            let bundle = Stored { value: before, version: bundle.version };
            return Err(give_up(ctx, bundle, step.now).await?.into());
        }
        store::record_confirmation(&ctx.table, &bundle, members, cause(step)).await?;
    }
    Ok(StepReply { state: bundle.value.state })
}

/// A section was cancelled while the student was on the way to it: from here the saga goes back, and says why.
async fn give_up(
    ctx: &Ctx,
    mut bundle: Stored<Bundle>,
    now: Timestamp,
) -> Result<Refusal, Failure> {
    bundle.value.begin_undo(ReleaseReason::SectionCancelled, Verdict::Approved, now);
    let mut transaction = ctx.table.transaction();
    transaction.update(&bundle);
    transaction.commit().await?;
    Ok(Refusal::BundleUndone)
}

#[cfg(test)]
mod tests {
    use events::{Event, RegistrationConfirmed};
    use testkit::person;

    use super::*;
    use crate::domain::RegistrationState;
    use crate::fixtures::{code, held, of_bundle, registrations, seats_agree, section};
    use crate::operations::begin_undo;

    #[tokio::test]
    async fn a_bundle_is_confirmed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| of_bundle(&held(table, |_| ()).await),
            async |table, step| handle(&Ctx::new(table.clone()), step).await.map(drop),
            async |table, _| {
                let registration = &registrations(table, person("ada")).await[0];
                assert_eq!(registration.state, RegistrationState::Registered);
                seats_agree(table, section("a"), &[person("ada")]).await;
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == RegistrationConfirmed::NAME).count(),
                    1
                );
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_late_execution_cannot_confirm_what_is_being_undone() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let step = of_bundle(&held(&test.table, |_| ()).await);
        let OfBundle { submission, bundle, attempt } = step.command;
        let undo = begin_undo::Command {
            submission,
            bundle,
            attempt,
            reason: ReleaseReason::PaymentTimedOut,
        };
        begin_undo::handle(&ctx, &testkit::step(undo)).await.expect("the undo begins");
        assert_eq!(code(handle(&ctx, &step).await), "BUNDLE_UNDONE");
    }
}
