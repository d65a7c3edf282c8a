//! Nothing is left undone: no placeholder, no note to mend it later, no test that is not run.

use crate::{assert_tidy, files};

/// Split, so that this file does not find itself.
const LEFTOVERS: [&str; 6] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("#[ig", "nore"),
    concat!("XX", "X:"),
];

fn findings(path: &str, text: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter_map(|(at, line)| {
            let leftover = LEFTOVERS.iter().find(|leftover| line.contains(*leftover))?;
            Some(format!("{path}:{}: {leftover}", at + 1))
        })
        .collect()
}

#[test]
fn nothing_is_left_undone() {
    let found: Vec<String> = files(&[".rs", ".ts", ".tsx", ".py", ".sh"])
        .iter()
        .flat_map(|(path, text)| findings(path, text))
        .collect();
    assert_tidy(&found);
}

#[test]
fn a_leftover_is_found() {
    let planted = format!("fn a() {{\n    {}\"later\")\n}}\n", LEFTOVERS[0]);
    assert_eq!(findings("a.rs", &planted), [format!("a.rs:2: {}", LEFTOVERS[0])]);
}
