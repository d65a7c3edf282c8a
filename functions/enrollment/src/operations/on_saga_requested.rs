//! A saga has to begin, or to go on: an execution is started under a name that only this attempt can have.

use events::SagaRequested;
use shell::{Delivery, Failure};

use crate::Ctx;
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let saga: SagaRequested = delivery.event()?;
    let bundle = store::bundle(&ctx.table, saga.submission, saga.bundle).await?;
    if bundle.value.attempt > saga.attempt {
        // Late: the reconciler has given the bundle to a younger execution, and two must not carry it.
        return Ok(());
    }
    Ok(ctx.machine().start(&saga, &delivery.envelope.correlation_id, delivery.now).await?)
}

#[cfg(test)]
mod tests {
    use testkit::{StepFunctions, TestTable, delivery};

    use super::*;
    use crate::fixtures::{bundle, held};

    #[tokio::test]
    async fn each_attempt_is_started_under_its_own_name_and_a_superseded_one_not_at_all() {
        let (test, machine) = (TestTable::new().await, StepFunctions::start().await);
        let ctx = Ctx::with_machine(&test, &machine);
        let reply = held(&test.table, |_| ()).await;
        let first = bundle(&test.table, &reply).await.saga_request();
        handle(&ctx, &delivery("on-saga-requested", first.clone())).await.expect("it is started");
        let started = machine.calls("StartExecution");
        assert_eq!(started.len(), 1);
        assert_eq!(started[0]["name"], format!("{}-1", first.bundle));

        machine.refuse("StartExecution", "ExecutionAlreadyExists");
        handle(&ctx, &delivery("on-saga-requested", first.clone())).await.expect("it was started");

        let mut stored =
            store::bundle(&test.table, first.submission, first.bundle).await.expect("reads");
        stored.value.restart(testkit::now());
        let mut transaction = test.table.transaction();
        transaction.update(&stored);
        transaction.commit().await.expect("a second attempt carries it");
        handle(&ctx, &delivery("on-saga-requested", first)).await.expect("nothing is to be done");
        assert_eq!(machine.calls("StartExecution").len(), 2, "the late event started nothing");
    }
}
