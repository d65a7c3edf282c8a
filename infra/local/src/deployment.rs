//! Puts the stack on the local cloud with the CDK command, when something changed.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::bootstraps::CONTEXTS;
use crate::checkout::Checkout;
use crate::cloud::use_endpoint;
use crate::endpoint::{ACCOUNT, Endpoint, REGION};
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::fingerprints::Fingerprint;
use crate::narration::{self, Progress};
use crate::processes::run;
use crate::provider;
use crate::state::{self, Deployed};

/// CDK's own mark that an account was prepared.
const CDK_VERSION_PARAMETER: &str = "/cdk-bootstrap/hnb659fds/version";

const AFTER_FAILED_DEPLOYMENT: &str = "Mend what the log names and run the command again; if the \
    stack is stuck, `cargo matricula down` forgets it and `cargo matricula up` starts afresh.";

/// What is deployed, where to, and where the CDK command keeps its files meanwhile.
pub struct Deployment<'a> {
    pub checkout: &'a Checkout,
    pub endpoint: &'a Endpoint,
    pub provider_url: String,
    pub folder: PathBuf,
}

impl Deployment<'_> {
    /// Deploys, unless `previous` is what would be deployed and still stands there.
    pub fn bring_about(&self, previous: Option<&Deployed>) -> Result<Deployed, Failure> {
        let fingerprint = self.fingerprint()?;
        if let Some(previous) = previous.filter(|previous| previous.fingerprint == fingerprint)
            && self.stands(previous)
        {
            narration::step("stack", |progress| {
                progress.detail("unchanged");
                Ok(())
            })?;
            return Ok(previous.clone());
        }
        if !self.is_account_prepared() {
            narration::step("cdk bootstrap", |progress| self.prepare_account(progress))?;
        }
        let outputs = narration::step("cdk deploy", |progress| self.deploy(progress))?;
        Ok(Deployed { fingerprint, outputs, at: state::now() })
    }

    /// Everything that the template and its assets are made of.
    fn fingerprint(&self) -> Result<String, Failure> {
        let mut fingerprint = Fingerprint::default();
        fingerprint
            .folder(&self.checkout.cdk(), &["node_modules", "cdk.out", "test"])?
            .folder(&self.checkout.path("state-machines"), &[])?
            .text(self.endpoint.url());
        for argument in self.context() {
            fingerprint.text(&argument);
        }
        for context in CONTEXTS {
            fingerprint
                .identity(&self.checkout.path(&format!("target/lambda/{context}/bootstrap")))?;
        }
        Ok(fingerprint.finish())
    }

    /// A cloud that was started anew has forgotten its stack.
    fn stands(&self, previous: &Deployed) -> bool {
        let api = previous.outputs.get("ApiId").map_or("", String::as_str);
        let answer =
            self.endpoint.rest_call("GET", "apigateway", &format!("/v2/apis/{api}"), String::new());
        !api.is_empty() && answer.is_ok_and(|answer| answer.status == 200)
    }

    fn is_account_prepared(&self) -> bool {
        let name = json!({ "Name": CDK_VERSION_PARAMETER });
        self.endpoint.json_call("ssm", "AmazonSSM.GetParameter", &name).is_ok()
    }

    fn prepare_account(&self, progress: &Progress) -> Result<(), Failure> {
        fs::create_dir_all(&self.folder)
            .explain(|| format!("{} cannot be made", self.folder.display()), CHECK_FILES)?;
        let mut cdk = self.cdk("bootstrap");
        // Told which account it is, and out of sight of the app, the command need not build the
        // template.
        cdk.arg(format!("aws://{ACCOUNT}/{REGION}")).current_dir(&self.folder);
        run(&mut cdk, &self.folder.join("cdk-bootstrap.log"), |line| progress.note(line))
    }

    fn deploy(&self, progress: &Progress) -> Result<BTreeMap<String, String>, Failure> {
        let outputs = self.folder.join("outputs.json");
        let log = self.folder.join("cdk-deploy.log");
        let mut cdk = self.cdk("deploy");
        cdk.args(["--all", "--require-approval", "never", "--progress", "events"])
            .arg("--outputs-file")
            .arg(&outputs);
        let deployed = run(&mut cdk, &log, |line| match resources_done(line) {
            Some((done, total)) => progress.reach(done, total),
            None => progress.note(line),
        });
        deployed
            .map_err(|failure| Failure { advice: AFTER_FAILED_DEPLOYMENT.into(), ..failure })?;
        read_outputs(&outputs)
    }

    /// The pinned command of infra/cdk, from its own packages.
    fn cdk(&self, verb: &str) -> Command {
        let mut cdk = Command::new(self.checkout.cdk().join("node_modules/.bin/cdk"));
        cdk.arg(verb).current_dir(self.checkout.cdk()).args(self.context());
        cdk.arg("--output").arg(self.folder.join("cdk.out"));
        cdk.env("CDK_DISABLE_VERSION_CHECK", "1")
            .env("CDK_DISABLE_CLI_TELEMETRY", "true")
            .env("NO_COLOR", "1")
            // From version 22 on, Node keeps what it compiled: the template's libraries are large.
            .env("NODE_COMPILE_CACHE", self.checkout.local("node"));
        use_endpoint(&mut cdk, self.endpoint);
        cdk
    }

    fn context(&self) -> Vec<String> {
        let arch = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x86_64" };
        let given = [
            "local=true".to_owned(),
            format!("arch={arch}"),
            format!("bootstraps={}", self.checkout.path("target/lambda").display()),
            format!("paymentProviderUrl={}", self.provider_url),
            format!("paymentWebhookSecret={}", provider::WEBHOOK_SECRET),
            format!("paymentProviderKey={}", provider::API_KEY),
            format!("mobileMoneyUrl={}", self.provider_url),
            format!("mobileMoneyCredentials={}", provider::MOBILE_MONEY_CREDENTIALS),
        ];
        given.into_iter().flat_map(|pair| ["--context".to_owned(), pair]).collect()
    }
}

/// The outputs of the one stack, from the file that the CDK command wrote.
fn read_outputs(file: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text = fs::read_to_string(file)
        .explain(|| format!("{} cannot be read", file.display()), CHECK_FILES)?;
    let stacks: Value = serde_json::from_str(&text).unwrap_or_default();
    let stacks = stacks.as_object().into_iter().flatten();
    let outputs = stacks.filter_map(|(_, outputs)| outputs.as_object()).flatten();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Ok(outputs.filter_map(text).collect())
}

/// `Matricula |  12/205 | 02:41:01 | CREATE_COMPLETE | …`: how many resources are done.
fn resources_done(line: &str) -> Option<(u64, u64)> {
    let (done, total) = line.split('|').nth(1)?.trim().split_once('/')?;
    Some((done.trim().parse().ok()?, total.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_the_lines_of_cdk_deploy() {
        let line = "Matricula |  12/205 | 2:41:01 AM | CREATE_COMPLETE | AWS::SQS::Queue | Queue";
        assert_eq!(resources_done(line), Some((12, 205)));
        assert_eq!(resources_done("Matricula: start: Building x"), None);
        assert_eq!(resources_done("a | b | c"), None);
    }

    #[test]
    fn outputs_are_read_from_any_stack() {
        let file = std::env::temp_dir().join(format!("matricula-outputs-{}", std::process::id()));
        fs::write(&file, r#"{ "Matricula": { "ApiId": "a1", "ApiUrl": "https://a1" } }"#)
            .expect("writable");
        let outputs = read_outputs(&file).expect("readable");
        assert_eq!(outputs.get("ApiId").map(String::as_str), Some("a1"));
        assert_eq!(outputs.len(), 2);
        fs::remove_file(file).expect("removable");
    }
}
