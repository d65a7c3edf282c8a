//! A made-up university as a file, for imports by hand, demos and load.

use serde_json::{Value, json};
use testkit::{ImportedStudent, University, UniversitySettings, university};

const USAGE: &str = "usage: university --out FILE.zip [--seed N] [--students N] [--sections N]";

fn main() -> Result<(), String> {
    let (settings, out) = settings(std::env::args().skip(1))?;
    let University { archive, student } = university(&settings);
    std::fs::write(&out, archive).map_err(|error| format!("{out} cannot be written: {error}"))?;
    let UniversitySettings { seed, students, sections } = settings;
    eprintln!("{out}: {students} students and {sections} sections of seed {seed}");
    let ImportedStudent { given_name, family_name, email } = student;
    say(
        &json!({ "student": { "given_name": given_name, "family_name": family_name, "email": email } }),
    );
    Ok(())
}

/// One object for whoever called: somebody to follow.
#[expect(clippy::print_stdout, reason = "standard output is this program's answer")]
fn say(answer: &Value) {
    println!("{answer}");
}

fn settings(
    mut arguments: impl Iterator<Item = String>,
) -> Result<(UniversitySettings, String), String> {
    let mut settings = UniversitySettings::default();
    let mut out = None;
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value; {USAGE}"))?;
        let wrong = format!("{value} is no number that {flag} takes");
        match flag.as_str() {
            "--out" => out = Some(value),
            "--seed" => settings.seed = value.parse().map_err(|_| wrong)?,
            "--students" => settings.students = value.parse().map_err(|_| wrong)?,
            "--sections" => settings.sections = value.parse().map_err(|_| wrong)?,
            _ => return Err(format!("{flag} is unknown; {USAGE}")),
        }
    }
    Ok((settings, out.ok_or(USAGE)?))
}
