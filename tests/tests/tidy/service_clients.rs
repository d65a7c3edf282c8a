//! Another system is no person: an operation that it may call asks for none.

use tests::repository;

use crate::assert_tidy;

/// What marks an operation that service clients may call.
const FOR_CLIENTS: &str = ".for_clients(";
/// They fail where no person calls.
const OF_A_PERSON: [&str; 2] = ["call.person()", "call.caller()"];

fn findings(path: &str, text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    if !code.contains(FOR_CLIENTS) {
        return Vec::new();
    }
    let asks = |line: &str| OF_A_PERSON.iter().find(|asks| line.contains(**asks)).copied();
    let lines = code.lines().enumerate();
    lines
        .filter_map(|(at, line)| Some((at, asks(line)?)))
        .map(|(at, asks)| format!("{path}:{}: {asks}, though a service client may call", at + 1))
        .collect()
}

#[test]
fn what_another_system_may_call_asks_for_no_person() {
    let operations = repository::files("functions", &[".rs"]);
    let found: Vec<String> =
        operations.iter().flat_map(|(path, text)| findings(path, text)).collect();
    assert_tidy(&found);
}

#[test]
fn an_operation_that_asks_another_system_for_its_person_is_found() {
    let planted = |clients: &str| {
        format!(
            "ROUTE{clients};\nfn handle() {{\n    call.person();\n}}\n#[cfg(test)]\ncall.caller()"
        )
    };
    let found = findings("a.rs", &planted(".for_clients(scope)"));
    assert_eq!(found, ["a.rs:3: call.person(), though a service client may call"]);
    assert!(findings("a.rs", &planted("")).is_empty());
}
