//! Every defect that is put in on purpose can still be put in: a patch that the code has left behind proves nothing.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use tests::repository;

use crate::{assert_tidy, disagreements};

const FOLDER: &str = "tests/mutations";

fn unfit(path: &str, patch: &str) -> Option<String> {
    let mut git = Command::new("git")
        .args(["apply", "--check", "-"])
        .current_dir(repository::root())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("git is there");
    let mut input = git.stdin.take().expect("its input is a pipe");
    input.write_all(patch.as_bytes()).expect("git reads it");
    drop(input);
    let output = git.wait_with_output().expect("git ends");
    let said = String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then(|| format!("{path}: {}", said.trim()))
}

#[test]
fn every_defect_can_still_be_put_in() {
    let patches = repository::files(FOLDER, &[".patch"]);
    assert!(!patches.is_empty());
    let found: Vec<String> =
        patches.iter().filter_map(|(path, patch)| unfit(path, patch)).collect();
    assert_tidy(&found);
}

#[test]
fn every_defect_is_listed() {
    let names = repository::files(FOLDER, &[".patch"]).into_iter();
    let names: BTreeSet<String> = names
        .filter_map(|(path, _)| {
            let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
            name.strip_suffix(".patch").map(str::to_owned)
        })
        .collect();
    let readme = repository::read(&format!("{FOLDER}/README.md")).expect("they have a README");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed = rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect();
    assert_tidy(&disagreements((FOLDER, &names), ("its README", &listed)));
}

#[test]
fn a_patch_that_no_longer_applies_is_found() {
    let planted =
        "--- a/Cargo.toml\n+++ b/Cargo.toml\n@@ -1,2 +1,2 @@\n-nobody wrote this\n+b\n c\n";
    let found = unfit("a.patch", planted).expect("it is found");
    assert!(found.starts_with("a.patch: error: patch failed"), "{found}");
}
