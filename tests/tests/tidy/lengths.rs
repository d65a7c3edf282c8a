//! Functions fit on a screen, lines fit on it too.

use crate::{assert_tidy, files};

/// A function's lines, the first and the last included.
const FUNCTION_LINES_MAX: usize = 80;
const COLUMNS_MAX: usize = 120;
/// A word of this length cannot be broken: an address.
const WORD_MIN: usize = 60;

/// Comments that run off the screen; rustfmt keeps code on it.
fn long_lines(path: &str, text: &str) -> Vec<String> {
    let breakable = |line: &str| line.split_whitespace().all(|word| word.len() < WORD_MIN);
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line, line.chars().count()))
        .filter(|(_, line, columns)| *columns > COLUMNS_MAX && is_comment(line) && breakable(line))
        .map(|(at, _, columns)| format!("{path}:{at}: {columns} columns"))
        .collect()
}

/// Reads rustfmt's layout: a function ends at the first brace as deep as it began.
fn long_functions(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[at..].iter().position(|line| *line == end).map_or(1, |end| end + 1);
        if length > FUNCTION_LINES_MAX && !line.ends_with('}') && !line.ends_with(';') {
            found.push(format!("{path}:{}: a function of {length} lines", at + 1));
        }
    }
    found
}

fn begins_function(line: &str) -> bool {
    let words = line.split_whitespace();
    let mut rest = words.skip_while(|word| {
        matches!(*word, "const" | "async" | "unsafe") || word.starts_with("pub")
    });
    rest.next() == Some("fn")
}

#[test]
fn functions_and_lines_are_short() {
    let found: Vec<String> = files(&[".rs"])
        .iter()
        .flat_map(|(path, text)| {
            long_functions(path, text).into_iter().chain(long_lines(path, text))
        })
        .collect();
    assert_tidy(&found);
}

#[test]
fn what_is_too_long_is_found() {
    let statements = "        step();\n".repeat(FUNCTION_LINES_MAX - 2);
    let fits = format!("impl A {{\n    pub(crate) async fn a() {{\n{statements}    }}\n}}\n");
    assert_eq!(long_functions("a.rs", &fits), Vec::<String>::new());
    let longer = fits.replace("async fn a() {\n", "async fn a() {\n        step();\n");
    assert_eq!(long_functions("a.rs", &longer), ["a.rs:2: a function of 81 lines"]);
    let line = format!("//{}\n", " word".repeat(24));
    assert_eq!(long_lines("a.rs", &line), ["a.rs:1: 122 columns"]);
    assert_eq!(long_lines("a.rs", &line.replace(' ', "-")), Vec::<String>::new());
}
