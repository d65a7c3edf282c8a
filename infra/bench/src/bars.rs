//! The bars that every bench holds the programs to alike, and how one says that something is over its bar.

use crate::failure::Failure;
use crate::statistics::mebibytes;

/// The most memory that a process of a function may have had.
const PEAK_MAX_MIB: f64 = 40.0;

/// What is over the bar of memory.
pub fn memory(name: &str, peak_kib: u64) -> Option<String> {
    let peak = mebibytes(peak_kib);
    (peak > PEAK_MAX_MIB).then(|| format!("{name} takes {peak} MiB, more than {PEAK_MAX_MIB}"))
}

/// Fails with everything that is over its bar.
pub fn check(over: &[String]) -> Result<(), Failure> {
    if over.is_empty() { Ok(()) } else { Err(Failure(over.join("; "))) }
}
