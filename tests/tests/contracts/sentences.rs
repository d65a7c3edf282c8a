//! Every refusal has a sentence in every language.

use std::collections::BTreeSet;

use fluent_bundle::FluentResource;
use kernel::Locale;
use tests::repository;

/// What a Fluent file says: its messages, each with the arguments that it names.
fn messages(fluent: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut message = "";
    for line in fluent.lines().filter(|line| !line.starts_with('#')) {
        if let Some((id, _)) = line.split_once(" =").filter(|_| !line.starts_with(' ')) {
            message = id;
            found.insert(id.to_owned());
        }
        for argument in line.split("{ $").skip(1).filter_map(|rest| rest.split(' ').next()) {
            found.insert(format!("{message} ${argument}"));
        }
    }
    found
}

/// Codes in the match arms of a file that says what is refused: `=> ("CODE", 404)`, or `=> "CODE"` for a part of one.
fn codes(rust: &str) -> BTreeSet<String> {
    if !rust.contains("impl Refuse for ") {
        return BTreeSet::new();
    }
    let arms = rust.lines().filter_map(|line| line.split_once("=> "));
    arms.filter_map(|(_, value)| {
        let (code, rest) = value.trim_start_matches('(').strip_prefix('"')?.split_once('"')?;
        let is_arm = rest == "," || rest.starts_with(',') && rest.ends_with("),");
        let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        (is_arm && code.chars().all(is_code)).then(|| code.to_owned())
    })
    .collect()
}

fn without_sentence(codes: &BTreeSet<String>, messages: &BTreeSet<String>) -> Vec<String> {
    let said = |code: &&String| messages.contains(&code.to_ascii_lowercase().replace('_', "-"));
    codes.iter().filter(|code| !said(code)).cloned().collect()
}

/// Folders with sentences: every context, and the shell.
fn folders() -> Vec<String> {
    let contexts = repository::contexts().into_iter().map(|context| format!("functions/{context}"));
    contexts.chain(["shared/shell".to_owned()]).collect()
}

#[test]
fn every_language_says_the_same_with_the_same_arguments() {
    for folder in folders() {
        let [english, french, spanish] = Locale::ALL.map(|locale| {
            let path = format!("{folder}/locales/{}.ftl", locale.code());
            let text = repository::read(&path).unwrap_or_else(|| panic!("{path} is lacking"));
            let errors = FluentResource::try_new(text.clone()).err().map(|(_, errors)| errors);
            assert_eq!(errors, None, "{path} is not Fluent");
            messages(&text)
        });
        assert!(!english.is_empty(), "{folder} says nothing");
        assert_eq!(english, french, "{folder}, English and French");
        assert_eq!(english, spanish, "{folder}, English and Spanish");
    }
}

#[test]
fn every_refusal_has_a_sentence() {
    for folder in folders() {
        let english = repository::read(&format!("{folder}/locales/en.ftl")).unwrap_or_default();
        let messages = messages(&english);
        let sources = repository::files(&format!("{folder}/src"), &[".rs"]);
        let codes: BTreeSet<String> = sources.iter().flat_map(|(_, text)| codes(text)).collect();
        assert!(!codes.is_empty(), "{folder} refuses nothing");
        assert_eq!(without_sentence(&codes, &messages), Vec::<String>::new(), "{folder}");
    }
}

#[test]
fn a_refusal_without_a_sentence_is_found() {
    let rust = r#"
        Self::TermUnknown => ("TERM_UNKNOWN", 404),
        Self::Full { .. } => ("SECTION_FULL", 409),
        Self::Clash => "CLASH",
        "not-this" => ("submit", 1),"#;
    assert!(codes(rust).is_empty(), "nothing is refused there");
    let codes = codes(&format!("impl Refuse for Refusal {{{rust}"));
    let messages = messages("# Words\nterm-unknown = No such term.\nother = At most { $limit }.\n");
    assert_eq!(without_sentence(&codes, &messages), ["CLASH", "SECTION_FULL"]);
    assert!(messages.contains("other $limit"));
}
