//! The enrollment state machine: its executions are started, looked up, and answered where one waits.

use std::sync::OnceLock;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::http::HttpResponse;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::ExecutionStatus;
use events::{Enter, SagaRequested};
use kernel::Timestamp;
use serde_json::json;
use shell::Fault;

use crate::domain::Verdict;

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

/// What an operation does not ask of it, its function need not be told.
#[derive(Clone, Debug)]
pub struct Machine {
    client: Client,
    arn: OnceLock<String>,
    time_outs: OnceLock<TimeOuts>,
}

impl Machine {
    pub fn from_environment() -> Self {
        let client = Client::new(shell::aws::sdk_config());
        Self { client, arn: OnceLock::new(), time_outs: OnceLock::new() }
    }

    #[cfg(test)]
    pub fn at(config: &aws_types::SdkConfig) -> Self {
        let arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:enrollment".to_owned();
        let time_outs = TimeOuts { approval_s: 100, payment_s: 1_000 };
        Self { client: Client::new(config), arn: arn.into(), time_outs: time_outs.into() }
    }

    fn arn(&self) -> &str {
        self.arn.get_or_init(|| shell::required_environment("ENROLLMENT_STATE_MACHINE_ARN"))
    }

    /// Starts the execution that this attempt is. Starting it twice changes nothing.
    pub async fn start(
        &self,
        saga: &SagaRequested,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let elapsed = now.duration_since(saga.waiting_since);
        let time_outs = self.time_outs.get_or_init(TimeOuts::from_environment);
        let left = time_outs.left(saga.enter, elapsed.as_secs());
        let input = json!({
            "saga": saga,
            "correlation_id": correlation_id,
            "approval_timeout_s": left.approval_s,
            "payment_timeout_s": left.payment_s,
        });
        let start = self.client.start_execution().state_machine_arn(self.arn());
        match start.name(execution_name(saga)).input(input.to_string()).send().await {
            Err(error) if error.code() != Some("ExecutionAlreadyExists") => {
                Err(Fault::outside("the saga could not be started", error))
            }
            _ => Ok(()),
        }
    }

    pub async fn is_running(&self, saga: &SagaRequested) -> Result<bool, Fault> {
        // arn:aws:states:region:account:stateMachine:NAME → arn:aws:states:region:account:execution:NAME:EXECUTION
        let machine = self.arn().replacen(":stateMachine:", ":execution:", 1);
        let arn = format!("{machine}:{}", execution_name(saga));
        match self.client.describe_execution().execution_arn(arn).send().await {
            Ok(execution) => Ok(*execution.status() == ExecutionStatus::Running),
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => Ok(false),
            Err(error) => Err(Fault::outside("the execution could not be looked up", error)),
        }
    }

    /// Tells the execution that waits on `task_token` what the heads' words come to.
    pub async fn answer(&self, task_token: String, verdict: Verdict) -> Result<(), Fault> {
        match verdict {
            Verdict::Waiting => Ok(()),
            Verdict::Approved => {
                let success = self.client.send_task_success().task_token(task_token);
                answered(success.output(r#"{"approved":true}"#).send().await)
            }
            Verdict::Rejected => {
                let failure = self.client.send_task_failure().task_token(task_token);
                answered(failure.error("ApprovalRejected").send().await)
            }
        }
    }
}

fn execution_name(saga: &SagaRequested) -> String {
    format!("{}-{}", saga.bundle, saga.attempt)
}

fn answered<O, E>(result: Result<O, SdkError<E, HttpResponse>>) -> Result<(), Fault>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(()),
        // The execution has timed out, been stopped or been answered: nobody waits on this token.
        Err(error)
            if matches!(
                error.code(),
                Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(Fault::outside("the waiting execution could not be answered", error)),
    }
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
