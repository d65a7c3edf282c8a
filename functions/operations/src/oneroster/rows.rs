//! A CSV file as rows with named columns; each field is read with its checks, and what is wrong goes into the report.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use csv::ByteRecord;
use kernel::{Date, Timestamp};

use super::archive::Budget;
use super::encoding::is_double_encoded;
use super::report::{Place, Problem, Report};
use super::{File, parse};

pub type Columns = HashMap<String, usize>;

/// Columns that begin so are ours: one that we do not know is a mistake, not somebody else's.
const OUR_PREFIX: &str = "metadata.matricula.";

/// Reads all rows of a file; `each` sees one after the other. Whether the file could be read to its end.
pub fn read(
    reader: impl Read,
    file: File,
    budget: &Budget,
    report: &mut Report,
    each: impl FnMut(&mut Row<'_>),
) -> bool {
    read_delimited(b',', reader, file, budget, report, each)
}

pub fn read_delimited(
    delimiter: u8,
    reader: impl Read,
    file: File,
    budget: &Budget,
    report: &mut Report,
    mut each: impl FnMut(&mut Row<'_>),
) -> bool {
    let mut csv = csv::ReaderBuilder::new();
    csv.flexible(true).has_headers(false).delimiter(delimiter);
    let mut csv = csv.from_reader(reader);
    let mut record = ByteRecord::new();
    let top = Place { file, row: None };
    let Ok(true) = csv.read_byte_record(&mut record) else {
        report.error(top, None, Problem::HeaderMissing, "");
        return false;
    };
    let Some(columns) = header(&record, file, report) else { return false };
    let (mut number, width) = (1, record.len());
    loop {
        if !budget.next_row(record.as_slice().len()) {
            report.error(top, None, Problem::RowsTooMany, "");
            return false;
        }
        number += 1;
        let at = Place { file, row: Some(number) };
        match csv.read_byte_record(&mut record) {
            Ok(false) => return true,
            Ok(true) if record.len() != width => {
                let counts = format!("{} / {width}", record.len());
                report.error(at, None, Problem::FieldsWrongCount, &counts);
            }
            Ok(true) => each(&mut Row::new(at, &record, &columns, report)),
            Err(_) => {
                let problem = if budget.is_archive_used_up() {
                    Problem::UnpackedTooLarge
                } else if budget.is_row_used_up() {
                    Problem::RowTooLong
                } else {
                    Problem::FileUnreadable
                };
                report.error(at, None, problem, "");
                return false;
            }
        }
    }
}

/// Places of the columns by name; none when the rows could not be read with them.
pub fn header(record: &ByteRecord, file: File, report: &mut Report) -> Option<Columns> {
    let at = Place { file, row: Some(1) };
    let (required, known) = parse::columns(file);
    let mut columns = Columns::new();
    let mut twice = BTreeSet::new();
    for (place, field) in record.iter().enumerate() {
        let name = String::from_utf8_lossy(field);
        let name = name.trim_start_matches('\u{feff}').trim();
        if name.is_empty() && file.is_ours() {
            continue;
        }
        if columns.insert(name.to_owned(), place).is_some() {
            twice.insert(name.to_owned());
        }
    }
    if !required.iter().any(|name| columns.contains_key(*name)) {
        report.error(at, None, Problem::HeaderMissing, "");
        return None;
    }
    for name in &twice {
        report.error(at, Some(name), Problem::ColumnTwice, "");
    }
    let mut complete = twice.is_empty();
    for name in required.iter().filter(|name| !columns.contains_key(**name)) {
        report.error(at, Some(name), Problem::ColumnMissing, "");
        complete = false;
    }
    let mut unknown: Vec<&String> = columns
        .keys()
        .filter(|name| file.is_ours() || name.starts_with(OUR_PREFIX))
        .filter(|name| !known.contains(&name.as_str()) && !required.contains(&name.as_str()))
        .collect();
    unknown.sort();
    for name in unknown {
        report.error(at, Some(name), Problem::ColumnUnknown, &known.join(", "));
        complete &= !file.is_ours();
    }
    complete.then_some(columns)
}

/// One row on its way to a value. After the first wrong field the others are still read, so that all is reported.
pub struct Row<'a> {
    pub at: Place,
    record: &'a ByteRecord,
    columns: &'a Columns,
    pub report: &'a mut Report,
    ok: bool,
}

impl<'a> Row<'a> {
    pub fn new(
        at: Place,
        record: &'a ByteRecord,
        columns: &'a Columns,
        report: &'a mut Report,
    ) -> Self {
        Self { at, record, columns, report, ok: true }
    }

    /// Whether there is nothing in it.
    pub fn is_blank(&self) -> bool {
        self.record.iter().all(|field| field.trim_ascii().is_empty())
    }

    /// The row as spreadsheets number it.
    pub fn number(&self) -> u64 {
        self.at.row.unwrap_or_default()
    }

    /// Whether everything read so far was as it must be.
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    pub fn error(&mut self, column: &str, problem: Problem, detail: &str) {
        self.ok = false;
        self.report.error(self.at, Some(column), problem, detail);
    }

    pub fn note(&mut self, problem: Problem, what: &str) {
        self.report.note(self.at, problem, what);
    }

    /// The trimmed text of a column; none where it is blank, not there, or broken.
    pub fn optional(&mut self, column: &str, characters_max: usize) -> Option<&'a str> {
        let field = self.columns.get(column).and_then(|place| self.record.get(*place))?;
        let Ok(text) = std::str::from_utf8(field) else {
            self.error(column, Problem::NotUtf8, "");
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if is_double_encoded(text) {
            self.error(column, Problem::DoubleEncoded, "");
            return None;
        }
        if text.len() > characters_max && text.chars().count() > characters_max {
            self.error(column, Problem::ValueTooLong, &characters_max.to_string());
            return None;
        }
        Some(text)
    }

    pub fn required(&mut self, column: &str, characters_max: usize) -> Option<&'a str> {
        let was_ok = self.ok;
        self.ok = true;
        let text = self.optional(column, characters_max);
        if text.is_none() && self.ok {
            self.error(column, Problem::ValueRequired, "");
        }
        self.ok &= was_ok;
        text
    }

    /// A value that `parse` understands; what it does not is the `problem`.
    pub fn parsed<T>(
        &mut self,
        column: &str,
        problem: Problem,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        const CHARACTERS_MAX: usize = 2_000;
        let text = self.optional(column, CHARACTERS_MAX)?;
        let value = parse(text);
        if value.is_none() {
            self.error(column, problem, expected);
        }
        value
    }

    pub fn date(&mut self, column: &str) -> Option<Date> {
        self.required(column, 255)?;
        self.optional_date(column)
    }

    pub fn optional_date(&mut self, column: &str) -> Option<Date> {
        const LENGTH: usize = 10;
        let strict = |text: &str| (text.len() == LENGTH).then(|| text.parse().ok()).flatten();
        self.parsed(column, Problem::DateWrong, "2027-01-31", strict)
    }

    pub fn timestamp(&mut self, column: &str) -> Option<Timestamp> {
        self.parsed(column, Problem::TimestampWrong, "2027-01-31T08:00:00Z", |text| {
            text.parse().ok()
        })
    }

    pub fn one_of(&mut self, column: &str, allowed: &[&'static str]) -> Option<&'static str> {
        self.required(column, 255)?;
        self.parsed(column, Problem::NotOneOf, &allowed.join(", "), |text| {
            allowed.iter().copied().find(|allowed| *allowed == text)
        })
    }
}
