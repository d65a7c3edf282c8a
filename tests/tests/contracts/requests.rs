//! What a request must carry, and which are let through less often than others: `docs/requests.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use shell::{HttpOperation, Route};
use tests::checked_in::{self, Files};
use tests::contexts::http_operations;
use tests::repository;

/// Where the gateway's limits stand.
const GATEWAY: &str = "infra/cdk/lib/api.ts";

#[test]
fn the_lists_are_checked_in() {
    let path = "docs/requests.md";
    let gateway = repository::read(GATEWAY).expect("the gateway's lines are there");
    let files = Files::from([(path.to_owned(), lists(&http_operations(), &gateway))]);
    checked_in::check(&files, "docs", |other| other == path);
}

#[test]
fn what_the_gateway_lets_through_less_often_is_there() {
    let gateway = "const MORE = 1;\nconst ATTEMPTS = { routes: [\"POST /a\", \"POST /b\"], perSecond: 20, atOnce: 40 };";
    assert_eq!(limited(gateway), ["POST /a", "POST /b"]);
    let there: BTreeSet<String> =
        http_operations().iter().map(|operation| called(&operation.route)).collect();
    let gateway = repository::read(GATEWAY).expect("the gateway's lines are there");
    let limited = limited(&gateway);
    assert!(!limited.is_empty(), "{GATEWAY} limits nothing");
    for route in limited {
        assert!(there.contains(route), "{route} is limited, and no operation");
    }
}

fn lists(operations: &[HttpOperation], gateway: &str) -> String {
    let mut text = String::from(
        "# What a request carries\n\n\
         Generated from the routes and the gateway's lines. What it means is in [integrators.md](integrators.md).\n",
    );
    let routes = || operations.iter().map(|operation| &operation.route);
    let keyless =
        routes().filter(|route| !route.idempotent_by_key && route.method.name() == "POST");
    let mut list = |heading: &str, about: &str, routes: Vec<String>| {
        write!(text, "\n## {heading}\n\n{about}\n\n").expect("a text takes more text");
        for route in routes {
            writeln!(text, "- {route}").expect("a text takes more text");
        }
    };
    list(
        "Without an Idempotency-Key",
        "Every other `POST` needs one.",
        keyless.map(called).collect(),
    );
    list(
        "With If-Match",
        "No other request needs it.",
        routes().filter(|route| route.edits).map(called).collect(),
    );
    list(
        "Limited to 20 a second",
        "Of all callers together, each route by itself; 40 at once. All others: 200 a second, 400 at once.",
        limited(gateway).into_iter().map(str::to_owned).collect(),
    );
    text
}

fn called(route: &Route) -> String {
    format!("{} {}", route.method.name(), route.path)
}

/// The routes in the line of the gateway that limits attempts.
fn limited(gateway: &str) -> Vec<&str> {
    let line = gateway.lines().find(|line| line.starts_with("const ATTEMPTS"));
    let routes = line.and_then(|line| line.split_once('[')?.1.split_once(']'));
    // Every second part stands between quotes.
    routes.map(|(routes, _)| routes.split('"').skip(1).step_by(2).collect()).unwrap_or_default()
}
