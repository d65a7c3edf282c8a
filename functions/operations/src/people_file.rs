//! A table of people, as CSV or as the first sheet of an Excel workbook. A row that is wrong is reported and left out;
//! the others are applied.

mod parse;
#[cfg(test)]
mod tests;
mod workbook;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Cursor;

pub use parse::COLUMNS;
use parse::PersonRow;

use crate::domain::{Counts, Format};
use crate::oneroster::archive::Budget;
use crate::oneroster::chunks::ChunkWriter;
use crate::oneroster::report::{Place, Report};
use crate::oneroster::rows::{self, Row};
use crate::oneroster::{Chunk, File, Limits, Problem, Stopped, Target, Written};

/// How large a table is at most.
const CSV_LIMITS: Limits = Limits::DEFAULT;
/// A workbook of a million people unpacks to less.
const WORKBOOK_LIMITS: Limits = Limits { unpacked_bytes: 256 * 1024 * 1024, ..Limits::DEFAULT };

/// The file as it is uploaded, in bytes.
pub fn bytes_max(format: Format) -> usize {
    match format {
        Format::Oneroster | Format::PeopleCsv => Limits::ARCHIVE_BYTES,
        Format::PeopleXlsx => 20 * 1024 * 1024,
    }
}

/// What the first pass came to.
#[derive(Debug)]
pub struct Examined {
    pub report: Report,
    pub counts: Counts,
    /// Whether the file could be read to its end and has a row that can be applied.
    pub is_valid: bool,
}

pub fn examine(bytes: &[u8], format: Format) -> Examined {
    let mut report = Report::default();
    let mut counts = Counts::default();
    let was_read = each_person(bytes, format, &mut report, |_| counts.people += 1);
    if was_read && counts.people == 0 && !report.has_errors() {
        let place = Place { file: file(format), row: None };
        report.error(place, None, Problem::NothingToImport, "");
    }
    Examined { report, counts, is_valid: was_read && counts.people > 0 }
}

pub fn too_large(format: Format) -> Examined {
    let mut report = Report::default();
    let place = Place { file: file(format), row: None };
    let mebibytes = bytes_max(format) / 1024 / 1024;
    report.error(place, None, Problem::ArchiveTooLarge, &mebibytes.to_string());
    Examined { report, counts: Counts::default(), is_valid: false }
}

/// The second pass over a file that was found good: its good rows, in chunks that one step can apply.
pub fn write_chunks(
    bytes: &[u8],
    format: Format,
    take: impl FnMut(Chunk) -> Result<(), Stopped>,
) -> Result<Written, Stopped> {
    let mut writer = ChunkWriter::new(take);
    writer.begin(file(format), Target::People);
    // Everything has been reported in the first pass.
    each_person(bytes, format, &mut Report::default(), |person| writer.add(Some(person)));
    writer.end_chunk();
    writer.finish()
}

fn file(format: Format) -> File {
    match format {
        Format::PeopleXlsx => File::PeopleXlsx,
        Format::PeopleCsv | Format::Oneroster => File::PeopleCsv,
    }
}

/// Reads all rows; `each` sees those that can be applied. Whether the file could be read to its end.
fn each_person(
    bytes: &[u8],
    format: Format,
    report: &mut Report,
    mut each: impl FnMut(PersonRow<'_>),
) -> bool {
    let mut seen = Seen::default();
    let row = |row: &mut Row<'_>| {
        if row.is_blank() {
            return;
        }
        if let Some(person) = parse::person(row)
            && seen.is_first(row, &person)
        {
            each(person);
        }
    };
    if format == Format::PeopleXlsx {
        return workbook::read(bytes, WORKBOOK_LIMITS, report, row);
    }
    let budget = Budget::new(CSV_LIMITS);
    let reader = budget.bounded(Cursor::new(bytes));
    rows::read_delimited(delimiter(bytes), reader, File::PeopleCsv, &budget, report, row)
}

/// Excel writes semicolons where the comma stands in decimal fractions, as in French and Spanish.
fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.split(|byte| *byte == delimiter).count();
    if count(b';') > count(b',') { b';' } else { b',' }
}

/// What a file may hold only once, by its hash.
#[derive(Default)]
struct Seen(HashSet<u64>);

impl Seen {
    /// Whether nothing of the row stands in an earlier one, which is then the one that counts.
    fn is_first(&mut self, row: &mut Row<'_>, person: &PersonRow<'_>) -> bool {
        let folded = |text: &str| text.to_lowercase();
        let values = [
            ("source_id", Problem::SourcedIdTwice, Some(person.source.to_string())),
            ("email", Problem::EmailTwice, person.email.as_ref().map(kernel::Email::folded)),
            ("student_number", Problem::CodeTwice, person.student_number.map(folded)),
            ("staff_number", Problem::CodeTwice, person.staff_number.map(folded)),
        ];
        let mut hashes = Vec::new();
        for (column, problem, value) in values {
            let Some(value) = value else { continue };
            let mut hasher = DefaultHasher::new();
            (column, value).hash(&mut hasher);
            if self.0.contains(&hasher.finish()) {
                row.error(column, problem, "");
            }
            hashes.push(hasher.finish());
        }
        if row.is_ok() {
            self.0.extend(hashes);
        }
        row.is_ok()
    }
}
