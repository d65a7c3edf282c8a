//! How many tests passed and failed, read from the closing lines of the runners.
use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
}

impl Tally {
    const fn of(passed: u64, failed: u64) -> Self {
        Self { passed, failed }
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Reads what one runner prints.
#[derive(Default)]
pub struct Reader {
    pub tally: Tally,
    /// nextest shows what a failed test printed, with a closing line of another runner in it.
    by_nextest: bool,
}

impl Reader {
    /// Counts a closing line; every other line changes nothing.
    pub fn read(&mut self, line: &str) {
        let line = line.trim();
        self.by_nextest |= line.starts_with("Nextest run ID ");
        let other =
            |line| if self.by_nextest { None } else { cargo_test(line).or_else(|| node(line)) };
        if let Some(found) = nextest(line).or_else(|| other(line)) {
            self.tally.add(found);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `Summary [   0.005s] 8 tests run: 6 passed (1 slow), 1 failed, 1 timed out, 2 skipped`
fn nextest(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("Summary [")?.split_once("run:")?;
    let of = |words: &[&str]| -> u64 {
        let parts = counts.split(',').map(str::trim);
        parts
            .filter(|part| words.iter().any(|word| part.contains(word)))
            .filter_map(leading_number)
            .sum()
    };
    Some(Tally::of(of(&["passed"]), of(&["failed", "timed out"])))
}

/// `test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in
/// 0.00s`
fn cargo_test(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let of = |word: &str| {
        counts.split(';').find(|part| part.ends_with(word)).and_then(leading_number).unwrap_or(0)
    };
    Some(Tally::of(of(" passed"), of(" failed")))
}

/// Node says `# pass 5` or `ℹ pass 5`, on a line for each.
fn node(line: &str) -> Option<Tally> {
    let line = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))?;
    match line.split_once(' ')? {
        ("pass", count) => Some(Tally::of(count.parse().ok()?, 0)),
        ("fail" | "cancelled", count) => Some(Tally::of(0, count.parse().ok()?)),
        _ => None,
    }
}

fn leading_number(part: &str) -> Option<u64> {
    part.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(lines: &str) -> Tally {
        let mut reader = Reader::default();
        lines.lines().for_each(|line| reader.read(line));
        reader.tally
    }

    #[test]
    fn every_runner_is_understood() {
        let nextest = "     Summary [   0.005s] 8 tests run: 5 passed (1 slow), 2 failed, \
            1 timed out, 2 skipped";
        assert_eq!(counted(nextest), Tally::of(5, 3));
        let short = "     Summary [   0.005s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(counted(short), Tally::of(1, 0));
        let cargo = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; \
            0 filtered out; finished in 0.00s";
        assert_eq!(counted(cargo), Tally::of(3, 1));
        assert_eq!(counted("# tests 6\n# pass 5\n# fail 1\n# cancelled 0"), Tally::of(5, 1));
        assert_eq!(counted("ℹ tests 2\nℹ pass 2\nℹ fail 0"), Tally::of(2, 0));
    }

    #[test]
    fn what_a_failed_test_printed_is_not_counted_again() {
        let lines = " Nextest run ID 7f3c with nextest profile: default\n\
            test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 41 filtered out\n\
            Summary [ 488.250s] 40 tests run: 39 passed, 1 failed, 2 skipped";
        assert_eq!(counted(lines), Tally::of(39, 1));
    }

    #[test]
    fn other_lines_count_for_nothing() {
        assert_eq!(
            counted("test a ... ok\n7 passed by the window\n# passing thoughts"),
            Tally::default()
        );
    }

    #[test]
    fn the_sum_is_said_in_the_plain_form() {
        assert_eq!(Tally::of(12, 0).to_string(), "12 passed, 0 failed");
    }
}
