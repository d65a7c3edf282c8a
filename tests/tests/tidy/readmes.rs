//! Every context has one page, with the same headings, and the operations and events that it really has.

use std::collections::BTreeSet;

use tests::cdk::{self, Caller};
use tests::repository;

use crate::{assert_tidy, disagreements};

const HEADINGS: [&str; 5] = ["Language", "Operations", "Events out", "Events in", "Keys"];

fn headings(readme: &str) -> Vec<&str> {
    readme.lines().filter_map(|line| line.strip_prefix("## ")).collect()
}

fn section<'a>(readme: &'a str, heading: &str) -> &'a str {
    let mut sections = readme.split("\n## ");
    sections
        .find_map(|section| section.strip_prefix(heading)?.strip_prefix('\n'))
        .unwrap_or_default()
}

/// Operations in the table, with or without their context before them.
pub fn operations(context: &str, readme: &str) -> BTreeSet<String> {
    let rows = section(readme, "Operations").lines().filter_map(|line| line.strip_prefix('|'));
    let first_cells = rows.skip(2).filter_map(|row| row.split('|').next());
    first_cells
        .flat_map(|cell| cell.split(','))
        .map(|name| name.trim_matches([' ', '`']))
        .map(|name| name.strip_prefix(&format!("{context}-")).unwrap_or(name).to_owned())
        .collect()
}

/// Names of events in a section; `context.thing.happened`.
fn events(readme: &str, heading: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let words = section(readme, heading).split(|c: char| !is_part(c));
    words.filter(|word| is_event(word)).map(str::to_owned).collect()
}

fn is_event(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let is_word =
        |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    parts.len() == 3 && parts.iter().all(is_word)
}

fn unknown(path: &str, names: &BTreeSet<String>, catalogue: &BTreeSet<String>) -> Vec<String> {
    names.difference(catalogue).map(|name| format!("{path}: there is no event {name}")).collect()
}

fn of_context(context: &str, catalogue: &BTreeSet<String>) -> Vec<String> {
    let path = format!("functions/{context}/README.md");
    let Some(readme) = repository::read(&path) else { return vec![format!("{path} is lacking")] };
    if headings(&readme) != HEADINGS {
        return vec![format!("{path}: the headings are not {}", HEADINGS.join(" · "))];
    }
    let consumed = cdk::of(context)
        .into_iter()
        .flat_map(|line| match line.caller {
            Caller::Bus { events } => events,
            _ => Vec::new(),
        })
        .collect();
    let (told, heard) = (events(&readme, "Events out"), events(&readme, "Events in"));
    let mut found = unknown(&path, &told, catalogue);
    found.extend(disagreements(
        (&format!("{path} (Events in)"), &heard),
        (&cdk::path(context), &consumed),
    ));
    let own = catalogue.iter().filter(|name| name.starts_with(&format!("{context}."))).cloned();
    let own: BTreeSet<String> = own.collect();
    found.extend(disagreements(
        (&format!("{path} (Events out)"), &told),
        ("the catalogue in shared/events", &own),
    ));
    found
}

#[test]
fn every_context_has_its_page() {
    let catalogue = events::catalogue().iter().map(|event| event.name.to_owned()).collect();
    let contexts = repository::contexts();
    let found: Vec<String> =
        contexts.iter().flat_map(|context| of_context(context, &catalogue)).collect();
    assert_tidy(&found);
}

#[test]
fn a_page_is_read_as_it_is_written() {
    let readme = "# Billing\n## Language\n## Operations\n\n| Operation | For |\n|---|---|\n\
        | `billing-charge` | `POST /x` |\n| read-invoice | y |\n\
        ## Events out\n\n- `billing.charge.posted`, `not.this`\n";
    assert_ne!(headings(readme), HEADINGS);
    let names =
        |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(operations("billing", readme), names(&["charge", "read-invoice"]));
    let told = events(readme, "Events out");
    assert_eq!(told, names(&["billing.charge.posted"]));
    assert_eq!(unknown("p", &told, &names(&[])), ["p: there is no event billing.charge.posted"]);
}
