//! A saga has to begin, or to go on: an execution is started under a name that only this attempt can have.

use aws_sdk_sfn::error::ProvideErrorMetadata;
use events::{Enter, SagaRequested};
use serde_json::json;
use shell::{Delivery, Failure, Fault};

use crate::Ctx;
use crate::store;

/// How long the head of department and the student have; policy, set by the deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TimeOuts {
    approval_s: i64,
    payment_s: i64,
}

impl TimeOuts {
    /// Longer than the waiting step itself can take.
    const LEAST_S: i64 = 60;

    fn from_environment() -> Self {
        let seconds = |name: &str| {
            let text = shell::required_environment(name);
            text.parse().unwrap_or_else(|_| panic!("{name} is not a number of seconds"))
        };
        Self { approval_s: seconds("APPROVAL_TIMEOUT_S"), payment_s: seconds("PAYMENT_TIMEOUT_S") }
    }

    /// What is left of the time for the step that the saga is entered at; steps behind it have all of theirs.
    fn left(self, enter: Enter, elapsed_s: i64) -> Self {
        let left = |all: i64| (all - elapsed_s).max(Self::LEAST_S);
        match enter {
            Enter::Approve => Self { approval_s: left(self.approval_s), ..self },
            Enter::Charge => Self { payment_s: left(self.payment_s), ..self },
            Enter::Notify | Enter::Undo => self,
        }
    }
}

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let saga: SagaRequested = delivery.event()?;
    let bundle = store::bundle(&ctx.table, saga.submission, saga.bundle).await?;
    if bundle.value.attempt > saga.attempt {
        // Late: the reconciler has given the bundle to a younger execution, and two must not carry it.
        return Ok(());
    }
    let elapsed = delivery.now.duration_since(saga.waiting_since);
    let left = TimeOuts::from_environment().left(saga.enter, elapsed.as_secs());
    let name = execution_name(&saga);
    let input = json!({
        "saga": saga,
        "correlation_id": delivery.envelope.correlation_id,
        "approval_timeout_s": left.approval_s,
        "payment_timeout_s": left.payment_s,
    });
    let started = ctx
        .step_functions()
        .start_execution()
        .state_machine_arn(shell::required_environment("ENROLLMENT_STATE_MACHINE_ARN"))
        .name(name)
        .input(input.to_string())
        .send()
        .await;
    match started {
        // Delivered twice: the first delivery started it.
        Err(error) if error.code() == Some("ExecutionAlreadyExists") => Ok(()),
        Err(error) => Err(Fault::outside("the saga could not be started", error).into()),
        Ok(_) => Ok(()),
    }
}

pub fn execution_name(saga: &SagaRequested) -> String {
    format!("{}-{}", saga.bundle, saga.attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_started_again_gets_only_what_is_left_of_the_time() {
        let policy = TimeOuts { approval_s: 100, payment_s: 1_000 };
        let approving = policy.left(Enter::Approve, 30);
        assert_eq!(approving, TimeOuts { approval_s: 70, payment_s: 1_000 });
        let paying = policy.left(Enter::Charge, 130);
        assert_eq!(paying, TimeOuts { approval_s: 100, payment_s: 870 });
        assert_eq!(policy.left(Enter::Charge, 2_000).payment_s, TimeOuts::LEAST_S);
    }
}
