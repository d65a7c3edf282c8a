//! The first sheet of an Excel workbook, row by row. Before anything of it is understood, all of it is unpacked once
//! within bounds: a workbook is a zip, and a small one may hold a very large one.

use std::io::{Cursor, Read};

use calamine::{Data, DataRef, Reader, Xlsx, XlsxCellReader};
use csv::ByteRecord;
use zip::ZipArchive;

use crate::oneroster::archive::Budget;
use crate::oneroster::report::{Place, Report};
use crate::oneroster::rows::{self, Columns, Row};
use crate::oneroster::{File, Limits, Problem};

/// Files in the zip.
const PARTS_MAX: usize = 1_000;
/// The texts of all cells are held in memory, and so many places for them are made at once.
const TEXTS_BYTES_MAX: usize = 48 * 1024 * 1024;
const TEXTS_MAX: u64 = 2_000_000;
/// Columns of a table; what stands further right is not read.
const COLUMNS_MAX: usize = 100;

/// Reads all rows; `each` sees one after the other. Whether the workbook could be read to its end.
pub fn read(
    bytes: &[u8],
    limits: Limits,
    report: &mut Report,
    mut each: impl FnMut(&mut Row<'_>),
) -> bool {
    let top = Place { file: File::PeopleXlsx, row: None };
    if let Err(problem) = check_parts(bytes, limits) {
        report.error(top, None, problem, "");
        return false;
    }
    let Ok(mut workbook) = Xlsx::new(Cursor::new(bytes)) else {
        report.error(top, None, Problem::WorkbookUnreadable, "");
        return false;
    };
    let sheet = workbook.sheet_names().first().cloned().unwrap_or_default();
    let Ok(cells) = workbook.worksheet_cells_reader(&sheet) else {
        report.error(top, None, Problem::WorkbookUnreadable, "");
        return false;
    };
    let budget = Budget::new(limits);
    let mut sheet = Sheet { cells, next: None, is_over: false };
    let mut columns: Option<Columns> = None;
    loop {
        let line = match sheet.next_line() {
            Ok(Some(line)) => line,
            Ok(None) if columns.is_some() => return true,
            Ok(None) => {
                report.error(top, None, Problem::HeaderMissing, "");
                return false;
            }
            Err(()) => {
                report.error(top, None, Problem::WorkbookUnreadable, "");
                return false;
            }
        };
        let record = ByteRecord::from(line.cells);
        let Some(columns) = &columns else {
            columns = rows::header(&record, File::PeopleXlsx, report);
            if columns.is_none() {
                return false;
            }
            continue;
        };
        if !budget.next_row(record.as_slice().len()) {
            report.error(top, None, Problem::RowsTooMany, "");
            return false;
        }
        let at = Place { file: File::PeopleXlsx, row: Some(line.number) };
        let broken = columns.iter().find(|(_, place)| line.broken.contains(place));
        if let Some((column, _)) = broken {
            report.error(at, Some(column), Problem::CellWrong, "");
        } else {
            each(&mut Row::new(at, &record, columns, report));
        }
    }
}

/// Unpacks everything and forgets it. What a zip says of its own sizes proves nothing.
fn check_parts(bytes: &[u8], limits: Limits) -> Result<(), Problem> {
    let budget = &Budget::new(Limits { row_bytes: limits.unpacked_bytes, ..limits });
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Problem::WorkbookUnreadable)?;
    if zip.len() > PARTS_MAX {
        return Err(Problem::UnpackedTooLarge);
    }
    for at in 0..zip.len() {
        let part = zip.by_index(at).map_err(|_| Problem::WorkbookUnreadable)?;
        let name = part.name().map_err(|_| Problem::WorkbookUnreadable)?.to_lowercase();
        let holds_texts = name.ends_with("sharedstrings.xml");
        if !holds_texts {
            drain(budget.bounded(part), budget)?;
            continue;
        }
        let mut texts = Vec::new();
        let limit = u64::try_from(TEXTS_BYTES_MAX).unwrap_or(u64::MAX) + 1;
        let read = budget.bounded(part).take(limit).read_to_end(&mut texts);
        if texts.len() > TEXTS_BYTES_MAX || budget.is_archive_used_up() {
            return Err(Problem::UnpackedTooLarge);
        }
        read.map_err(|_| Problem::WorkbookUnreadable)?;
        if counts_in(&texts).any(|count| count.is_none_or(|count| count > TEXTS_MAX)) {
            return Err(Problem::UnpackedTooLarge);
        }
    }
    Ok(())
}

fn drain(mut part: impl Read, budget: &Budget) -> Result<(), Problem> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match part.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(_) if budget.is_archive_used_up() => return Err(Problem::UnpackedTooLarge),
            Err(_) => return Err(Problem::WorkbookUnreadable),
        }
    }
}

/// How many texts the file says that it holds, wherever it says so; none where that is no number. The reader makes room
/// for as many before it has seen one.
fn counts_in(texts: &[u8]) -> impl Iterator<Item = Option<u64>> {
    const ATTRIBUTE: &[u8] = b"uniqueCount";
    let places = texts.windows(ATTRIBUTE.len()).enumerate().filter(|(_, text)| *text == ATTRIBUTE);
    places.map(|(at, _)| {
        let rest = &texts[at + ATTRIBUTE.len()..];
        let skipped = rest.iter().take_while(|byte| b" \t\r\n=\"'".contains(byte)).count();
        let digits: Vec<u8> =
            rest[skipped..].iter().copied().take_while(u8::is_ascii_digit).take(20).collect();
        std::str::from_utf8(&digits).ok()?.parse().ok()
    })
}

/// A row of the sheet.
struct Line {
    /// As the spreadsheet numbers it.
    number: u64,
    cells: Vec<String>,
    /// Places of cells that hold an error, such as `#N/A`.
    broken: Vec<usize>,
}

struct Sheet<'w, 'b> {
    cells: XlsxCellReader<'w, Cursor<&'b [u8]>>,
    /// The first cell of the next row: row, column and text; no text where it holds an error.
    next: Option<(u32, u32, Option<String>)>,
    /// The reader must not be asked again behind the last cell.
    is_over: bool,
}

impl Sheet<'_, '_> {
    /// The next row in which anything stands.
    fn next_line(&mut self) -> Result<Option<Line>, ()> {
        let mut line: Option<Line> = None;
        let mut row = 0;
        loop {
            let Some((at, column, text)) = self.next_cell()? else { return Ok(line) };
            let current = line.get_or_insert_with(|| {
                row = at;
                Line { number: u64::from(at) + 1, cells: Vec::new(), broken: Vec::new() }
            });
            if at != row {
                self.next = Some((at, column, text));
                return Ok(line);
            }
            let place = usize::try_from(column).unwrap_or(COLUMNS_MAX);
            if place >= COLUMNS_MAX {
                continue;
            }
            if current.cells.len() <= place {
                current.cells.resize(place + 1, String::new());
            }
            match text {
                Some(text) => current.cells[place] = text,
                None => current.broken.push(place),
            }
        }
    }

    fn next_cell(&mut self) -> Result<Option<(u32, u32, Option<String>)>, ()> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        while !self.is_over {
            let Some(cell) = self.cells.next_cell().map_err(|_| ())? else {
                self.is_over = true;
                break;
            };
            let (row, column) = cell.get_position();
            if !matches!(cell.get_value(), DataRef::Empty) {
                return Ok(Some((row, column, text(cell.get_value()))));
            }
        }
        Ok(None)
    }
}

/// A cell as somebody would have typed it: whole numbers without a point, days as `2001-02-03`.
fn text(value: &DataRef<'_>) -> Option<String> {
    const LENGTH_OF_DAY: usize = 10;
    Some(match Data::from(value.clone()) {
        Data::Empty => String::new(),
        Data::String(text) | Data::DurationIso(text) => text,
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(flag) => flag.to_string(),
        Data::DateTime(moment) => {
            let (year, month, day, ..) = moment.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}")
        }
        Data::DateTimeIso(text) => text.chars().take(LENGTH_OF_DAY).collect(),
        Data::Error(_) => return None,
    })
}
