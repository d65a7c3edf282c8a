//! The import state machine: starting its executions, and answering the one that waits.

use std::sync::OnceLock;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_types::SdkConfig;
use shell::Fault;

#[derive(Debug)]
pub struct Machine {
    variable: &'static str,
    client: OnceLock<Client>,
    arn: OnceLock<String>,
}

/// What became of the wish to start an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs now, or it was running already with the same input.
    Running,
    /// An execution of that name has come to its end.
    EndedBefore,
}

impl Machine {
    pub fn from_environment(variable: &'static str) -> Self {
        Self { variable, client: OnceLock::new(), arn: OnceLock::new() }
    }

    pub fn at(config: &SdkConfig, arn: &str) -> Self {
        let client = OnceLock::from(Client::new(config));
        Self { variable: "", client, arn: OnceLock::from(arn.to_owned()) }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(shell::aws::sdk_config()))
    }

    pub async fn start(&self, name: &str, input: &impl serde::Serialize) -> Result<Started, Fault> {
        let arn = self.arn.get_or_init(|| shell::required_environment(self.variable));
        let input = serde_json::to_string(input).expect("an input is JSON");
        let request = self.client().start_execution().state_machine_arn(arn).name(name);
        match request.input(input).send().await {
            Ok(_) => Ok(Started::Running),
            Err(error) if error.code() == Some("ExecutionAlreadyExists") => {
                Ok(Started::EndedBefore)
            }
            Err(error) => Err(Fault::outside(format!("{name} could not be started"), error)),
        }
    }

    /// Lets the waiting execution go on. One that waits no longer needs no answer.
    pub async fn answer(&self, token: &str, output: &impl serde::Serialize) -> Result<(), Fault> {
        let output = serde_json::to_string(output).expect("an output is JSON");
        let request = self.client().send_task_success().task_token(token).output(output);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.code(),
                    Some("TaskDoesNotExist" | "TaskTimedOut" | "InvalidToken")
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(Fault::outside("the waiting execution got no answer", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    const DEFINITION: &str = include_str!("../../../state-machines/import.asl.json");

    #[test]
    fn the_machine_is_whole_and_calls_what_it_has_to() {
        let definition: Value = serde_json::from_str(DEFINITION).expect("it is JSON");
        let states = definition["States"].as_object().expect("states");
        let mut called = BTreeSet::new();
        let mut reached = BTreeSet::from([definition["StartAt"].as_str().expect("a start")]);
        for (name, state) in states {
            let choices = state["Choices"].as_array().into_iter().flatten();
            let catches = state["Catch"].as_array().into_iter().flatten();
            let others = choices.chain(catches).map(|other| &other["Next"]);
            let next = [&state["Next"], &state["Default"]];
            reached.extend(next.into_iter().chain(others).filter_map(Value::as_str));
            if state["Type"] != "Task" {
                continue;
            }
            assert!(state["TimeoutSeconds"].is_u64(), "{name} may take for ever");
            assert!(state["Retry"].is_array(), "{name} is not tried again");
            assert!(state["Catch"].is_array() || name == "finish-failed", "{name} may fail unseen");
            if let Some(function) = state["Arguments"]["FunctionName"].as_str() {
                called.insert(function.trim_start_matches("${").trim_end_matches('}'));
            }
        }
        assert_eq!(reached, states.keys().map(String::as_str).collect(), "no dead end, no orphan");
        let expected = [
            "catalog-import-catalog",
            "enrollment-import-history",
            "identity-import-people",
            "operations-await-import-approval",
            "operations-finish-import",
            "operations-read-import-chunk",
            "operations-record-import-chunk",
            "operations-validate-import",
        ];
        assert_eq!(called, BTreeSet::from(expected));
    }

    #[test]
    fn what_every_step_does_about_failures_is_the_same() {
        let definition: Value = serde_json::from_str(DEFINITION).expect("it is JSON");
        let states = definition["States"].as_object().expect("states");
        for (name, state) in states.iter().filter(|(_, state)| state["Retry"].is_array()) {
            let retried = state["Retry"][0]["ErrorEquals"].to_string();
            let ours = retried.contains("Unavailable") && retried.contains("Busy");
            assert!(ours || matches!(name.as_str(), "hand-over" | "finish-failed"), "{name}");
            assert!(!retried.contains("Refused"), "a refusal is not tried again: {name}");
        }
    }
}
