//! Import steps: rows from another system, each applied whole or not at all; one bad row stops no other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Failure, run_step};

/// What became of a chunk of rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    pub applied: u64,
    /// Rows that stood there already, just so.
    pub unchanged: u64,
    pub refused: Vec<RefusedRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedRow {
    pub row: u64,
    pub code: String,
}

pub enum RowOutcome {
    Applied,
    Unchanged,
}

/// Applies the rows one after the other. A fault ends the chunk: it is repeated as a whole, and finds its own work.
pub async fn import_rows<T>(
    rows: &[T],
    number: impl Fn(&T) -> u64,
    apply: impl AsyncFn(&T) -> Result<RowOutcome, Failure>,
) -> Result<Imported, Failure> {
    let mut imported = Imported::default();
    for row in rows {
        match run_step(async || apply(row).await).await {
            Ok(RowOutcome::Applied) => imported.applied += 1,
            Ok(RowOutcome::Unchanged) => imported.unchanged += 1,
            Err(Failure::Refused(refusal)) => {
                imported
                    .refused
                    .push(RefusedRow { row: number(row), code: refusal.code().to_owned() });
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(imported)
}
