//! Who decides on approvals in the place of a head of department, for a time.

use kernel::{PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deputy {
    pub department: String,
    pub person: PersonId,
    pub from: Timestamp,
    /// Its first moment is not one of the deputy's any more.
    pub until: Timestamp,
    pub named_by: PersonId,
    pub named_at: Timestamp,
}

impl Deputy {
    pub fn stands_in(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}
