//! The first line of every file says what it is for.

use crate::{assert_tidy, files};

fn says_nothing(path: &str, text: &str) -> bool {
    let mut lines = text.lines().skip_while(|line| line.starts_with("#!"));
    let first = lines.next().unwrap_or_default();
    let words = match path.rsplit('.').next() {
        Some("rs") => first.strip_prefix("//!").or(first.strip_prefix("// ")),
        Some("ts" | "tsx") => first.strip_prefix("// "),
        Some("py") => first.strip_prefix("\"\"\"").or(first.strip_prefix("# ")),
        Some("json") => {
            lines.next().and_then(|second| second.trim().strip_prefix("\"Comment\": \""))
        }
        _ => first.strip_prefix("# "),
    };
    words.is_none_or(|words| words.split_whitespace().count() < 2)
}

#[test]
fn every_file_says_what_it_is_for() {
    let found: Vec<String> = files(&[".rs", ".ts", ".tsx", ".py", ".sh", ".ftl", ".asl.json"])
        .iter()
        .filter(|(path, text)| says_nothing(path, text))
        .map(|(path, _)| format!("{path}: the first line does not say what the file is for"))
        .collect();
    assert_tidy(&found);
}

#[test]
fn a_silent_file_is_found() {
    assert!(says_nothing("a.rs", "use std::fs;\n"));
    assert!(says_nothing("a.rs", "//! x\n"));
    assert!(says_nothing("a.asl.json", "{\n  \"StartAt\": \"A\"\n}"));
    assert!(says_nothing("a.py", "#!/usr/bin/env python3\nimport os\n"));
    assert!(!says_nothing("a.rs", "//! Reads what lies there.\n"));
    assert!(!says_nothing("a.py", "#!/usr/bin/env python3\n\"\"\"Reads what lies there.\"\"\"\n"));
}
