//! The latest proof of the ledger: whether everything agrees, and the sums that it came to: trial balance, revenue,
//! aged receivables, and takings by day and channel.

use kernel::{Date, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Aging, Difference, Refusal, RevenueRow, Takings, TrialBalanceRow};
use crate::store::{self, LedgerProof};

pub const ROUTE: Route = Route::get(
    "read-ledger-proof",
    "/ledger-proofs/latest",
    BURSAR,
    "Read the latest proof of the ledger, with its trial balance and its revenue",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub started_at: Timestamp,
    /// Null while it is under way: what stands here is then only a part.
    pub finished_at: Option<Timestamp>,
    pub accounts: u64,
    pub entries: u64,
    pub lines: u64,
    /// Invoices and credit notes that bear the numbers that were given.
    pub documents: u64,
    /// Whether debits and credits are the same in each currency.
    pub is_balanced: bool,
    pub trial_balance: Vec<TrialBalanceRow>,
    pub revenue: Vec<RevenueRow>,
    /// The day as of which the sums are.
    pub day: Date,
    /// What is owed, by how long it has been due.
    pub receivables: Vec<Aging>,
    /// What came and went in the quarter before that day, by day and channel; what is older stands in the trial balance
    /// by posting period.
    pub takings: Vec<Takings>,
    /// The first hundred.
    pub differences: Vec<Difference>,
    pub difference_count: u64,
}

impl Reply {
    pub fn of(proof: &LedgerProof) -> Self {
        let proof = proof.clone();
        Self {
            started_at: proof.started_at,
            finished_at: proof.finished_at,
            accounts: proof.accounts,
            entries: proof.trial_balance.entries,
            lines: proof.trial_balance.lines,
            documents: proof.documents,
            is_balanced: proof.trial_balance.is_balanced(),
            trial_balance: proof.trial_balance.rows,
            revenue: proof.trial_balance.revenue,
            day: proof.sums.day,
            receivables: proof.sums.receivables,
            takings: proof.sums.takings,
            differences: proof.differences,
            difference_count: proof.difference_count,
        }
    }
}

pub async fn handle(ctx: &Ctx, _call: &Call<Command>) -> Result<Reply, Failure> {
    let proof = ctx.table.get(&store::ledger_proof_key()).await?;
    Ok(Reply::of(&proof.ok_or(Refusal::LedgerProofUnknown)?.value))
}
