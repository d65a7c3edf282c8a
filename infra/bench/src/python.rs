//! Python in environments of their own, with pinned packages, for what Matricula is compared with.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::failure::{Explain, Failure};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tmp");

/// An interpreter that has these packages and nothing else, installed where it is not there yet.
pub async fn with(name: &str, pinned: &[&str]) -> Result<PathBuf, Failure> {
    let folder = Path::new(FOLDER).join(name);
    let python = folder.join("bin/python");
    let mark = folder.join("installed");
    let wanted = pinned.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let folder = folder.to_str().explain("the repository's path is no text")?;
    let mut make = Command::new("python3");
    run(make.args(["-m", "venv", "--clear", folder])).await?;
    let mut install = Command::new(&python);
    run(install.args(["-m", "pip", "install", "--quiet", "--no-deps"]).args(pinned)).await?;
    std::fs::write(&mark, wanted).explain("what was installed cannot be marked")?;
    Ok(python)
}

/// Standard output belongs to the result.
async fn run(command: &mut Command) -> Result<(), Failure> {
    let command = command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().await.explain("Python cannot be run: install python3-venv")?;
    status.success().then_some(()).explain("Python's packages could not be installed")
}
