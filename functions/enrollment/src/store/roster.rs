//! Who is in a section: one item for each student, so that nobody is in it twice and a cancelled one can be cleared.

use kernel::{BundleId, PersonId, RegistrationId, SectionId, SubmissionId};
use serde::{Deserialize, Serialize};
use table::{Key, Partition, Record, Stored, Transaction};

use crate::domain::{Clearance, Registration};

/// A student who holds or has a seat. Never changed: it comes with the seat and goes with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RosterEntry {
    pub section: SectionId,
    pub student: PersonId,
    pub registration: RegistrationId,
    pub submission: SubmissionId,
    pub bundle: BundleId,
}

impl Record for RosterEntry {
    const KIND: &'static str = "roster-entry";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(section_pk(self.section), format!("{STUDENT_PREFIX}{}", self.student))
    }
}

impl Record for Clearance {
    const KIND: &'static str = "clearance";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        clearance_key(self.section)
    }
}

/// Sort keys of a section's students begin with this.
const STUDENT_PREFIX: &str = "STUDENT#";

pub fn section_pk(section: SectionId) -> String {
    format!("SECTION#{section}")
}

pub fn clearance_key(section: SectionId) -> Key<Clearance> {
    Key::new(section_pk(section), "CLEARANCE")
}

/// The students of a section.
pub fn roster(section: SectionId) -> Partition<RosterEntry> {
    Partition::new(section_pk(section), STUDENT_PREFIX)
}

/// Puts the student on the roster, where they are not on it.
pub fn enter_roster(transaction: &mut Transaction<'_>, registration: &Registration) {
    transaction.create(&entry_of(registration));
}

/// Takes the student off the roster, where this very seat put them on it.
pub fn leave_roster(transaction: &mut Transaction<'_>, registration: &Registration) {
    transaction.delete(&Stored { value: entry_of(registration), version: 1 });
}

fn entry_of(registration: &Registration) -> RosterEntry {
    let Registration { section, student, id, submission, bundle, .. } = *registration;
    RosterEntry { section, student, registration: id, submission, bundle }
}
