//! No file or folder is named after nothing: what has no noun has no home yet.

use tests::repository;

use crate::{FOLDERS, assert_tidy};

const EMPTY_NAMES: [&str; 9] =
    ["utils", "util", "common", "helpers", "helper", "manager", "service", "impl", "misc"];

fn is_empty_name(path: &str) -> bool {
    let names = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    names.into_iter().any(|name| EMPTY_NAMES.contains(&name))
}

#[test]
fn every_file_has_a_name_of_its_own() {
    let found: Vec<String> = FOLDERS
        .iter()
        .flat_map(|folder| repository::paths(folder))
        .filter(|path| is_empty_name(path))
        .collect();
    assert_tidy(&found);
}

#[test]
fn an_empty_name_is_found() {
    assert!(is_empty_name("functions/billing/src/utils.rs"));
    assert!(is_empty_name("shared/common/src/lib.rs"));
    assert!(!is_empty_name("functions/identity/src/domain/common_passwords.txt"));
}
