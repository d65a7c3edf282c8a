//! What is found in a file, line by line: bounded, with the true total.

use std::collections::BTreeMap;

use kernel::Locale;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::File;
use crate::domain::SENTENCES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file, or the row, cannot be applied.
    Error,
    /// Something is left out.
    Note,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub severity: Severity,
    /// As a spreadsheet numbers them: the header is row 1. Absent where the whole file is meant.
    pub row: Option<u64>,
    pub file: String,
    pub column: Option<String>,
    pub code: String,
    /// What the sentence needs: what was expected, a limit, or a number of rows.
    pub detail: Option<String>,
}

impl Line {
    /// A row that its context refused.
    pub fn refused(file: String, row: u64, code: String) -> Self {
        let (row, column) = (Some(row), None);
        Self { severity: Severity::Error, row, file, column, code, detail: None }
    }

    /// A row that its context would refuse as things stand.
    pub fn would_be_refused(file: String, row: u64, code: String) -> Self {
        let (severity, detail) = (Severity::Note, Some(code));
        let code = "WOULD_BE_REFUSED".to_owned();
        Self { severity, row: Some(row), file, column: None, code, detail }
    }

    /// The line in somebody's language. Codes of other contexts are told as they are.
    pub fn sentence(&self, locale: Locale) -> String {
        let say = |code: &str, detail: &str| {
            shell::sentence(&SENTENCES, locale, code, &[("detail", detail.to_owned())])
        };
        let sentence = say(&self.code, self.detail.as_deref().unwrap_or_default());
        if sentence == self.code { say("ROW_REFUSED", &self.code) } else { sentence }
    }
}

/// What can be wrong with a file, or is left out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    ArchiveUnreadable,
    ArchiveTooLarge,
    UnpackedTooLarge,
    RowsTooMany,
    FileMissing,
    FileUnreadable,
    DeltaUnsupported,
    ManifestValueWrong,
    VersionUnsupported,
    HeaderMissing,
    ColumnMissing,
    ColumnTwice,
    ColumnUnknown,
    FieldsWrongCount,
    RowTooLong,
    ValueRequired,
    ValueTooLong,
    DateWrong,
    TimestampWrong,
    NumberWrong,
    NotOneOf,
    CodeWrong,
    CodeTwice,
    EmailWrong,
    EmailTwice,
    MeetingsWrong,
    DatesBackwards,
    SourcedIdTwice,
    ReferenceDangling,
    NotOneTerm,
    NotATerm,
    NotAStudent,
    NotUtf8,
    DoubleEncoded,
    NothingToImport,
    RefersToRefused,
    WorkbookUnreadable,
    CellWrong,
    ExternalIdWrong,
    FileIgnored,
    RoleIgnored,
    SessionIgnored,
    UserIgnored,
}

impl Problem {
    pub fn code(self) -> &'static str {
        match self {
            Self::ArchiveUnreadable => "ARCHIVE_UNREADABLE",
            Self::ArchiveTooLarge => "ARCHIVE_TOO_LARGE",
            Self::UnpackedTooLarge => "UNPACKED_TOO_LARGE",
            Self::RowsTooMany => "ROWS_TOO_MANY",
            Self::FileMissing => "FILE_MISSING",
            Self::FileUnreadable => "FILE_UNREADABLE",
            Self::DeltaUnsupported => "DELTA_UNSUPPORTED",
            Self::ManifestValueWrong => "MANIFEST_VALUE_WRONG",
            Self::VersionUnsupported => "VERSION_UNSUPPORTED",
            Self::HeaderMissing => "HEADER_MISSING",
            Self::ColumnMissing => "COLUMN_MISSING",
            Self::ColumnTwice => "COLUMN_TWICE",
            Self::ColumnUnknown => "COLUMN_UNKNOWN",
            Self::FieldsWrongCount => "FIELDS_WRONG_COUNT",
            Self::RowTooLong => "ROW_TOO_LONG",
            Self::ValueRequired => "VALUE_REQUIRED",
            Self::ValueTooLong => "VALUE_TOO_LONG",
            Self::DateWrong => "DATE_WRONG",
            Self::TimestampWrong => "TIMESTAMP_WRONG",
            Self::NumberWrong => "NUMBER_WRONG",
            Self::NotOneOf => "NOT_ONE_OF",
            Self::CodeWrong => "CODE_WRONG",
            Self::CodeTwice => "CODE_TWICE",
            Self::EmailWrong => "EMAIL_WRONG",
            Self::EmailTwice => "EMAIL_TWICE",
            Self::MeetingsWrong => "MEETINGS_WRONG",
            Self::DatesBackwards => "DATES_BACKWARDS",
            Self::SourcedIdTwice => "SOURCED_ID_TWICE",
            Self::ReferenceDangling => "REFERENCE_DANGLING",
            Self::NotOneTerm => "NOT_ONE_TERM",
            Self::NotATerm => "NOT_A_TERM",
            Self::NotAStudent => "NOT_A_STUDENT",
            Self::NotUtf8 => "NOT_UTF8_FIELD",
            Self::DoubleEncoded => "DOUBLE_ENCODED",
            Self::NothingToImport => "NOTHING_TO_IMPORT",
            Self::RefersToRefused => "REFERS_TO_REFUSED",
            Self::WorkbookUnreadable => "WORKBOOK_UNREADABLE",
            Self::CellWrong => "CELL_WRONG",
            Self::ExternalIdWrong => "EXTERNAL_ID_WRONG",
            Self::FileIgnored => "FILE_IGNORED",
            Self::RoleIgnored => "ROLE_IGNORED",
            Self::SessionIgnored => "SESSION_IGNORED",
            Self::UserIgnored => "USER_IGNORED",
        }
    }
}

/// Where in the files something was found.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub file: File,
    pub row: Option<u64>,
}

/// Lines that a report holds at most.
pub const REPORT_LINES_MAX: u32 = 1_000;

/// Gathers what is found: the first lines, and how much there was in all.
#[derive(Debug, Default)]
pub struct Report {
    errors: Vec<Line>,
    errors_total: u64,
    notes: BTreeMap<(File, Problem, String), (Option<u64>, u64)>,
}

impl Report {
    pub const LINES_MAX: usize = REPORT_LINES_MAX as usize;
    /// Notes are told once for all rows that they are about, so few kinds are enough.
    const NOTES_MAX: usize = 100;

    pub fn error(&mut self, at: Place, column: Option<&str>, problem: Problem, detail: &str) {
        self.errors_total += 1;
        if self.errors.len() < Self::LINES_MAX {
            self.errors.push(Line {
                severity: Severity::Error,
                row: at.row,
                file: at.file.name().to_owned(),
                column: column.map(str::to_owned),
                code: problem.code().to_owned(),
                detail: (!detail.is_empty()).then(|| detail.to_owned()),
            });
        }
    }

    /// Something that is left out; `what` names its kind, which is told once, with the first row and the number.
    pub fn note(&mut self, at: Place, problem: Problem, what: &str) {
        self.note_many(at, problem, what, 1);
    }

    pub fn note_many(&mut self, at: Place, problem: Problem, what: &str, count: u64) {
        let key = (at.file, problem, what.to_owned());
        let has_room = self.notes.len() < Self::NOTES_MAX || self.notes.contains_key(&key);
        if count > 0 && has_room {
            self.notes.entry(key).or_insert((at.row, 0)).1 += count;
        }
    }

    pub fn has_errors(&self) -> bool {
        self.errors_total > 0
    }

    /// Everything found, also what the lines have no room for.
    pub fn total(&self) -> u64 {
        self.errors_total + u64::try_from(self.notes.len()).unwrap_or(u64::MAX)
    }

    /// Errors in the order they were found, then notes; at most [`Self::LINES_MAX`].
    pub fn into_lines(self) -> Vec<Line> {
        let notes = self.notes.into_iter().map(|((file, problem, what), (row, count))| Line {
            severity: Severity::Note,
            row,
            file: file.name().to_owned(),
            column: None,
            code: problem.code().to_owned(),
            detail: Some(if what.is_empty() {
                count.to_string()
            } else {
                format!("{what}: {count}")
            }),
        });
        self.errors.into_iter().chain(notes).take(Self::LINES_MAX).collect()
    }
}
