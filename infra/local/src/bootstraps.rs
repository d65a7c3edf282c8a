//! The programs that run here: one bootstrap per context, and two simulators of the world.
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::checkout::Checkout;
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::fingerprints::copy_if_changed;
use crate::narration::{self, Progress};
use crate::processes::{create_log, output};
use crate::state::State;

/// Each is a package with a bootstrap of the same name.
pub const CONTEXTS: [&str; 7] =
    ["identity", "catalog", "enrollment", "billing", "moodle", "notifications", "operations"];
const SIMULATORS: [&str; 2] = ["payment-provider", "university"];
const SIMULATORS_PACKAGE: &str = "testkit";
const ERRORS_SHOWN_MAX: usize = 5;

/// Where the built programs lie.
pub struct Programs {
    files: BTreeMap<String, PathBuf>,
}

impl Programs {
    pub fn payment_provider(&self) -> Result<&Path, Failure> {
        self.file("payment-provider")
    }

    fn file(&self, name: &str) -> Result<&Path, Failure> {
        self.files.get(name).map(PathBuf::as_path).ok_or_else(|| {
            let what = format!("cargo built no program named {name}");
            Failure::new(what, "See that its package still has a binary of that name.")
        })
    }
}

/// Builds them all and puts each bootstrap where the CDK app looks for it:
/// `target/lambda/<context>/bootstrap`.
pub fn build(checkout: &Checkout, state: &mut State) -> Result<Programs, Failure> {
    narration::step("programs", |progress| {
        let log = checkout.local("build.log");
        let mut build = Build::start(checkout, &log)?;
        let units = build.follow(checkout, state.build_units, progress)?;
        let finished =
            build.child.wait().explain(|| "cargo cannot be waited for".into(), CHECK_FILES)?;
        if !finished.success() {
            return Err(build.failure(&log));
        }
        state.build_units = Some(units);
        let programs = Programs { files: build.files };
        let mut renewed = Vec::new();
        for context in CONTEXTS {
            let bootstrap = checkout.path(&format!("target/lambda/{context}/bootstrap"));
            let copied = copy_if_changed(programs.file(context)?, &bootstrap);
            if copied
                .explain(|| format!("{} cannot be written", bootstrap.display()), CHECK_FILES)?
            {
                renewed.push(context);
            }
        }
        progress.detail(match renewed.as_slice() {
            [] => "unchanged".to_owned(),
            renewed => format!("new: {}", renewed.join(", ")),
        });
        Ok(programs)
    })
}

struct Build {
    child: Child,
    files: BTreeMap<String, PathBuf>,
    errors: Vec<String>,
    log: std::fs::File,
}

impl Build {
    /// One cargo call over the whole workspace, so that what they share is compiled once, and the same way as
    /// for tests.
    fn start(checkout: &Checkout, log: &Path) -> Result<Self, Failure> {
        let log = create_log(log)?;
        let said =
            log.try_clone().explain(|| "a log cannot be opened twice".into(), CHECK_FILES)?;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--workspace", "--message-format=json"]).current_dir(checkout.root());
        for name in CONTEXTS.iter().chain(&SIMULATORS) {
            cargo.args(["--bin", name]);
        }
        let child = cargo
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .explain(|| "cargo cannot be run".into(), "Put cargo on the PATH.")?;
        Ok(Self { child, files: BTreeMap::new(), errors: Vec::new(), log })
    }

    /// Reads cargo's messages to their end; says how many units there were.
    fn follow(
        &mut self,
        checkout: &Checkout,
        remembered: Option<u64>,
        progress: &Progress,
    ) -> Result<u64, Failure> {
        let messages = self.child.stdout.take().expect("the standard output was piped");
        let mut total = remembered;
        let mut done = 0;
        for line in BufReader::new(messages).lines() {
            let line = line.explain(|| "cargo cannot be heard".into(), CHECK_FILES)?;
            let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
            match message["reason"].as_str() {
                Some("compiler-artifact") => {
                    done += 1;
                    self.note_artifact(&message);
                    // Worth the question only where there is something to wait for.
                    if total.is_none() && message["fresh"] == false {
                        total = Some(expected_units(checkout));
                    }
                    progress.note(message["target"]["name"].as_str().unwrap_or_default());
                }
                Some("compiler-message") => self.note_message(&message)?,
                _ => {}
            }
            if let Some(total) = total {
                progress.reach(done, total.max(done));
            }
        }
        Ok(done)
    }

    fn note_artifact(&mut self, message: &Value) {
        if let (Some(name), Some(file)) =
            (message["target"]["name"].as_str(), message["executable"].as_str())
        {
            self.files.insert(name.to_owned(), PathBuf::from(file));
        }
    }

    fn note_message(&mut self, message: &Value) -> Result<(), Failure> {
        let rendered = message["message"]["rendered"].as_str().unwrap_or_default();
        write!(self.log, "{rendered}")
            .explain(|| "the build's log cannot be written".into(), CHECK_FILES)?;
        if message["message"]["level"] == "error" && !rendered.starts_with("error: aborting") {
            self.errors.push(rendered.to_owned());
        }
        Ok(())
    }

    /// The compiler's own words where it has some, else the end of what cargo said.
    fn failure(&self, log: &Path) -> Failure {
        if self.errors.is_empty() {
            let advice =
                "Read what cargo says above; without a network, `cargo fetch` must have run once.";
            return Failure::new("the programs could not be built", advice).with_log(log);
        }
        let count = match self.errors.len() {
            1 => "one error".to_owned(),
            several => format!("{several} errors"),
        };
        let shown: Vec<&str> =
            self.errors.iter().take(ERRORS_SHOWN_MAX).map(String::as_str).collect();
        let what =
            format!("the programs do not compile ({count})\n\n{}", shown.join("\n").trim_end());
        Failure::new(what, "Mend the first error above, then run the command again.")
    }
}

/// How many artifacts cargo will report, guessed from its own dependency graph.
fn expected_units(checkout: &Checkout) -> u64 {
    let manifest = checkout.path("Cargo.toml");
    let host = output("rustc", &["-vV"]).unwrap_or_default();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let arguments = [
        "metadata",
        "--format-version=1",
        "--filter-platform",
        host,
        "--manifest-path",
        &manifest.to_string_lossy(),
    ];
    let metadata = output("cargo", &arguments).unwrap_or_default();
    let metadata = serde_json::from_str(&metadata).unwrap_or_default();
    let mut roots: Vec<&str> = CONTEXTS.to_vec();
    roots.push(SIMULATORS_PACKAGE);
    units_below(&metadata, &roots) + (CONTEXTS.len() + SIMULATORS.len()) as u64
}

/// One unit per library and per build script of every package that the roots need.
fn units_below(metadata: &Value, roots: &[&str]) -> u64 {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (packages, nodes) = (list(&metadata["packages"]), list(&metadata["resolve"]["nodes"]));
    let of_id = |items: &[Value]| -> BTreeMap<String, Value> {
        items
            .iter()
            .filter_map(|item| Some((item["id"].as_str()?.to_owned(), item.clone())))
            .collect()
    };
    let (packages, nodes) = (of_id(&packages), of_id(&nodes));
    let is_root = |package: &&Value| {
        package["source"].is_null() && roots.iter().any(|root| package["name"] == *root)
    };
    let mut waiting: Vec<String> = packages
        .values()
        .filter(is_root)
        .filter_map(|package| package["id"].as_str().map(str::to_owned))
        .collect();
    let mut seen = BTreeSet::new();
    let mut units = 0;
    while let Some(id) = waiting.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        units += packages.get(&id).map_or(0, |package| {
            list(&package["targets"]).iter().filter(|target| is_unit(target)).count() as u64
        });
        waiting.extend(nodes.get(&id).map(needed_packages).unwrap_or_default());
    }
    units
}

fn is_unit(target: &Value) -> bool {
    let of_kind = |kind: &Value| {
        matches!(kind.as_str(), Some("lib" | "proc-macro" | "custom-build" | "rlib"))
    };
    target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(of_kind))
}

/// Tests' own dependencies are not built here.
fn needed_packages(node: &Value) -> Vec<String> {
    let is_needed = |dependency: &&Value| {
        dependency["dep_kinds"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
    };
    let dependencies = node["deps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let id = |dependency: &Value| dependency["pkg"].as_str().map(str::to_owned);
    dependencies.iter().filter(is_needed).filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn units_are_libraries_and_build_scripts_of_what_the_roots_need() {
        let kinds =
            |kinds: &[&str]| kinds.iter().map(|kind| json!({ "kind": [kind] })).collect::<Vec<_>>();
        let normal = json!([{ "kind": null }]);
        let (own, foreign) = (kinds(&["lib", "bin"]), kinds(&["lib", "custom-build", "test"]));
        let metadata = json!({
            "packages": [
                { "id": "a", "name": "identity", "source": null, "targets": own },
                { "id": "b", "name": "libc", "source": "registry", "targets": foreign },
                { "id": "c", "name": "unneeded", "source": "registry", "targets": kinds(&["lib"]) },
                { "id": "d", "name": "proptest", "source": "registry", "targets": kinds(&["lib"]) },
            ],
            "resolve": { "nodes": [
                { "id": "a", "deps": [
                    { "pkg": "b", "dep_kinds": normal },
                    { "pkg": "d", "dep_kinds": [{ "kind": "dev" }] },
                ] },
                { "id": "b", "deps": [{ "pkg": "b", "dep_kinds": normal }] },
            ] },
        });
        assert_eq!(units_below(&metadata, &["identity"]), 3);
        assert_eq!(units_below(&Value::Null, &["identity"]), 0);
    }
}
