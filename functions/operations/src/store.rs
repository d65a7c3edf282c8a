//! An import and its report: how they lie in the table.

use kernel::{ImportId, Timestamp};
use serde::{Deserialize, Serialize};
use shell::Failure;
use table::{Key, PageRequest, Partition, Record, Stored, Table, Transaction};

use crate::domain::{Import, Refusal};
use crate::oneroster::Line;

impl Record for Import {
    const KIND: &'static str = "import";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        import_key(self.id)
    }
}

pub fn import_key(id: ImportId) -> Key<Import> {
    Key::new(format!("IMPORT#{id}"), "IMPORT")
}

/// A line of an import's report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportLine {
    pub import: ImportId,
    /// Its place in the report.
    pub place: String,
    pub line: Line,
    pub written_at: Timestamp,
}

impl ReportLine {
    /// A line of the validation.
    pub fn found(import: ImportId, at: usize, line: Line, written_at: Timestamp) -> Self {
        Self { import, place: format!("1#{at:06}"), line, written_at }
    }

    /// A line about a row that would be refused, as it was tried.
    pub fn tried(import: ImportId, chunk: u32, at: usize, line: Line, now: Timestamp) -> Self {
        Self { import, place: format!("1#T{chunk:06}#{at:06}"), line, written_at: now }
    }

    /// A line about a row that was refused when it was applied.
    pub fn refused(import: ImportId, chunk: u32, at: usize, line: Line, now: Timestamp) -> Self {
        Self { import, place: format!("2#{chunk:06}#{at:06}"), line, written_at: now }
    }
}

impl Record for ReportLine {
    const KIND: &'static str = "report-line";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("IMPORT#{}", self.import), format!("LINE#{}", self.place))
    }

    /// As long as the uploaded file is kept.
    fn collectable_at(&self) -> Option<Timestamp> {
        self.written_at.checked_add(jiff::SignedDuration::from_hours(90 * 24)).ok()
    }
}

/// The report's lines: those of the validation first, errors before notes, then rows that would be refused, then those
/// that were.
pub fn report(import: ImportId) -> Partition<ReportLine> {
    Partition::new(format!("IMPORT#{import}"), "LINE#")
}

pub async fn import(table: &Table, id: ImportId) -> Result<Stored<Import>, Failure> {
    Ok(table.get(&import_key(id)).await?.ok_or(Refusal::ImportUnknown)?)
}

/// Lines written in one transaction, with room for what else stands in it.
pub const LINES_PER_TRANSACTION: usize = 90;

/// Writes the lines of a validation in place of those that one cut short may have left.
pub async fn replace_report(table: &Table, lines: &[ReportLine]) -> Result<(), Failure> {
    for batch in lines.chunks(LINES_PER_TRANSACTION) {
        let mut transaction = table.transaction();
        for line in batch {
            transaction.overwrite(line);
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Removes what an earlier validation of the same import has left.
pub async fn clear_report(table: &Table, import: ImportId) -> Result<(), Failure> {
    const ROUNDS_MAX: u32 = 20;
    for _ in 0..ROUNDS_MAX {
        let page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
        let left = table.query(&report(import), &page).await?.records;
        if left.is_empty() {
            return Ok(());
        }
        let mut transaction: Transaction<'_> = table.transaction();
        for line in &left {
            transaction.delete(line);
        }
        transaction.commit().await?;
    }
    Ok(())
}
