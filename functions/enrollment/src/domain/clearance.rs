//! The clearance of a cancelled section: its students are taken out of it page by page, however many there are.

use kernel::{PersonId, SectionId};
use serde::{Deserialize, Serialize};
use table::Position;

/// Invariant: every student before `after` on the roster has been taken out, or is being.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clearance {
    pub section: SectionId,
    /// Version of the section in the catalog by which it is cancelled.
    pub section_version: u64,
    pub reason: String,
    pub cancelled_by: Option<PersonId>,
    /// Counts the pages: an event of another step is of the past.
    pub step: u32,
    /// Where the next page of the roster begins.
    pub after: Option<Position>,
    pub done: bool,
}

impl Clearance {
    pub fn begin(
        section: SectionId,
        section_version: u64,
        reason: String,
        cancelled_by: Option<PersonId>,
    ) -> Self {
        let (step, after, done) = (0, None, false);
        Self { section, section_version, reason, cancelled_by, step, after, done }
    }

    /// Whoever cancelled it, as a registration's history names them.
    pub fn by(&self) -> String {
        self.cancelled_by.map_or_else(|| "catalog".to_owned(), |person| person.to_string())
    }

    /// A page is behind it.
    pub fn advance(&mut self, after: Option<Position>) {
        self.step += 1;
        self.done = after.is_none();
        self.after = after;
    }
}
