//! Programs and tests share one build of each dependency: where a dev-dependency switched a feature on that nothing
//! else needs, everything above it would be compiled twice.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use crate::assert_tidy;

/// Crates with their features, as they are chosen along these edges.
fn tree(edges: &str) -> BTreeMap<String, String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["tree", "--workspace", "--offline", "--prefix", "none", "--edges", edges];
    let tree = Command::new(cargo)
        .args(arguments)
        .args(["--format", "{p} [{f}]"])
        .current_dir(tests::repository::root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    read(&String::from_utf8_lossy(&tree.stdout))
}

fn read(tree: &str) -> BTreeMap<String, String> {
    let lines = tree.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once(" ["));
    lines.map(|(name, features)| (name.to_owned(), features.to_owned())).collect()
}

fn compiled_twice(
    programs: &BTreeMap<String, String>,
    tests: &BTreeMap<String, String>,
) -> Vec<String> {
    let differs = |(name, features): (&String, &String)| {
        let other = tests.get(name).filter(|other| *other != features)?;
        let advice = "make a package of tests depend on whatever asks for the difference";
        Some(format!("{name} is built with [{features} and with [{other}: {advice}"))
    };
    programs.iter().filter_map(differs).collect()
}

#[test]
fn nothing_is_compiled_once_for_programs_and_again_for_tests() {
    assert_tidy(&compiled_twice(&tree("normal,build"), &tree("normal,build,dev")));
}

#[test]
fn a_feature_that_only_tests_switch_on_is_found() {
    let programs = read("rand v1.0.0 [std]\nserde v1.0.0 [derive] (*)");
    let tests = read("rand v1.0.0 [alloc,std]\nserde v1.0.0 [derive]\nproptest v1.0.0 []");
    assert_eq!(compiled_twice(&programs, &tests).len(), 1);
    assert!(compiled_twice(&programs, &programs).is_empty());
}
