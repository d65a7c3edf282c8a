//! Whatever a context consumes is an event that somebody tells.

use std::collections::BTreeSet;

use tests::cdk::{self, Caller, Line};
use tests::repository;

use crate::assert_tidy;

fn findings(path: &str, lines: &[Line], catalogue: &BTreeSet<&str>) -> Vec<String> {
    lines
        .iter()
        .flat_map(|line| match &line.caller {
            Caller::Bus { events } => events
                .iter()
                .filter(|name| !catalogue.contains(name.as_str()))
                .map(|name| {
                    format!("{path}: {} consumes {name}, which nobody tells", line.operation)
                })
                .collect(),
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn every_consumed_event_is_told_by_somebody() {
    let described = events::catalogue();
    let catalogue = described.iter().map(|event| event.name).collect();
    let found: Vec<String> = repository::contexts()
        .iter()
        .flat_map(|context| findings(&cdk::path(context), &cdk::of(context), &catalogue))
        .collect();
    assert_tidy(&found);
}

#[test]
fn an_event_that_nobody_tells_is_found() {
    let lines = cdk::lines(r#"context.events("on-it", ["a.b.c", "a.b.d"], [writes]);"#);
    assert_eq!(
        findings("a.ts", &lines, &BTreeSet::from(["a.b.c"])),
        ["a.ts: on-it consumes a.b.d, which nobody tells"]
    );
}
