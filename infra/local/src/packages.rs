//! What is shipped to AWS: one reproducible zip per context, for the machines of Lambda.
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::bootstraps::CONTEXTS;
use crate::checkout::{Checkout, shown};
use crate::failure::Failure;
use crate::narration::{self, Progress, fact, heading};
use crate::processes::{output, run};
use crate::toolchain::Toolchain;

/// The cross compiler, pinned like everything else that makes the packages.
const REQUIREMENTS: [&str; 2] = ["cargo-lambda==1.9.2", "ziglang==0.17.1"];
/// The same files give the same bytes: sorted, and all of the same age.
const ZIP: &str = include_str!("../reproducible_zip.py");

#[derive(Clone, Copy, ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64")]
    X86,
    #[value(name = "arm64")]
    Arm,
}

impl Arch {
    fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-gnu",
            Self::Arm => "aarch64-unknown-linux-gnu",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::X86 => "--x86-64",
            Self::Arm => "--arm64",
        }
    }
}

/// `package`: `target/package/<arch>/<context>.zip` for every context.
pub fn package(checkout: &Checkout, arch: Arch) -> Result<(), Failure> {
    heading(&format!("Packages for {}", arch.name()));
    let toolchain = Toolchain::check()?;
    check_target(arch.target(), &library_of)?;
    let tools = toolchain.install_packager(checkout, &REQUIREMENTS)?;
    let folder = checkout.path(&format!("target/package/{}", arch.name()));
    narration::step("release bootstraps", |progress| {
        build(checkout, arch, &tools, &folder, progress)
    })?;
    for context in CONTEXTS {
        narration::step(&format!("{context}.zip"), |progress| {
            let zip = folder.join(format!("{context}.zip"));
            let bootstrap = folder.join(format!("bin/{context}/bootstrap"));
            let mut python = Command::new(tools.join("python"));
            python.args(["-c", ZIP]).arg(&zip).arg(&bootstrap);
            run(&mut python, &folder.join("zip.log"), |line| progress.detail(line))
        })?;
    }
    fact("packages", &shown(&folder));
    fact("deploy them", &format!("npx cdk deploy --context bootstraps={}/bin", folder.display()));
    Ok(())
}

fn build(
    checkout: &Checkout,
    arch: Arch,
    tools: &Path,
    folder: &Path,
    progress: &Progress,
) -> Result<(), Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(tools.to_owned()).chain(std::env::split_paths(&path));
    let mut cargo = Command::new("cargo");
    cargo
        .args(["lambda", "build", "--release", "--workspace", arch.flag(), "--lambda-dir"])
        .arg(folder.join("bin"))
        .current_dir(checkout.root())
        .env("PATH", std::env::join_paths(paths).unwrap_or(path))
        .env("RUSTFLAGS", without_places(checkout));
    for context in CONTEXTS {
        cargo.args(["--bin", context]);
    }
    run(&mut cargo, &folder.join("build.log"), |line| progress.note(line.trim()))
}

/// No path of this machine stands in what is shipped, so that another machine builds the same
/// bytes.
fn without_places(checkout: &Checkout) -> String {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags = format!("--remap-path-prefix={}=.", checkout.root().display());
    if let Ok(home) = home {
        flags = format!("{flags} --remap-path-prefix={home}=cargo");
    }
    flags
}

/// Where Rust's standard library for a target lies, if rustc knows the target.
fn library_of(target: &str) -> Option<String> {
    output("rustc", &["--print", "target-libdir", "--target", target])
}

fn check_target(target: &str, library_of: &dyn Fn(&str) -> Option<String>) -> Result<(), Failure> {
    if library_of(target).is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    let what = format!("Rust's standard library for {target} is not installed");
    Err(Failure::new(what, format!("Get it with `rustup target add {target}`.")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_target_that_is_not_installed_is_named_with_the_way_to_get_it() {
        let there = std::env::temp_dir().to_string_lossy().into_owned();
        check_target(Arch::Arm.target(), &|_| Some(there.clone())).expect("it is installed");
        for lacking in [None, Some("/nowhere".to_owned())] {
            let failure = check_target(Arch::Arm.target(), &|_| lacking.clone());
            let failure = failure.expect_err("it is not installed");
            assert!(failure.what.contains("aarch64-unknown-linux-gnu"), "{}", failure.what);
            assert_eq!(
                failure.advice,
                "Get it with `rustup target add aarch64-unknown-linux-gnu`."
            );
        }
    }

    #[test]
    fn the_same_bootstrap_gives_the_same_zip_whenever_it_was_written() {
        let folder = std::env::temp_dir().join(format!("matricula-package-{}", std::process::id()));
        let zips = ["first", "second"].map(|name| {
            let own = folder.join(name);
            fs::create_dir_all(&own).expect("writable");
            let (bootstrap, zip) = (own.join("bootstrap"), own.join("context.zip"));
            let file = fs::File::create(&bootstrap).expect("writable");
            fs::write(&bootstrap, "the same program").expect("writable");
            let hour = if name == "first" { 1 } else { 2 };
            let changed = std::time::UNIX_EPOCH + std::time::Duration::from_hours(500_000 + hour);
            file.set_modified(changed).expect("its time can be set");
            let mut python = Command::new("python3");
            let status = python.args(["-c", ZIP]).arg(&zip).arg(&bootstrap).output();
            assert!(status.expect("python3 is there").status.success());
            fs::read(zip).expect("it was written")
        });
        assert!(zips[0].starts_with(b"PK") && zips[0] == zips[1]);
        fs::remove_dir_all(folder).expect("removable");
    }
}
