//! `test`: format, lints, tests, the template's tests, and journeys on a cloud of their own.
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::bootstraps;
use crate::checkout::{Checkout, shown};
use crate::cloud::{self, Cloud, Place, use_endpoint};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::mutations::{self, MODEL};
use crate::narration::{self, Progress, heading, line};
use crate::processes::{Life, free_port, left_behind, output, run_with_status};
use crate::provider;
use crate::sign_in_provider;
use crate::state::State;
use crate::tally::{Reader, Tally};
use crate::toolchain::{self, Toolchain};

/// They wait for the cloud more than they compute.
const JOURNEYS_AT_ONCE: &str = "6";
/// The test target that needs a deployed stack; the plain run of tests leaves it out.
const JOURNEYS: &str = "journeys";
/// Steps of the model where there is time.
const DEEP_STEPS: &str = "100000";
/// The journeys between whose halves the cloud is restarted.
const HALVES: &str = "the_restart";

struct Suite<'a> {
    checkout: &'a Checkout,
    targets: Vec<String>,
    has_nextest: bool,
    tally: Tally,
}

/// Runs every phase, whatever the ones before it said; the deep ones only where they are asked for. Its last line is the
/// sum.
pub fn run(checkout: &Checkout, deep: bool) -> Result<ExitCode, Failure> {
    heading("Tests of Matricula");
    let toolchain = Toolchain::check()?;
    let has_nextest = output("cargo", &["nextest", "--version"]).is_some();
    let mut suite =
        Suite { checkout, targets: test_targets(checkout), has_nextest, tally: Tally::default() };
    suite.phase("format", &mut cargo(&["fmt", "--all", "--check", "--", "--color=never"]));
    suite.phase(
        "lints",
        &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    );
    let mut tests = suite.plain_tests();
    suite.phase("tests", &mut tests);
    if deep && let Err(failure) = suite.deep() {
        suite.fail(&failure);
    }
    match toolchain::install_cdk(checkout) {
        Ok(()) => {
            suite.phase("template", Command::new("npm").arg("test").current_dir(checkout.cdk()));
        }
        Err(failure) => suite.fail(&failure),
    }
    if let Err(failure) = suite.journeys(&toolchain) {
        suite.fail(&failure);
    }
    suite.expect_nothing_left();
    line(&format!("\n  logs: {}", shown(&checkout.path("target/test-logs"))));
    line(&suite.tally.to_string());
    Ok(if suite.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Suite<'_> {
    /// One command of the suite: timed, its log kept, its tests counted.
    fn phase(&mut self, name: &str, command: &mut Command) {
        let log = self.log(name);
        command.env("CARGO_TERM_COLOR", "never").env("NO_COLOR", "1");
        if command.get_current_dir().is_none() {
            command.current_dir(self.checkout.root());
        }
        let mut reader = Reader::default();
        let outcome = narration::step(name, |progress| count(command, &log, progress, &mut reader));
        let tally = reader.tally;
        self.tally.add(tally);
        if let Err(failure) = outcome {
            narration::failure(&failure);
            // A phase without tests of its own counts as one, so that the sum never hides it.
            self.tally.failed += u64::from(tally.failed == 0);
        }
    }

    /// Everything that was started here has ended.
    fn expect_nothing_left(&mut self) {
        let left = left_behind();
        if !left.is_empty() {
            let what =
                format!("{} processes of this run are left:\n{}", left.len(), left.join("\n"));
            self.fail(&Failure::new(what, "End each by its pid, and see who started it."));
        }
    }

    fn fail(&mut self, failure: &Failure) {
        narration::failure(failure);
        self.tally.failed += 1;
    }

    fn log(&self, name: &str) -> PathBuf {
        self.checkout.path(&format!("target/test-logs/{}.log", name.replace(' ', "-")))
    }

    fn has_journeys(&self) -> bool {
        self.targets.iter().any(|target| target == JOURNEYS)
    }

    /// Always for the whole workspace: a part of it would choose other features and compile
    /// everything again.
    fn plain_tests(&self) -> Command {
        if self.has_nextest {
            let mut nextest =
                cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"]);
            // Walks through every fault wait more than they compute.
            let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            nextest.args(["--test-threads", &(2 * processors).to_string()]);
            if self.has_journeys() {
                nextest.args(["--filterset", &format!("not binary({JOURNEYS})")]);
            }
            return nextest;
        }
        let mut test = cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]);
        for target in self.targets.iter().filter(|target| *target != JOURNEYS) {
            test.args(["--test", target]);
        }
        test
    }

    fn journey_tests(&self, half: Option<&str>) -> Command {
        if !self.has_nextest {
            let mut test = cargo(&["test", "--workspace", "--no-fail-fast", "--test", JOURNEYS]);
            test.args(["--", "--test-threads", JOURNEYS_AT_ONCE]);
            match half {
                None => test.args(["--skip", HALVES]),
                Some(half) => test.arg(half),
            };
            return test;
        }
        let mut nextest =
            cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--test-threads"]);
        nextest.args([JOURNEYS_AT_ONCE, "--filterset"]);
        let which = half.map_or(format!("not test({HALVES})"), |half| format!("test({half})"));
        nextest.arg(format!("binary({JOURNEYS}) and {which}"));
        nextest
    }

    /// The model of registration for longer; and each defect on purpose, which it must notice.
    fn deep(&mut self) -> Result<(), Failure> {
        let mut model = cargo(&["test", "--workspace", "--test", MODEL, "--", "--nocapture"]);
        self.phase("model, deep", model.env("MODEL_STEPS", DEEP_STEPS));
        heading("Defects on purpose");
        let copy = mutations::Copy::prepare(self.checkout)?;
        for mutation in mutations::all(self.checkout)? {
            let log = self.log(&format!("mutation {}", mutation.name));
            let outcome = narration::step(&mutation.name, |progress| {
                mutation.must_be_noticed((self.checkout, &copy), &log, progress)
            });
            match outcome {
                Ok(()) => self.tally.passed += 1,
                Err(failure) => self.fail(&failure),
            }
        }
        Ok(())
    }

    /// On a cloud that enforces permissions, started for this and gone after it, come what may.
    fn journeys(&mut self, toolchain: &Toolchain) -> Result<(), Failure> {
        if !self.has_journeys() {
            line("  – there are no journeys yet (package tests, target journeys)");
            return Ok(());
        }
        heading("Journeys");
        let mut state = State::load(self.checkout);
        let programs = bootstraps::build(self.checkout, &mut state)?;
        toolchain.install_cloud(self.checkout)?;
        let folder = self.checkout.path("target/journeys");
        let place = Place {
            folder: folder.join("cloud"),
            log: self.log("journeys-cloud"),
            port: free_port(&[])?,
            enforces_permissions: true,
            keeps_state: true,
            life: Life::OnLeash,
        };
        let (cloud_service, endpoint) = narration::step("local cloud of their own", |progress| {
            progress.detail(format!("port {}, permissions enforced", place.port));
            cloud::start(self.checkout, &place)
        })?;
        let port = free_port(&[])?;
        let provider_url = provider::url(port);
        let deployment = Deployment {
            checkout: self.checkout,
            endpoint: &endpoint,
            provider_url: provider_url.clone(),
            folder,
        };
        let deployed = deployment.bring_about(None)?;
        let mut cloud = Cloud::new(endpoint, provider_url, deployed.outputs);
        let settings = provider::Settings {
            port,
            webhook_url: format!("{}/webhooks/payments", cloud.api_url()?),
            log: self.log("journeys-payment-provider"),
            life: Life::OnLeash,
        };
        let _provider_service =
            narration::step("payment provider", |_| provider::start(&programs, &settings))?;
        let port = free_port(&[])?;
        let log = self.log("journeys-sign-in-provider");
        let _sign_in_service = sign_in_provider::start(self.checkout, port, &log)?;
        cloud.sign_in_provider_url = Some(sign_in_provider::url(port));
        self.journeys_on(&cloud, JOURNEYS, None)?;
        self.journeys_on(&cloud, "journeys before a restart", Some("before_the_restart"))?;
        let place = Place { log: self.log("journeys-cloud-again"), ..place };
        let _cloud_service = narration::step("the same cloud, restarted", |_| {
            drop(cloud_service);
            cloud::start_again(self.checkout, &place)
        })?;
        self.journeys_on(&cloud, "journeys after a restart", Some("after_the_restart"))
    }

    /// All journeys but the halves; or one of these, since something has to happen in between.
    fn journeys_on(
        &mut self,
        cloud: &Cloud,
        phase: &str,
        half: Option<&str>,
    ) -> Result<(), Failure> {
        let mut tests = self.journey_tests(half);
        tell_where(&mut tests, cloud)?;
        self.phase(phase, &mut tests);
        Ok(())
    }
}

fn count(
    command: &mut Command,
    log: &Path,
    progress: &Progress,
    reader: &mut Reader,
) -> Result<(), Failure> {
    let status = run_with_status(command, log, |line| {
        reader.read(line);
        progress.note(line.trim());
    })?;
    let tally = reader.tally;
    if tally.passed + tally.failed > 0 {
        progress.detail(tally.to_string());
    }
    if status == 0 {
        return Ok(());
    }
    let arguments = command.get_args().map(|argument| argument.display().to_string());
    let again: Vec<String> =
        std::iter::once(command.get_program().display().to_string()).chain(arguments).collect();
    let what = format!("`{}` failed (exit code {status})", again.join(" "));
    let advice = format!("{}; the whole log is {}.", advice(log), shown(log));
    Err(Failure::new(what, advice).with_log(log))
}

/// What to do about a failed phase, by the name of its log.
fn advice(log: &Path) -> &'static str {
    match log.file_stem().and_then(|name| name.to_str()) {
        Some("format") => "Run `cargo fmt --all`",
        Some("lints") => "Mend what clippy names, or allow it with a reason",
        Some(name) if name.starts_with(JOURNEYS) => {
            "Look into target/test-logs/journeys-cloud.log too"
        }
        _ => "Run the failing tests by themselves until they pass",
    }
}

/// Every output of the stack as a variable, and the addresses as they are here.
pub fn tell_where(command: &mut Command, cloud: &Cloud) -> Result<(), Failure> {
    use_endpoint(command, &cloud.endpoint);
    for (name, value) in cloud.outputs() {
        command.env(variable(name), value);
    }
    command
        .env("MATRICULA_API_URL", cloud.api_url()?)
        .env("MATRICULA_CLOUD_URL", cloud.endpoint.url())
        .env("MATRICULA_PAYMENT_PROVIDER_URL", &cloud.provider_url);
    if let Some(url) = &cloud.sign_in_provider_url {
        command.env("MATRICULA_SIGN_IN_PROVIDER_URL", url);
    }
    Ok(())
}

/// `ImportsBucket` is told as `MATRICULA_IMPORTS_BUCKET`.
fn variable(output: &str) -> String {
    let mut variable = "MATRICULA".to_owned();
    for letter in output.chars() {
        if letter.is_ascii_uppercase() {
            variable.push('_');
        }
        variable.push(letter.to_ascii_uppercase());
    }
    variable
}

/// The names of all integration test targets.
fn test_targets(checkout: &Checkout) -> Vec<String> {
    let manifest = checkout.path("Cargo.toml");
    let arguments = [
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--manifest-path",
        &manifest.to_string_lossy(),
    ];
    let metadata = output("cargo", &arguments).unwrap_or_default();
    let metadata: Value = serde_json::from_str(&metadata).unwrap_or_default();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.filter_map(|package| package["targets"].as_array()).flatten();
    let tests = targets.filter(|target| target["kind"][0] == "test");
    tests.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect()
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_become_variables() {
        assert_eq!(variable("ApiId"), "MATRICULA_API_ID");
        assert_eq!(variable("EnrollmentStateMachineArn"), "MATRICULA_ENROLLMENT_STATE_MACHINE_ARN");
    }
}
