//! The sections of a course are brought up to its last word page by page, however many there are.

use kernel::CourseId;
use serde::{Deserialize, Serialize};
use table::Position;

/// Invariant: every section before `after` is as the course's last word says, or is being brought there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CourseUpdate {
    pub course: CourseId,
    /// Counts the pages of all updates: an event of another step is of the past.
    pub step: u32,
    /// Where the next page of sections begins.
    pub after: Option<Position>,
    pub done: bool,
}

impl CourseUpdate {
    /// From the first section on, wherever an earlier one stands.
    pub fn begin(course: CourseId, before: Option<&Self>) -> Self {
        let step = before.map_or(0, |before| before.step + 1);
        Self { course, step, after: None, done: false }
    }

    /// A page is behind it.
    pub fn advance(&mut self, after: Option<Position>) {
        self.step += 1;
        self.done = after.is_none();
        self.after = after;
    }
}
