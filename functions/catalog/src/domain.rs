//! The rules of the catalog: what may stand in it, who may change it when, and what is refused.

mod course;
mod linked;
mod program;
mod refusal;
mod rollover;
mod section;
mod term;
mod timetable;

pub use course::{Course, check as check_version};
pub use linked::{CrossList, GroupState, RegistrationGroup};
pub use program::Program;
pub use refusal::{DateProblem, Refusal, SENTENCES};
pub use rollover::{Rollover, RolloverState, Skipped, copied};
pub use section::{Component, Editor, Override, Section, SectionState, StateNote};
pub use term::{Term, may_move};
pub use timetable::{Booking, Clash, ClashKind, Resource, Timetable, check_calendar};

use kernel::Requirement;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A short name that people type: upper case letters, digits, dot, dash.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Code(
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[A-Z0-9][A-Z0-9.\-]*$"))] pub String,
);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The requirement that `text` says, or where in it reading stopped. `field` is the text's place in the request.
pub fn requirement(field: &str, text: &str) -> Result<Requirement, Refusal> {
    text.parse().map_err(|error: kernel::RequirementSyntaxError| Refusal::RequirementMalformed {
        field: field.to_owned(),
        at: error.at,
        expected: error.expected,
    })
}
