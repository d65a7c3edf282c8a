//! The programs that are measured: built by cargo before every bench, in the profile that the bench itself has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Explain, Failure};

/// Each is a package with a bootstrap of the same name.
pub const CONTEXTS: [&str; 7] =
    ["identity", "catalog", "enrollment", "billing", "moodle", "notifications", "operations"];

/// Where the built programs lie: beside the bench.
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Where the programs are, after they were built unless that was declined.
    pub fn ready(
        contexts: &[impl AsRef<str>],
        with_hello: bool,
        no_build: bool,
    ) -> Result<Self, Failure> {
        let bench = std::env::current_exe().explain("where the bench itself lies is unknown")?;
        let folder = bench.parent().map(Path::to_owned).explain("the bench lies nowhere")?;
        let release = folder.ends_with("release");
        if !release {
            eprintln!("bench: this is not a release build; its numbers say nothing");
        }
        if !no_build {
            build_bootstraps(contexts, release)?;
            if with_hello {
                cargo(&["--package", "bench", "--bin", "hello"], release)?;
            }
        }
        Ok(Self { folder })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// All contexts are named whichever are wanted, so that what they share is compiled once and always the same way.
fn build_bootstraps(contexts: &[impl AsRef<str>], release: bool) -> Result<(), Failure> {
    let packages = CONTEXTS.iter().flat_map(|context| ["--package", context]);
    let bins = contexts.iter().flat_map(|context| ["--bin", context.as_ref()]);
    cargo(&packages.chain(bins).collect::<Vec<_>>(), release)
}

/// Standard output belongs to the result: what cargo says goes to the standard error.
fn cargo(arguments: &[&str], release: bool) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .arg("build")
        .args(release.then_some("--release"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .explain("cargo cannot be run")?;
    status.success().then_some(()).explain("the programs could not be built")
}
