//! The local cloud: starting it, and what is known of it once the stack stands there.
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::checkout::Checkout;
use crate::endpoint::{Endpoint, REGION};
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::processes::{Life, Service};
use crate::toolchain::remove_folder;

/// The port that AWS's local stand-ins are known by, where it is free.
pub const USUAL_PORT: u16 = 4566;
const READY_MAX: Duration = Duration::from_mins(1);
/// What could lead a tool to somebody's real account, whatever else it is told.
const REAL_ACCOUNT: [&str; 7] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
];

/// A local cloud with the stack on it.
pub struct Cloud {
    pub endpoint: Endpoint,
    pub provider_url: String,
    /// Only the journeys have one.
    pub sign_in_provider_url: Option<String>,
    outputs: BTreeMap<String, String>,
}

impl Cloud {
    pub fn new(
        endpoint: Endpoint,
        provider_url: String,
        outputs: BTreeMap<String, String>,
    ) -> Self {
        Self { endpoint, provider_url, sign_in_provider_url: None, outputs }
    }

    /// An output of the stack, such as `ImportsBucket`.
    pub fn output(&self, name: &str) -> Result<&str, Failure> {
        self.outputs.get(name).map(String::as_str).ok_or_else(|| {
            let what = format!("the deployed stack has no output {name}");
            Failure::new(what, "Run `cargo matricula up` to deploy the stack of this checkout.")
        })
    }

    pub fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// The API's address here: the output `ApiUrl` is the one that AWS would give.
    pub fn api_url(&self) -> Result<String, Failure> {
        Ok(api_url(self.endpoint.url(), self.output("ApiId")?))
    }
}

pub fn api_url(endpoint: &str, api: &str) -> String {
    format!("{endpoint}/_aws/execute-api/{api}/$default")
}

/// Where a cloud keeps its files, and how it is to run.
pub struct Place {
    pub folder: PathBuf,
    pub log: PathBuf,
    pub port: u16,
    /// Whether the functions' own permissions are enforced.
    pub enforces_permissions: bool,
    /// Whether what is in it is written down at its stop, for `start_again`.
    pub keeps_state: bool,
    pub life: Life,
}

/// Starts an empty cloud and waits until it answers. Its folder is emptied first.
pub fn start(checkout: &Checkout, place: &Place) -> Result<(Service, Endpoint), Failure> {
    remove_folder(&place.folder)?;
    fs::create_dir_all(&place.folder)
        .explain(|| format!("{} cannot be made", place.folder.display()), CHECK_FILES)?;
    start_again(checkout, place)
}

/// Starts a cloud with what is in its folder: where it keeps its state, everything but what ran in it when it stopped.
pub fn start_again(checkout: &Checkout, place: &Place) -> Result<(Service, Endpoint), Failure> {
    let endpoint = Endpoint::at(format!("http://127.0.0.1:{}", place.port));
    let mut launcher = Command::new(checkout.local("venv/bin/python"));
    launcher
        .arg(checkout.path("infra/local/cloud/launch.py"))
        .current_dir(checkout.root())
        .env("PYTHONUNBUFFERED", "1")
        .env("GATEWAY_PORT", place.port.to_string())
        .env("TMPDIR", &place.folder)
        .env("STATE_DIR", place.folder.join("state"))
        .env("PERSIST_STATE", if place.keeps_state { "1" } else { "0" })
        .env("AUTH", place.enforces_permissions.to_string());
    use_endpoint(&mut launcher, &endpoint);
    let mut service = Service::start(&launcher, place.life, &place.log)?;
    service.wait_until(READY_MAX, || endpoint.is_healthy()).map_err(|problem| {
        let advice = "Read the end of the log; after an interrupted installation, \
            `cargo matricula down --wipe` starts afresh.";
        Failure::new(format!("the local cloud {problem}"), advice).with_log(&place.log)
    })?;
    Ok((service, endpoint))
}

/// Points a tool of AWS's at the local cloud, and at nothing else.
pub fn use_endpoint(command: &mut Command, endpoint: &Endpoint) {
    for name in REAL_ACCOUNT {
        command.env_remove(name);
    }
    command
        .env("AWS_ENDPOINT_URL", endpoint.url())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
}
