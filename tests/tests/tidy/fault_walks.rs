//! An operation that may write is walked through every fault on the wire by a test.

use tests::{cdk, repository};

use crate::assert_tidy;

/// Operations that are not walked call by call, each with the reason.
const LEFT_OUT: [(&str, &str, &str); 1] = [(
    "moodle",
    "on-work-marked",
    "it is a whole run against a site: moodle/src/sync/tests.rs has runs under seeded faults",
)];

/// Whether a test of these files walks the operation: one of its own file, or one that names its handler.
fn is_walked(operation: &str, files: &[(String, String)]) -> bool {
    let module = operation.replace('-', "_");
    let (file, folder) = (format!("/operations/{module}.rs"), format!("/operations/{module}/"));
    let handler = format!("{module}::handle");
    files.iter().any(|(path, text)| {
        let is_own = path.ends_with(&file) || path.contains(&folder);
        let mut tests = text.split("#[tokio::test]").skip(1);
        tests.any(|test| test.contains("under_every_fault") && (is_own || test.contains(&handler)))
    })
}

fn findings(context: &str, lines: &[cdk::Line], files: &[(String, String)]) -> Vec<String> {
    let is_left_out = |operation: &str| {
        LEFT_OUT.iter().any(|(of, left_out, _)| (*of, *left_out) == (context, operation))
    };
    let finding = |line: &cdk::Line| {
        let operation = line.operation.as_str();
        let needs_walk = line.writes && !is_left_out(operation);
        match (needs_walk, is_walked(operation, files)) {
            (true, false) => Some(format!("{context}-{operation} may write, and no test walks it")),
            (false, true) if is_left_out(operation) => {
                Some(format!("{context}-{operation} is walked, and yet left out"))
            }
            _ => None,
        }
    };
    lines.iter().filter_map(finding).collect()
}

#[test]
fn whatever_may_write_is_walked_through_every_fault() {
    let of_context = |context: &String| {
        let files = repository::files(&format!("functions/{context}/src"), &[".rs"]);
        findings(context, &cdk::of(context), &files)
    };
    let found: Vec<String> = repository::contexts().iter().flat_map(of_context).collect();
    assert_tidy(&found);
}

#[test]
fn what_is_not_walked_is_found() {
    let lines = cdk::lines(
        r#"
        context.http("own", "POST /own", [writes]);
        context.step("other", [writes]);
        context.step("bare", [writes, secret("KEY")]);
        context.http("reads", "GET /reads", [reads]);
        context.events("on-work-marked", ["a.b.c"], [writes]);
        "#,
    );
    let file = |name: &str, text: &str| {
        (format!("functions/moodle/src/operations/{name}.rs"), text.to_owned())
    };
    let files = [
        file("own", "#[tokio::test] a() { under_every_fault(other::handle) }"),
        file("bare", "#[tokio::test] a() {} #[tokio::test] b() { own::handle }"),
        file("on_work_marked", ""),
    ];
    let bare = "moodle-bare may write, and no test walks it";
    assert_eq!(findings("moodle", &lines, &files), [bare]);
    let walked = [file("bare", "#[tokio::test] under_every_fault other::handle own::handle")];
    let walked = [&walked[..], &[file("on_work_marked", "#[tokio::test] under_every_fault")]];
    let idle = "moodle-on-work-marked is walked, and yet left out";
    assert_eq!(findings("moodle", &lines, &walked.concat()), [idle]);
}
