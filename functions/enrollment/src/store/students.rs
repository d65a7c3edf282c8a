//! What the registrar's office knows of students, what stops them and what lets them in; and which sections are linked.

use kernel::{HoldId, OverrideId, PersonId, SectionId};
use table::{Key, Partition, Record};

use super::{section_pk, student_pk};
use crate::domain::{Hold, KnownStudent, Override, SectionLinks};

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
