//! A file of a university or of people, brought in as a registrar does it: uploaded, looked through, approved, applied.
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Api, Reply};
use crate::checkout::Checkout;
use crate::demo;
use crate::failure::{CHECK_FILES, Explain, Failure};
use crate::narration::{self, Progress, fact, heading, line};
use crate::services::current;

/// What any file may take, on a machine that does other things too.
const IMPORT_MAX: Duration = Duration::from_mins(10);
/// And what each KiB of it may take beside: some ten rows, of which each is a call or two of the local cloud.
const KIB_MAX: Duration = Duration::from_secs(5);
/// The report holds a thousand lines of the check, and those of rows that were refused.
const REPORT_PAGES_MAX: usize = 100;
/// How a file ends, what it then is to the API, and what it is as an upload.
const FORMATS: [(&str, &str, &str); 3] = [
    ("zip", "oneroster", "application/zip"),
    ("csv", "people_csv", "text/csv"),
    ("xlsx", "people_xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
];

/// `import`: brings a file to the running cloud as the demo's registrar. Without approval it ends where one is asked for.
pub fn import(checkout: &Checkout, file: &Path, approve: bool) -> Result<(), Failure> {
    let cloud = current(checkout)?;
    let registrar = &demo::registrar(&cloud, &Api::of(&cloud)?)?;
    heading(&format!("Import of {}", file.display()));
    let import = Import::begin(registrar, file)?;
    let checked = import.check()?;
    let mut report = Report::default();
    report.tell_new(&import)?;
    let left_out = checked.body["findings"].as_u64().unwrap_or_default();
    let left_out = left_out.saturating_sub(report.0.len() as u64);
    if left_out > 0 {
        line(&format!("    and {left_out} more, for which the report has no room"));
    }
    if checked.body["state"] != "validated" {
        return Err(import.not_valid(&checked));
    }
    if approve {
        import.approve()?;
        return report.tell_new(&import);
    }
    heading("Nothing is applied yet");
    fact("apply it", &format!("cargo matricula import {} --approve", file.display()));
    fact("or approve this import", &format!("POST {}/approval {{\"approve\": true}}", import.path));
    Ok(())
}

/// An import on its way.
pub struct Import<'a> {
    registrar: &'a Api<'a>,
    path: String,
    patience: Duration,
}

impl<'a> Import<'a> {
    /// Uploads a file and has it looked at.
    pub fn begin(registrar: &'a Api<'a>, file: &Path) -> Result<Self, Failure> {
        let (format, content_type) = format_of(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let bytes =
            fs::read(file).explain(|| format!("{} cannot be read", file.display()), CHECK_FILES)?;
        let begun = registrar
            .post("/imports", &json!({ "file_name": name, "format": format }))?
            .expect_status(201)?;
        let path = format!("/imports/{}", begun.text("/id")?);
        let kib = u32::try_from(bytes.len() / 1_024).unwrap_or(u32::MAX);
        registrar.upload(begun.text("/upload_url")?, content_type, &bytes)?;
        begun.tell("the registrar uploads it", &format!("{path}, {kib} KiB"));
        registrar.post(&format!("{path}/validation"), &json!({}))?.expect_status(200)?;
        Ok(Self {
            registrar,
            path,
            patience: IMPORT_MAX.saturating_add(KIB_MAX.saturating_mul(kib)),
        })
    }

    /// The dry run: waits until all is looked through and its people are tried. The answer may be that it is not valid.
    pub fn check(&self) -> Result<Reply, Failure> {
        self.watch("every line is checked, nothing applied yet", |body, progress| {
            let number = |name: &str| body["progress"][name].as_u64().unwrap_or_default();
            let (tried, to_try) = (number("chunks_checked"), number("chunks_to_check"));
            if body["state"] == "checking" && to_try > 0 {
                progress.reach(tried, to_try);
            }
            matches!(body["state"].as_str(), Some("validated" | "invalid" | "failed"))
        })
    }

    /// Why an import that was checked cannot be approved.
    pub fn not_valid(&self, checked: &Reply) -> Failure {
        let what = format!("the file is not valid: {:#}", checked.body);
        Failure::new(what, format!("Mend what GET {}/report names.", self.path))
    }

    /// Approves it, and waits until every row is applied or refused.
    pub fn approve(&self) -> Result<Reply, Failure> {
        let approval = format!("{}/approval", self.path);
        self.registrar.post(&approval, &json!({ "approve": true }))?.expect_status(200)?;
        let applied = self.watch("every row is applied or refused", |body, progress| {
            let number = |name: &str| body["progress"][name].as_u64().unwrap_or_default();
            let total = body["counts"].as_object().into_iter().flatten();
            let total = total.filter_map(|(_, count)| count.as_u64()).sum();
            progress.reach(number("applied") + number("unchanged") + number("refused"), total);
            matches!(body["state"].as_str(), Some("applied" | "failed"))
        })?;
        if applied.body["state"] != "applied" {
            let what = format!("the import failed: {:#}", applied.body);
            let advice = format!("POST {}/validation: it goes on where it stopped.", self.path);
            return Err(Failure::new(what, advice));
        }
        Ok(applied)
    }

    /// Waits with what is known of how far it is; the finished line says what came of it.
    fn watch(
        &self,
        label: &str,
        ended: impl Fn(&Value, &Progress) -> bool,
    ) -> Result<Reply, Failure> {
        narration::step(label, |progress| {
            let reply =
                self.registrar.watch(&self.path, self.patience, |body| ended(body, progress))?;
            progress.detail(counts(&reply.body));
            Ok(reply)
        })
    }

    fn report(&self) -> Result<Vec<Value>, Failure> {
        let mut lines = Vec::new();
        let mut cursor = String::new();
        for _ in 0..REPORT_PAGES_MAX {
            let page = format!("{}/report?limit=100{cursor}", self.path);
            let mut page = self.registrar.get(&page)?.expect_status(200)?;
            if let Value::Array(more) = page.body["items"].take() {
                lines.extend(more);
            }
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        Ok(lines)
    }
}

/// What of a report was told already.
#[derive(Default)]
struct Report(BTreeSet<String>);

impl Report {
    fn tell_new(&mut self, import: &Import<'_>) -> Result<(), Failure> {
        for found in import.report()? {
            let told = report_line(&found);
            if self.0.insert(told.clone()) {
                line(&format!("    {told}"));
            }
        }
        Ok(())
    }
}

/// `error  users.csv:7 email  EMAIL_WRONG: …`
fn report_line(line: &Value) -> String {
    let text = |name: &str| line[name].as_str().unwrap_or_default();
    let row = line["row"].as_u64().map_or_else(String::new, |row| format!(":{row}"));
    let place = format!("{}{row} {}", text("file"), text("column"));
    format!("{}  {}  {}: {}", text("severity"), place.trim_end(), text("code"), text("message"))
}

/// Every number that there is of an import, but for those that are nothing.
fn counts(import: &Value) -> String {
    let numbers = |name: &str| {
        let numbers = import[name].as_object().into_iter().flatten();
        let there = numbers.filter(|(_, number)| number.as_u64().is_some_and(|number| number > 0));
        there.map(|(name, number)| format!("{number} {}", name.replace('_', " "))).collect()
    };
    let all: [Vec<String>; 2] = ["counts", "progress"].map(numbers);
    let state = import["state"].as_str().unwrap_or_default();
    format!("{state}: {}", all.concat().join(", "))
}

fn format_of(file: &Path) -> Result<(&'static str, &'static str), Failure> {
    let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let known = FORMATS.into_iter().find(|(known, ..)| *known == ending);
    let (_, format, content_type) = known.ok_or_else(|| {
        let what = format!("{} is none of .zip, .csv and .xlsx", file.display());
        Failure::new(what, "Give a OneRoster 1.2 zip, or people as CSV or XLSX.")
    })?;
    Ok((format, content_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_report_says_where_and_what() {
        let whole = json!({ "severity": "note", "file": "users.csv", "row": null, "column": null, "code": "ROLE_LEFT_OUT", "message": "No." });
        assert_eq!(report_line(&whole), "note  users.csv  ROLE_LEFT_OUT: No.");
        let cell = json!({ "severity": "error", "file": "users.csv", "row": 7, "column": "email", "code": "EMAIL_WRONG", "message": "No." });
        assert_eq!(report_line(&cell), "error  users.csv:7 email  EMAIL_WRONG: No.");
    }

    #[test]
    fn counts_are_told_without_those_that_are_nothing() {
        let import = json!({
            "state": "applied",
            "counts": { "people": 3, "terms": 0 },
            "progress": { "chunks_done": 1, "applied": 2, "refused": 1, "unchanged": 0 },
        });
        let told = counts(&import);
        assert!(told.starts_with("applied: 3 people, "), "{told}");
        assert!(told.contains("2 applied") && told.contains("1 refused"), "{told}");
        assert!(!told.contains('0'), "{told}");
    }

    #[test]
    fn a_file_is_known_by_how_it_ends_and_nothing_else_is_taken() {
        let format = |name: &str| format_of(Path::new(name)).map(|(format, _)| format).ok();
        assert_eq!(format("autumn/University.ZIP"), Some("oneroster"));
        assert_eq!(format("people.csv"), Some("people_csv"));
        assert_eq!(format("people.xlsx"), Some("people_xlsx"));
        assert_eq!(format("people"), None);
    }
}
