//! A tuition run: how far it has come, and what it came to.

use kernel::{Currency, PersonId, TermId, Timestamp, TuitionRunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// Minor units, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunTotal {
    pub currency: Currency,
    pub billed: i64,
    pub credited: i64,
}

/// `P` says where in the list of bills it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuitionRun<P> {
    pub id: TuitionRunId,
    pub term: TermId,
    pub dry_run: bool,
    pub started_by: PersonId,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub students: u64,
    pub adjusted: u64,
    pub failed: u64,
    pub totals: Vec<RunTotal>,
    pub after: Option<P>,
}

impl<P> TuitionRun<P> {
    pub fn begin(
        id: TuitionRunId,
        (term, dry_run): (TermId, bool),
        started_by: PersonId,
        started_at: Timestamp,
    ) -> Self {
        Self {
            id,
            term,
            dry_run,
            started_by,
            started_at,
            finished_at: None,
            students: 0,
            adjusted: 0,
            failed: 0,
            totals: Vec::new(),
            after: None,
        }
    }

    /// Adds what one student's bill was adjusted by, in minor units.
    pub fn add(&mut self, currency: Currency, billed: i64, credited: i64) -> Result<(), Refusal> {
        self.adjusted += 1;
        let at = self.totals.iter().position(|total| total.currency == currency);
        let at = at.unwrap_or_else(|| {
            self.totals.push(RunTotal { currency, billed: 0, credited: 0 });
            self.totals.len() - 1
        });
        let total = &mut self.totals[at];
        total.billed = total.billed.checked_add(billed).ok_or(Refusal::AmountTooLarge)?;
        total.credited = total.credited.checked_add(credited).ok_or(Refusal::AmountTooLarge)?;
        Ok(())
    }
}
