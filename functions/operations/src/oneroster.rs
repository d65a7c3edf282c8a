//! OneRoster 1.2 CSV: what is wrong with a file, and what there is to apply. Pure functions over readers; memory is
//! bounded by the number of rows, at some ten bytes each, not by what stands in them.

pub(crate) mod archive;
pub(crate) mod chunks;
mod encoding;
mod examine;
pub(crate) mod parse;
pub(crate) mod report;
pub(crate) mod rows;

pub use archive::{Archive, File, Limits};
pub use chunks::{Chunk, Stopped, Target, Written, write_chunks};
pub use examine::{Examination, examine};
pub use report::{Line, Problem, REPORT_LINES_MAX, Severity};

#[cfg(test)]
pub(crate) mod tests;
