//! All that this program says: steps with their times, progress, failures. Nothing else prints.
use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::checkout::shown;
use crate::failure::Failure;

const LOG_LINES_SHOWN: usize = 20;
/// Where nobody sees a bar move, a line now and then says that work goes on.
const QUIET_MAX: Duration = Duration::from_secs(15);

pub fn heading(text: &str) {
    line(&format!("\n{}", paint("1", text)));
}

/// One line of what was asked for. Says whether anybody still listens: in `… | head` nobody does.
pub fn line(text: &str) -> bool {
    writeln!(std::io::stdout(), "{text}").is_ok()
}

/// Whether somebody sees what is said as it is said.
pub fn is_watched() -> bool {
    std::io::stdout().is_terminal()
}

/// What a person may do next, or a place to look: indented below the steps.
pub fn fact(name: &str, value: &str) {
    line(&format!("  {name:<26}{value}"));
}

/// A step that took its time: `  ✓ 0.12 s  label · detail`.
pub fn told(label: &str, detail: &str, took: Duration) {
    let detail =
        if detail.is_empty() { String::new() } else { paint("2", &format!(" · {detail}")) };
    line(&format!("  {} {:>8}  {label}{detail}", paint("32", "✓"), seconds(took)));
}

pub fn failed(label: &str, took: Duration) {
    line(&format!("  {} {:>8}  {label}", paint("31", "✗"), seconds(took)));
}

/// Runs one step: a spinner or bar while it lasts, then one line with its time.
pub fn step<T>(
    label: &str,
    act: impl FnOnce(&Progress) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let progress = Progress::start(label);
    let outcome = act(&progress);
    progress.bar.finish_and_clear();
    match &outcome {
        Ok(_) => told(label, &progress.detail.borrow(), progress.started.elapsed()),
        Err(_) => failed(label, progress.started.elapsed()),
    }
    outcome
}

/// Waits for something that is told about elsewhere: a spinner, or a word now and then, and nothing in the end.
pub fn waiting<T>(
    label: &str,
    act: impl FnOnce(&Progress) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let progress = Progress::start(label);
    let outcome = act(&progress);
    progress.bar.finish_and_clear();
    outcome
}

/// What failed, the end of its log, and what to do.
pub fn failure(failure: &Failure) {
    eprintln!("\n{} {}", paint("31", "✗"), failure.what);
    if let Some(log) = &failure.log {
        eprintln!("\n  the end of {}:", shown(log));
        for line in last_lines(log, log_lines_shown()) {
            eprintln!("  │ {line}");
        }
    }
    eprintln!("\n  → {}", failure.advice);
}

/// A step on its way.
pub struct Progress {
    bar: ProgressBar,
    label: String,
    started: Instant,
    spoke: Cell<Instant>,
    detail: RefCell<String>,
}

impl Progress {
    fn start(label: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(label.to_owned());
        bar.set_style(style("  {spinner} {elapsed:>8}  {msg} {prefix:.dim}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        let now = Instant::now();
        Self {
            bar,
            label: label.to_owned(),
            started: now,
            spoke: Cell::new(now),
            detail: RefCell::default(),
        }
    }

    /// From here on it is known how much there is to do.
    pub fn reach(&self, done: u64, total: u64) {
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
            self.bar.set_style(style(
                "  {spinner} {elapsed:>8}  {msg} {bar:24} {pos}/{len} {prefix:.dim}",
            ));
        }
        self.bar.set_position(done.min(total));
        self.speak_if_nobody_watches(&format!("{done} of {total}"));
    }

    /// What is being done right now.
    pub fn note(&self, text: &str) {
        let short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
        self.speak_if_nobody_watches(&short);
        self.bar.set_prefix(short);
    }

    /// What the finished line will add: `unchanged`, an address, a count.
    pub fn detail(&self, text: impl Into<String>) {
        *self.detail.borrow_mut() = text.into();
    }

    fn speak_if_nobody_watches(&self, text: &str) {
        if !text.is_empty() && self.bar.is_hidden() && self.spoke.get().elapsed() > QUIET_MAX {
            self.spoke.set(Instant::now());
            line(&format!("    {:>8}  {} · {text}", seconds(self.started.elapsed()), self.label));
        }
    }
}

/// `0.12 s`, `75 s`, `4 min 10 s`.
pub fn seconds(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (whole @ 0..=9, millis) => format!("{whole}.{:02} s", millis / 10),
        (whole @ 10..=119, _) => format!("{whole} s"),
        (whole, _) => format!("{} min {} s", whole / 60, whole % 60),
    }
}

/// `12 s`, `5 min`, `3 h 4 min`, `2 d 1 h`: how long something has been so.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

pub fn last_lines(log: &Path, count: usize) -> Vec<String> {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(count);
    lines[from..].iter().map(|line| (*line).to_owned()).collect()
}

/// A log that CI throws away is shown there at more length.
fn log_lines_shown() -> usize {
    if std::env::var_os("CI").is_some() { LOG_LINES_SHOWN * 10 } else { LOG_LINES_SHOWN }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well formed")
}

fn paint(code: &str, text: &str) -> String {
    if is_watched() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_carry_their_unit() {
        assert_eq!(seconds(Duration::from_millis(123)), "0.12 s");
        assert_eq!(seconds(Duration::from_millis(9_999)), "9.99 s");
        assert_eq!(seconds(Duration::from_secs(75)), "75 s");
        assert_eq!(seconds(Duration::from_secs(250)), "4 min 10 s");
    }

    #[test]
    fn ages_are_rounded_to_what_one_wants_to_know() {
        assert_eq!(age(30), "30 s");
        assert_eq!(age(300), "5 min");
        assert_eq!(age(11_040), "3 h 4 min");
        assert_eq!(age(176_400), "2 d 1 h");
    }

    #[test]
    fn the_end_of_a_log_leaves_out_blank_lines() {
        let log = std::env::temp_dir().join(format!("matricula-log-{}", std::process::id()));
        std::fs::write(&log, "one\n\ntwo\n\nthree\n").expect("writable");
        assert_eq!(last_lines(&log, 2), ["two", "three"]);
        std::fs::remove_file(log).expect("removable");
    }
}
