//! What the registrar's office knows of students, and what stops them.

use kernel::{HoldId, PersonId};
use table::{Key, Partition, Record};

use super::student_pk;
use crate::domain::{Hold, KnownStudent};

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
