//! The API's routes are the same in Rust and in CDK: method, path, and whether they are open to anybody.

use std::collections::BTreeSet;

use shell::Access;
use tests::cdk::{self, Caller, Line};
use tests::{contexts, repository};

use crate::{assert_tidy, disagreements};

/// Where what has no address of its own goes; only the gateway knows it.
const DEFAULT: &str = "$default";

fn described(operation: &str, route: &str, open: bool) -> String {
    let who = if open { "anybody" } else { "whoever is logged in" };
    format!("{operation} ({route}, for {who})")
}

fn in_cdk(lines: &[Line]) -> BTreeSet<String> {
    lines
        .iter()
        .filter_map(|line| match &line.caller {
            Caller::Api { route, open } if route != DEFAULT => {
                Some(described(&line.operation, route, *open))
            }
            _ => None,
        })
        .collect()
}

fn in_rust(context: &str) -> BTreeSet<String> {
    let operations = contexts::http_operations().into_iter();
    operations
        .filter(|operation| operation.context == context && operation.route.path != DEFAULT)
        .map(|operation| {
            let route = operation.route;
            let key = format!("{} {}", route.method.name(), route.path);
            described(route.operation, &key, route.access == Access::Public)
        })
        .collect()
}

#[test]
fn a_route_is_the_same_in_rust_and_in_cdk() {
    let mut found = Vec::new();
    for context in repository::contexts() {
        let rust = format!("functions/{context}/src/lib.rs");
        let cdk = (cdk::path(&context), in_cdk(&cdk::of(&context)));
        found.extend(disagreements((&rust, &in_rust(&context)), (&cdk.0, &cdk.1)));
    }
    assert_tidy(&found);
}

#[test]
fn a_route_that_is_open_on_one_side_only_is_found() {
    let rust = BTreeSet::from([described("log-in", "POST /sessions", true)]);
    let cdk = in_cdk(&cdk::lines(r#"context.http("log-in", "POST /sessions", [writes]);"#));
    assert_eq!(
        disagreements(("lib.rs", &rust), ("identity.ts", &cdk)),
        [
            "identity.ts lacks log-in (POST /sessions, for anybody), which lib.rs has",
            "lib.rs lacks log-in (POST /sessions, for whoever is logged in), which identity.ts has",
        ]
    );
}
