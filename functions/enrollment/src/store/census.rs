//! The sections of a term, and its census: how far it has come, and whom it found.

use kernel::{PersonId, SectionId, TermId};
use serde::{Deserialize, Serialize};
use table::{Key, Partition, Record};

use crate::domain::{Census, CensusEntry};

/// Says that a section is one of the term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermSection {
    pub term: TermId,
    pub section: SectionId,
}

impl Record for TermSection {
    const KIND: &'static str = "term-section";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("TERM#{}", self.term), format!("{SECTION_PREFIX}{}", self.section))
    }
}

/// Sort keys of a term's sections begin with this.
const SECTION_PREFIX: &str = "SECTION#";

pub fn term_sections(term: TermId) -> Partition<TermSection> {
    Partition::new(format!("TERM#{term}"), SECTION_PREFIX)
}

impl Record for Census {
    const KIND: &'static str = "census";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        census_key(self.term)
    }

    /// Only what is still to be taken.
    fn index_key(&self) -> Option<(String, String)> {
        let is_due = self.taken_at.is_none();
        is_due.then(|| ("CENSUSES".to_owned(), format!("{}#{}", self.census_on, self.term)))
    }
}

pub fn census_key(term: TermId) -> Key<Census> {
    Key::new(format!("CENSUS#{term}"), "CENSUS")
}

/// Censuses to be taken, the first due first.
pub fn due_censuses() -> Partition<Census> {
    Partition::in_index("CENSUSES", "")
}

/// Sort keys of a census' students begin with this.
const STUDENT_PREFIX: &str = "STUDENT#";

impl Record for CensusEntry {
    const KIND: &'static str = "census-entry";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        census_entry_key(self.term, self.student)
    }
}

pub fn census_entry_key(term: TermId, student: PersonId) -> Key<CensusEntry> {
    Key::new(format!("CENSUS#{term}"), format!("{STUDENT_PREFIX}{student}"))
}

/// Whom the census of a term has found.
pub fn census_entries(term: TermId) -> Partition<CensusEntry> {
    Partition::new(format!("CENSUS#{term}"), STUDENT_PREFIX)
}
