//! Every crate that is built in has a licence that lets a university use, change and pass on Matricula.

use std::env;
use std::process::Command;

use serde_json::Value;

use crate::assert_tidy;

const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// An SPDX expression, read from its start; `OR` binds weaker than `AND`.
struct Expression<'a> {
    left: Vec<&'a str>,
}

impl<'a> Expression<'a> {
    fn read(spaced: &'a str) -> Self {
        Self { left: spaced.split_whitespace().rev().collect() }
    }

    fn takes(&mut self, word: &str) -> bool {
        let next = self.left.last() == Some(&word);
        if next {
            self.left.pop();
        }
        next
    }

    fn either(&mut self) -> bool {
        let mut allowed = self.both();
        while self.takes("OR") {
            allowed |= self.both();
        }
        allowed
    }

    fn both(&mut self) -> bool {
        let mut allowed = self.one();
        while self.takes("AND") {
            allowed &= self.one();
        }
        allowed
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let allowed = self.either();
            return self.takes(")") && allowed;
        }
        let allowed = self.left.pop().is_some_and(|licence| ALLOWED.contains(&licence));
        // An exception only adds to what is allowed.
        if self.takes("WITH") {
            self.left.pop();
        }
        allowed
    }
}

fn is_allowed(licence: &str) -> bool {
    let spaced = licence.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut expression = Expression::read(&spaced);
    expression.either() && expression.left.is_empty()
}

fn findings(metadata: &Value) -> Vec<String> {
    let in_use = metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    let in_use: Vec<&Value> = in_use.map(|node| &node["id"]).collect();
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| in_use.contains(&&package["id"]))
        .filter(|package| !package["license"].as_str().is_some_and(is_allowed))
        .map(|package| format!("{} has the licence {}", package["name"], package["license"]))
        .collect()
}

#[test]
fn every_crate_in_use_has_an_allowed_licence() {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(tests::repository::root())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = serde_json::from_slice(&output.stdout).expect("cargo answers in JSON");
    assert_tidy(&findings(&metadata));
}

#[test]
fn a_licence_that_is_not_allowed_is_found() {
    assert!(is_allowed("MIT/Apache-2.0"));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only"));
    assert!(!is_allowed("MIT AND GPL-3.0-only"));
    let metadata = serde_json::json!({
        "packages": [
            { "id": "a 1", "name": "a", "license": "GPL-3.0-only" },
            { "id": "b 1", "name": "b", "license": null },
        ],
        "resolve": { "nodes": [{ "id": "a 1" }] },
    });
    assert_eq!(findings(&metadata), ["\"a\" has the licence \"GPL-3.0-only\""]);
}
