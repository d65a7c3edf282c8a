//! What the registrar's office knows of students, what stops them and what lets them in; and which sections are linked.

use events::SeatFreed;
use kernel::{HoldId, OverrideId, PersonId, SectionId, TermId, Timestamp};
use serde::{Deserialize, Serialize};
use shell::Failure;
use table::{Key, Partition, Record, Table, Transaction};

use super::{Cause, TERM_PREFIX, section_pk, student_pk};
use crate::domain::{Hold, KeptCart, KnownStudent, Override, SectionLinks, StudentTerm};

impl Record for KnownStudent {
    const KIND: &'static str = "known-student";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        known_student_key(self.student)
    }
}

pub fn known_student_key(student: PersonId) -> Key<KnownStudent> {
    Key::new(student_pk(student), "RECORD")
}

impl Record for KeptCart {
    const KIND: &'static str = "cart";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        kept_cart_key(self.student, self.term)
    }
}

pub fn kept_cart_key(student: PersonId, term: TermId) -> Key<KeptCart> {
    Key::new(student_pk(student), format!("CART#{term}"))
}

/// Sort keys of a student's holds begin with this.
pub const HOLD_PREFIX: &str = "HOLD#";

impl Record for Hold {
    const KIND: &'static str = "hold";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        hold_key(self.student, self.id)
    }
}

pub fn hold_key(student: PersonId, id: HoldId) -> Key<Hold> {
    Key::new(student_pk(student), format!("{HOLD_PREFIX}{id}"))
}

/// A student's holds, the newest first.
pub fn holds(student: PersonId) -> Partition<Hold> {
    Partition::new(student_pk(student), HOLD_PREFIX).newest_first()
}

/// Says when a hold ends by itself, until that has been followed: who stands in line and was stopped by it may be next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnd {
    pub hold: HoldId,
    pub student: PersonId,
    pub ends_at: Timestamp,
}

impl Record for HoldEnd {
    const KIND: &'static str = "hold-end";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("HOLD-END#{}", self.hold), "END")
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("HOLD-ENDS".to_owned(), format!("{:.9}#{}", self.ends_at, self.hold)))
    }
}

/// Holds that end by themselves, the first to end first.
pub fn hold_ends() -> Partition<HoldEnd> {
    Partition::in_index("HOLD-ENDS", "")
}

/// Sort keys of a student's overrides begin with this.
pub const OVERRIDE_PREFIX: &str = "OVERRIDE#";

impl Record for Override {
    const KIND: &'static str = "override";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        override_key(self.student, self.id)
    }
}

pub fn override_key(student: PersonId, id: OverrideId) -> Key<Override> {
    Key::new(student_pk(student), format!("{OVERRIDE_PREFIX}{id}"))
}

/// A student's overrides, the newest first.
pub fn overrides(student: PersonId) -> Partition<Override> {
    Partition::new(student_pk(student), OVERRIDE_PREFIX).newest_first()
}

impl Record for SectionLinks {
    const KIND: &'static str = "section-links";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        section_links_key(self.section)
    }
}

pub fn section_links_key(section: SectionId) -> Key<SectionLinks> {
    Key::new(section_pk(section), "LINKS")
}

/// The sections that a student stands in line for, in all terms.
pub async fn waited_for(table: &Table, student: PersonId) -> Result<Vec<SectionId>, Failure> {
    let mut student_s = table.get_collection(&student_pk(student)).await?;
    let terms = student_s.take_all::<StudentTerm>(TERM_PREFIX)?;
    let waiting = terms.into_iter().flat_map(|term| term.value.waiting);
    Ok(waiting.map(|waiting| waiting.section).collect())
}

/// Lines that are asked again in one transaction.
const LINES_MAX: usize = 50;

/// What stopped somebody in line stops them no longer: a seat that nobody could take may be theirs.
pub fn ask_lines_again(
    transaction: &mut Transaction<'_>,
    sections: &[SectionId],
    because: &str,
    (version, cause): (u64, Cause<'_>),
) {
    for section in sections.iter().take(LINES_MAX) {
        let freed_by = because.to_owned();
        let event = SeatFreed { section: *section, freed_by, step: 0, after: None };
        transaction.event(event, version, cause.now, cause.correlation_id);
    }
}
