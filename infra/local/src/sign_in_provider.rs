//! A real OpenID Connect provider, run from its Node packages for the journeys that sign in with one.
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::checkout::Checkout;
use crate::endpoint::agent;
use crate::failure::Failure;
use crate::processes::{Life, Service};
use crate::toolchain;

const READY_MAX: Duration = Duration::from_secs(20);
const ANSWER_MAX: Duration = Duration::from_secs(2);

pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// On a leash.
pub fn start(checkout: &Checkout, port: u16, log: &Path) -> Result<Service, Failure> {
    let folder = checkout.path("tests/oidc-provider");
    toolchain::install_node_packages(checkout, &folder)?;
    let mut program = Command::new("node");
    program.arg("provider.js").arg(port.to_string()).current_dir(&folder);
    let mut service = Service::start(&program, Life::OnLeash, log)?;
    let configuration = format!("{}/.well-known/openid-configuration", url(port));
    let answers = || agent(ANSWER_MAX).get(&configuration).call().is_ok();
    service.wait_until(READY_MAX, answers).map_err(|problem| {
        let advice = "Read the end of the log, then run the command again.";
        Failure::new(format!("the sign-in provider {problem}"), advice).with_log(log)
    })?;
    Ok(service)
}
