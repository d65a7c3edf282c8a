//! The payment provider's simulator: it charges nobody, and calls webhooks as the real one.
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::bootstraps::Programs;
use crate::endpoint::agent;
use crate::failure::Failure;
use crate::processes::{Life, Service};

/// The port that the CDK app expects it at, where it is free.
pub const USUAL_PORT: u16 = 4570;
/// Known to everybody, and good for nothing but this machine.
pub const WEBHOOK_SECRET: &str = "whsec_local";
pub const API_KEY: &str = "sk_local";
pub const MOBILE_MONEY_CREDENTIALS: &str = "local:local:local";

const READY_MAX: Duration = Duration::from_secs(20);
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub struct Settings {
    pub port: u16,
    pub webhook_url: String,
    pub log: PathBuf,
    pub life: Life,
}

pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

pub fn start(programs: &Programs, settings: &Settings) -> Result<Service, Failure> {
    let mut program = Command::new(programs.payment_provider()?);
    program
        .args(["--port", &settings.port.to_string()])
        .args(["--webhook-url", &settings.webhook_url])
        .args(["--webhook-secret", WEBHOOK_SECRET])
        .args(["--api-key", API_KEY]);
    let mut service = Service::start(&program, settings.life, &settings.log)?;
    service.wait_until(READY_MAX, || is_reachable(&url(settings.port))).map_err(|problem| {
        let advice = "Read the end of the log, then run the command again.";
        Failure::new(format!("the payment provider's simulator {problem}"), advice)
            .with_log(&settings.log)
    })?;
    Ok(service)
}

/// Whatever it answers: without a key it refuses, and that is an answer.
pub fn is_reachable(url: &str) -> bool {
    agent(ANSWER_MAX).get(format!("{url}/v1/payment_intents/none")).call().is_ok()
}
