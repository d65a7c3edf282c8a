//! The zip: its files by name, each unpacked as a stream within bounds.

use std::cell::Cell;
use std::io::{self, Read, Seek};

use zip::ZipArchive;

/// The files of OneRoster that Matricula reads, in the order in which they are examined; and tables of people, which
/// come alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    Manifest,
    Orgs,
    AcademicSessions,
    Courses,
    Users,
    Roles,
    Classes,
    Enrollments,
    PeopleCsv,
    PeopleXlsx,
}

impl File {
    pub const DATA: [Self; 7] = [
        Self::Orgs,
        Self::AcademicSessions,
        Self::Courses,
        Self::Users,
        Self::Roles,
        Self::Classes,
        Self::Enrollments,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.csv",
            Self::Orgs => "orgs.csv",
            Self::AcademicSessions => "academicSessions.csv",
            Self::Courses => "courses.csv",
            Self::Users => "users.csv",
            Self::Roles => "roles.csv",
            Self::Classes => "classes.csv",
            Self::Enrollments => "enrollments.csv",
            Self::PeopleCsv => "people.csv",
            Self::PeopleXlsx => "people.xlsx",
        }
    }

    /// Whether every column of it is ours, so that one that we do not know is a mistake.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::PeopleCsv | Self::PeopleXlsx)
    }

    /// What the manifest calls it after `file.`.
    pub fn stem(self) -> &'static str {
        self.name().trim_end_matches(".csv")
    }
}

/// How much of a file is read at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub rows: u64,
    /// All files together, unpacked: an archive that unpacks to more is no university, but a trap.
    pub unpacked_bytes: u64,
    pub row_bytes: u64,
}

impl Limits {
    pub const DEFAULT: Self =
        Self { rows: 1_000_000, unpacked_bytes: 1024 * 1024 * 1024, row_bytes: 64 * 1024 };
    /// The zip as it is uploaded.
    pub const ARCHIVE_BYTES: usize = 50 * 1024 * 1024;
}

#[derive(Debug)]
pub struct Archive<R> {
    zip: ZipArchive<R>,
    pub limits: Limits,
}

impl<R: Read + Seek> Archive<R> {
    pub fn open(reader: R, limits: Limits) -> Option<Self> {
        ZipArchive::new(reader).ok().map(|zip| Self { zip, limits })
    }

    pub fn has(&self, file: File) -> bool {
        self.zip.index_for_name(file.name()).is_some()
    }

    /// Unpacks a file as it is read. None where there is none, or where it is packed in a way that OneRoster has not.
    pub fn file<'a>(&'a mut self, file: File, budget: &'a Budget) -> Option<impl Read + 'a> {
        let inner = self.zip.by_name(file.name()).ok()?;
        Some(budget.bounded(inner))
    }
}

/// What may still be read: of the whole archive, and of the row under way.
#[derive(Debug)]
pub struct Budget {
    archive: Cell<u64>,
    row: Cell<u64>,
    row_bytes: u64,
    rows: Cell<u64>,
    largest_row: Cell<u64>,
}

/// The reader's own buffer may already hold this much of the next row.
const READ_AHEAD: u64 = 8 * 1024;

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self {
            archive: Cell::new(limits.unpacked_bytes),
            row: Cell::new(limits.row_bytes + READ_AHEAD),
            row_bytes: limits.row_bytes,
            rows: Cell::new(limits.rows),
            largest_row: Cell::new(0),
        }
    }

    /// A row has come to its end; whether another one may follow.
    pub fn next_row(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.largest_row.set(self.largest_row.get().max(bytes));
        self.row.set(self.row_bytes + READ_AHEAD);
        let left = self.rows.get();
        self.rows.set(left.saturating_sub(1));
        left > 0
    }

    /// Reads no more than may be read.
    pub fn bounded<'b, R: Read + 'b>(&'b self, inner: R) -> impl Read + 'b {
        Bounded { inner, budget: self }
    }

    pub fn is_archive_used_up(&self) -> bool {
        self.archive.get() == 0
    }

    pub fn is_row_used_up(&self) -> bool {
        self.row.get() == 0
    }

    /// The most bytes that a row took in memory.
    pub fn largest_row(&self) -> u64 {
        self.largest_row.get()
    }
}

struct Bounded<'b, R> {
    inner: R,
    budget: &'b Budget,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Budget { archive, row, .. } = self.budget;
        let allowed = archive.get().min(row.get());
        if allowed == 0 {
            return Err(io::Error::other("more than may be unpacked"));
        }
        let wanted = buffer.len().min(usize::try_from(allowed).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..wanted])?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        archive.set(archive.get() - bytes);
        row.set(row.get() - bytes);
        Ok(read)
    }
}
