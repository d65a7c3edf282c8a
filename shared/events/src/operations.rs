//! Events of the operations context.

use kernel::{Id, ImportId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// Every row of an import has been applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportApplied {
    pub import: ImportId,
    pub rows: u64,
}

impl Event for ImportApplied {
    const NAME: &'static str = "operations.import.applied";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.import.to_string()
    }

    fn example() -> Self {
        Self { import: ImportId::derived_from("example"), rows: 2_812 }
    }
}
