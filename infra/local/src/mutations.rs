//! Defects on purpose: each patch in `tests/mutations` is applied to a copy of the checkout, where the model's test
//! must notice it.
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::{Checkout, shown};
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::narration::Progress;
use crate::processes::{output, run, run_with_status};
use crate::tally::Reader;

/// The test target that a defect is to be noticed by.
pub const MODEL: &str = "model";
const PATCHES: &str = "tests/mutations";

/// One defect, by the name of its patch.
pub struct Mutation {
    pub name: String,
    patch: PathBuf,
}

/// All of them, by name.
pub fn all(checkout: &Checkout) -> Result<Vec<Mutation>, Failure> {
    let folder = checkout.path(PATCHES);
    let listed = || format!("{} cannot be listed", shown(&folder));
    let mut mutations = Vec::new();
    for entry in fs::read_dir(&folder).explain(listed, CHECK_FILES)? {
        let patch = entry.explain(listed, CHECK_FILES)?.path();
        let name = patch.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
        if let Some(name) = name.filter(|_| patch.extension().is_some_and(|it| it == "patch")) {
            mutations.push(Mutation { name, patch });
        }
    }
    mutations.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(mutations)
}

/// The copy, and what is built of it. It has a target of its own: cargo gives what it builds there the same names as
/// in the checkout, where a program with a defect would lie for everybody.
pub struct Copy {
    checkout: PathBuf,
    target: PathBuf,
}

impl Copy {
    pub fn prepare(checkout: &Checkout) -> Result<Self, Failure> {
        let folder = checkout.path("target/mutations");
        let copy = Self { checkout: folder.join("checkout"), target: folder.join("target") };
        if !copy.target.exists() {
            let target = std::env::var_os("CARGO_TARGET_DIR");
            let target = target.map_or_else(|| checkout.path("target"), PathBuf::from);
            for built in ["deps", "build", ".fingerprint"] {
                let (from, to) =
                    (target.join("debug").join(built), copy.target.join("debug").join(built));
                if from.is_dir() {
                    let seeded = || format!("{} cannot be copied", shown(&from));
                    seed(&from, &to).explain(seeded, CHECK_FILES)?;
                }
            }
        }
        Ok(copy)
    }

    /// Every file that git knows or would take, as it is now. What differs is written anew, so that cargo sees it.
    fn refresh(&self, checkout: &Checkout) -> Result<(), Failure> {
        let root = checkout.root().to_string_lossy();
        let list = ["-C", &root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let advice = "Install git, and run this in a clone.";
        let unlisted = || Failure::new("git does not list the checkout", advice);
        let listed = output("git", &list).ok_or_else(unlisted)?;
        let names: BTreeSet<&Path> =
            listed.split('\0').filter(|name| !name.is_empty()).map(Path::new).collect();
        for name in &names {
            let (from, to) = (checkout.root().join(name), self.checkout.join(name));
            let copied = || format!("{} cannot be copied", name.display());
            // Deleted, and not committed yet.
            let Ok(contents) = fs::read(&from) else { continue };
            if fs::read(&to).is_ok_and(|standing| standing == contents) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder).explain(copied, CHECK_FILES)?;
            }
            fs::write(&to, contents).explain(copied, CHECK_FILES)?;
        }
        let is_left_over = |path: &Path| {
            let name = path.strip_prefix(&self.checkout).unwrap_or(path);
            !names.contains(name) || !checkout.root().join(name).exists()
        };
        let swept = || format!("{} cannot be cleared", shown(&self.checkout));
        for path in files(&self.checkout).explain(swept, CHECK_FILES)? {
            if is_left_over(&path) {
                fs::remove_file(&path).explain(swept, CHECK_FILES)?;
            }
        }
        Ok(())
    }

    fn model(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["test", "--workspace", "--test", MODEL])
            .current_dir(&self.checkout)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never");
        cargo
    }
}

/// All files below a folder.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let of_kind = if entry.file_type()?.is_dir() { &mut folders } else { &mut found };
            of_kind.push(entry.path());
        }
    }
    Ok(found)
}

/// What is compiled already need not be compiled again. Cargo replaces what is large, so that a link does for it; what
/// is small it may write into. It goes by the files' times.
fn seed(from: &Path, to: &Path) -> std::io::Result<()> {
    const LARGE: u64 = 64 * 1024;
    for file in files(from)? {
        let seeded = to.join(file.strip_prefix(from).unwrap_or(&file));
        if let Some(folder) = seeded.parent() {
            fs::create_dir_all(folder)?;
        }
        let metadata = fs::metadata(&file)?;
        if metadata.len() < LARGE || fs::hard_link(&file, &seeded).is_err() {
            fs::copy(&file, &seeded)?;
            File::options().append(true).open(&seeded)?.set_modified(metadata.modified()?)?;
        }
    }
    Ok(())
}

impl Mutation {
    /// Whether the model's test fails with it. A copy that does not compile proves nothing.
    pub fn must_be_noticed(
        &self,
        (checkout, copy): (&Checkout, &Copy),
        log: &Path,
        progress: &Progress,
    ) -> Result<(), Failure> {
        copy.refresh(checkout)?;
        let mut apply = Command::new("git");
        apply.arg("apply").arg(&self.patch).current_dir(&copy.checkout);
        // Else git would take the copy for a folder of the checkout around it, and pass over what lies elsewhere.
        apply.env("GIT_CEILING_DIRECTORIES", checkout.path("target/mutations"));
        run(&mut apply, log, |_| ())?;
        progress.note("compiling");
        run(copy.model().arg("--no-run"), log, |line| progress.note(line.trim()))?;
        progress.note("running");
        let mut reader = Reader::default();
        let mut noticed = String::new();
        run_with_status(&mut copy.model(), log, |line| {
            reader.read(line);
            if line.starts_with("seed ") {
                line.clone_into(&mut noticed);
            }
        })?;
        // A law that was broken, with its seed: that some refusal never occurred is no proof.
        if reader.tally.failed > 0 && !noticed.is_empty() {
            progress.detail(noticed);
            return Ok(());
        }
        let what = format!("nothing noticed the defect {}", self.name);
        let advice = "Sharpen the model in functions/enrollment/tests/model until it fails.";
        Err(Failure::new(what, advice).with_log(log))
    }
}
