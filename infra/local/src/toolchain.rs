//! What the machine must have, and what is installed beside it for this checkout alone.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::Checkout;
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::fingerprints::{Fingerprint, Stamp};
use crate::narration::{self, Progress};
use crate::processes::{output, run};

const PYTHON_MIN: Version = (3, 10);
const NODE_MIN: Version = (20, 0);
const PYTHON_NAMES: [&str; 6] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];

const GET_RUST: &str =
    "Install Rust with rustup (https://rustup.rs), or update it with `rustup update stable`.";
const GET_PYTHON: &str = "Install Python 3.10 or newer with its venv module, e.g. with \
    `apt install python3 python3-venv` or `brew install python`.";
const GET_NODE: &str =
    "Install Node.js 20 or newer with npm, e.g. from https://nodejs.org or with `nvm install 22`.";

/// Major and minor.
type Version = (u32, u32);

/// The machine has all it needs.
pub struct Toolchain {
    python: &'static str,
    python_version: String,
}

impl Toolchain {
    pub fn check() -> Result<Self, Failure> {
        narration::step("tools of this machine", |progress| {
            let rust_min = version(env!("CARGO_PKG_RUST_VERSION")).unwrap_or((1, 0));
            let rust = at_least("Rust", output("rustc", &["--version"]), rust_min, GET_RUST)?;
            let (python, python_version) = find_python()?;
            let node = at_least("Node.js", output("node", &["--version"]), NODE_MIN, GET_NODE)?;
            if output("npm", &["--version"]).is_none() {
                return Err(Failure::new("npm is missing", GET_NODE));
            }
            progress.detail(format!("Rust {rust}, Python {python_version}, Node.js {node}"));
            Ok(Self { python, python_version })
        })
    }

    /// The local cloud's own Python packages, in a folder of their own.
    pub fn install_cloud(&self, checkout: &Checkout) -> Result<(), Failure> {
        let requirements = checkout.path("infra/local/cloud/requirements.txt");
        narration::step("Python packages of the local cloud", |progress| {
            let arguments = ["--requirement", &requirements.to_string_lossy()];
            let fingerprint = Fingerprint::default().contents(&requirements)?.finish();
            self.install(checkout, "venv", &fingerprint, &arguments, progress)
        })
    }

    /// The cross compiler for packages: large, and needed by `cargo matricula package` alone.
    pub fn install_packager(
        &self,
        checkout: &Checkout,
        requirements: &[&str],
    ) -> Result<PathBuf, Failure> {
        narration::step("cargo-lambda and its linker", |progress| {
            let fingerprint = Fingerprint::default().text(&requirements.join(" ")).finish();
            self.install(checkout, "venv-package", &fingerprint, requirements, progress)
        })?;
        Ok(checkout.local("venv-package/bin"))
    }

    fn install(
        &self,
        checkout: &Checkout,
        name: &str,
        fingerprint: &str,
        requirements: &[&str],
        progress: &Progress,
    ) -> Result<(), Failure> {
        let venv = checkout.local(name);
        let fingerprint = format!("{} {fingerprint}", self.python_version);
        if Stamp::inside(&venv).says(&fingerprint) {
            progress.detail("unchanged");
            return Ok(());
        }
        remove_folder(&venv)?;
        let log = checkout.local(&format!("{name}.log"));
        let mut create = Command::new(self.python);
        run(create.args(["-m", "venv"]).arg(&venv), &log, |line| progress.note(line))
            .map_err(|failure| Failure { advice: GET_PYTHON.into(), ..failure })?;
        let mut install = Command::new(venv.join("bin/python"));
        install.args(["-m", "pip", "install", "--disable-pip-version-check"]).args(requirements);
        run(&mut install, &log, |line| progress.note(line))?;
        progress.detail("installed");
        Stamp::inside(&venv).set(&fingerprint)
    }
}

/// The Node packages of the CDK app.
pub fn install_cdk(checkout: &Checkout) -> Result<(), Failure> {
    install_node_packages(checkout, &checkout.cdk())
}

/// The Node packages of a folder, exactly as locked.
pub fn install_node_packages(checkout: &Checkout, folder: &Path) -> Result<(), Failure> {
    let name = folder.strip_prefix(checkout.root()).unwrap_or(folder).display();
    narration::step(&format!("Node packages of {name}"), |progress| {
        let modules = folder.join("node_modules");
        let fingerprint =
            Fingerprint::default().contents(&folder.join("package-lock.json"))?.finish();
        if Stamp::inside(&modules).says(&fingerprint) {
            progress.detail("unchanged");
            return Ok(());
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder);
        run(&mut npm, &checkout.local("npm.log"), |line| progress.note(line))?;
        progress.detail("installed");
        Stamp::inside(&modules).set(&fingerprint)
    })
}

pub fn remove_folder(folder: &Path) -> Result<(), Failure> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder)
        .explain(|| format!("{} cannot be removed", folder.display()), CHECK_FILES)
}

fn find_python() -> Result<(&'static str, String), Failure> {
    let found = PYTHON_NAMES.iter().find_map(|name| {
        let said = output(name, &["--version"])?;
        (version(&said)? >= PYTHON_MIN).then(|| (*name, number(&said)))
    });
    found.ok_or_else(|| Failure::new("Python 3.10 or newer is missing", GET_PYTHON))
}

fn at_least(
    tool: &str,
    said: Option<String>,
    least: Version,
    advice: &str,
) -> Result<String, Failure> {
    let Some(said) = said else {
        return Err(Failure::new(format!("{tool} is missing"), advice));
    };
    if version(&said).is_some_and(|found| found >= least) {
        return Ok(number(&said));
    }
    let what =
        format!("{tool} {} is too old: {}.{} or newer is needed", number(&said), least.0, least.1);
    Err(Failure::new(what, advice))
}

/// `rustc 1.95.0 (…)`, `Python 3.11.7`, `v20.20.2`: the first word with a number in it.
fn number(said: &str) -> String {
    let word = said.split_whitespace().find(|word| word.contains(|c: char| c.is_ascii_digit()));
    word.unwrap_or_default().trim_start_matches('v').to_owned()
}

fn version(said: &str) -> Option<Version> {
    let number = number(said);
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_says_its_version_in_its_own_way() {
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(version("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version("v20.20.2"), Some((20, 20)));
        assert_eq!(version("1.95"), Some((1, 95)));
        assert_eq!(version("no number"), None);
    }

    #[test]
    fn an_old_or_missing_tool_is_named_with_the_way_to_get_it() {
        let old =
            at_least("Node.js", Some("v18.2.0".into()), NODE_MIN, GET_NODE).expect_err("too old");
        assert_eq!(old.what, "Node.js 18.2.0 is too old: 20.0 or newer is needed");
        assert_eq!(old.advice, GET_NODE);
        let missing = at_least("Rust", None, (1, 95), GET_RUST).expect_err("missing");
        assert_eq!(missing.what, "Rust is missing");
        assert_eq!(
            at_least("Rust", Some("rustc 2.0.1".into()), (1, 95), GET_RUST).ok().as_deref(),
            Some("2.0.1")
        );
    }
}
