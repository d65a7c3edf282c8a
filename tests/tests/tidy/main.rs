//! What the style asks for, wherever a test can ask it. Each rule is a function from text to findings, one walk
//! through the repository, and a planted violation that it finds.

mod consumed_events;
mod dependencies;
mod fault_walks;
mod features;
mod file_names;
mod first_lines;
mod leftovers;
mod lengths;
mod licences;
mod mutations;
mod operations;
mod readmes;
mod routes;
mod service_clients;
mod test_names;

use std::collections::BTreeSet;

/// Folders whose files are written by hand.
const FOLDERS: [&str; 5] = ["functions", "shared", "infra", "tests", "state-machines"];

/// Files written by hand whose name ends in one of `endings`, with their paths.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    FOLDERS.iter().flat_map(|folder| tests::repository::files(folder, endings)).collect()
}

#[track_caller]
fn assert_tidy(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// What stands in one place and not in the other.
fn disagreements(
    (left, in_left): (&str, &BTreeSet<String>),
    (right, in_right): (&str, &BTreeSet<String>),
) -> Vec<String> {
    let lacks = |place: &str, name: &String, other: &str| {
        format!("{place} lacks {name}, which {other} has")
    };
    let only_left = in_left.difference(in_right).map(|name| lacks(right, name, left));
    let only_right = in_right.difference(in_left).map(|name| lacks(left, name, right));
    only_left.chain(only_right).collect()
}

#[test]
fn what_stands_in_one_place_only_is_found() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        disagreements(("main.rs", &set(&["a", "b"])), ("README.md", &set(&["b", "c"]))),
        ["README.md lacks a, which main.rs has", "main.rs lacks c, which README.md has"]
    );
}
