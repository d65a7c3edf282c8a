//! What is generated and checked in: compared on every run, rewritten by UPDATE=1.

use std::collections::{BTreeMap, BTreeSet};
use std::{env, fs};

use serde_json::Value;

use crate::repository;

/// Generated texts by their path from the root.
pub type Files = BTreeMap<String, String>;

/// Compares `generated` with the files in the repository. `ours` says which other files would be left over.
pub fn check(generated: &Files, folder: &str, ours: impl Fn(&str) -> bool) {
    let standing: Files = repository::paths(folder)
        .into_iter()
        .filter(|path| generated.contains_key(path) || ours(path))
        .map(|path| {
            let text = repository::read(&path).unwrap_or_default();
            (path, text)
        })
        .collect();
    let differences = differences(generated, &standing);
    if env::var("UPDATE").is_ok_and(|update| update == "1") {
        rewrite(generated, &standing);
        return;
    }
    assert!(
        differences.is_empty(),
        "{}\nGenerated files are not as the code says. Rewrite them: UPDATE=1 cargo test -p tests --test contracts",
        differences.join("\n")
    );
}

/// One line for every file that is lacking, is left over or says something else.
pub fn differences(generated: &Files, standing: &Files) -> Vec<String> {
    let paths: BTreeSet<&String> = generated.keys().chain(standing.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| match (generated.get(path), standing.get(path)) {
            (Some(new), Some(old)) if new == old => None,
            (Some(new), Some(old)) => Some(format!("{path}: line {} differs", differing(new, old))),
            (Some(_), None) => Some(format!("{path} is lacking")),
            (None, _) => Some(format!("{path} is left over: nothing generates it any more")),
        })
        .collect()
}

fn differing(new: &str, old: &str) -> usize {
    new.lines().zip(old.lines()).take_while(|(new, old)| new == old).count() + 1
}

fn rewrite(generated: &Files, standing: &Files) {
    let root = repository::root();
    for (path, text) in generated.iter().filter(|(path, text)| standing.get(*path) != Some(*text)) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("it can be made");
        fs::write(path, text).expect("it can be written");
    }
    for left_over in standing.keys().filter(|path| !generated.contains_key(*path)) {
        fs::remove_file(root.join(left_over)).expect("it can be removed");
    }
}

/// JSON as it is checked in: two spaces, members in order of their names, whatever the features of serde_json.
pub fn json(value: &Value) -> String {
    format!("{:#}\n", sorted(value))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_is_lacking_left_over_or_different_is_named() {
        let generated = files(&[("a", "1\n2\n"), ("b", "1\n"), ("c", "1\n")]);
        let standing = files(&[("a", "1\n3\n"), ("c", "1\n"), ("d", "1\n")]);
        assert_eq!(
            differences(&generated, &standing),
            ["a: line 2 differs", "b is lacking", "d is left over: nothing generates it any more"]
        );
        assert_eq!(differences(&generated, &generated), Vec::<String>::new());
    }
}
