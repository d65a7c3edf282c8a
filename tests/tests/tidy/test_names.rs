//! A test that a document names is there.

use std::collections::BTreeSet;

use tests::repository;

use crate::{assert_tidy, files};

/// Names of fewer words may be those of fields.
const WORDS_MIN: usize = 5;

/// What stands between backticks and can only be the name of a test.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name =
        move |word: &&str| word.split('_').count() >= WORDS_MIN && word.bytes().all(is_letter);
    text.split('`').skip(1).step_by(2).filter(is_name)
}

fn gone(path: &str, text: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let gone = named(text).filter(|name| !known.contains(name));
    gone.map(|name| format!("{path} names the test {name}, which is gone")).collect()
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let code = files(&[".rs"]);
    let functions = code.iter().flat_map(|(_, text)| text.split("fn ").skip(1));
    let known = functions.filter_map(|rest| Some(rest.split_once('(')?.0)).collect();
    let mut documents = repository::files("docs/decisions", &[".md"]);
    for path in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        documents.push((path.to_owned(), repository::read(path).expect("it is there")));
    }
    assert!(documents.iter().any(|(_, text)| named(text).next().is_some()), "none is named");
    let found = documents.iter().flat_map(|(path, text)| gone(path, text, &known));
    assert_tidy(&found.collect::<Vec<_>>());
}

#[test]
fn a_test_that_is_gone_is_found() {
    let text =
        "`a_cart_costs_one_read` was it; `it_is_there_all_the_same`, and `of_four_words_only`.";
    let known = BTreeSet::from(["it_is_there_all_the_same"]);
    assert_eq!(
        gone("a.md", text, &known),
        ["a.md names the test a_cart_costs_one_read, which is gone"]
    );
}
