//! A program of study: what students are admitted to.

use kernel::{Date, ProgramId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Code;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    pub id: ProgramId,
    pub code: Code,
    pub title: String,
    pub department: Code,
    /// Hundredths of a credit: 18000 is 180 credits.
    pub credits_required_hundredths: u32,
    /// From this day on nobody is admitted to it.
    pub retired_from: Option<Date>,
}
