//! The deputies of a department's head.

use kernel::PersonId;
use table::{Key, Partition, Record};

use crate::domain::Deputy;

impl Record for Deputy {
    const KIND: &'static str = "deputy";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        deputy_key(&self.department, self.person)
    }
}

/// Sort keys of a department's deputies begin with this.
const DEPUTY_PREFIX: &str = "DEPUTY#";

pub fn deputy_key(department: &str, person: PersonId) -> Key<Deputy> {
    Key::new(format!("DEPARTMENT#{department}"), format!("{DEPUTY_PREFIX}{person}"))
}

pub fn deputies(department: &str) -> Partition<Deputy> {
    Partition::new(format!("DEPARTMENT#{department}"), DEPUTY_PREFIX)
}
