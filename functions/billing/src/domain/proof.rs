//! The proof of the ledger: every entry folded again, and what that comes to compared with what stands.

use std::collections::BTreeMap;

use kernel::{Currency, Date, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Account, Earned, JournalEntry, PostingPeriod};
use super::{Refusal, StudentAccount, Sums};

/// Debits and credits of one ledger account in one posting period, in minor units, both not negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrialBalanceRow {
    pub period: PostingPeriod,
    pub currency: Currency,
    pub account: Account,
    pub debits: i64,
    pub credits: i64,
}

/// What was earned by one code in one term, less what was credited, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevenueRow {
    pub earned: Earned,
    pub currency: Currency,
    pub amount: i64,
}

/// The sums over entries, whosesoever they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialBalance {
    pub entries: u64,
    pub lines: u64,
    /// By period, currency and account.
    pub rows: Vec<TrialBalanceRow>,
    /// By code, term and currency.
    pub revenue: Vec<RevenueRow>,
}

impl TrialBalance {
    pub fn take(&mut self, entry: &JournalEntry) -> Result<(), Refusal> {
        self.entries += 1;
        for line in entry.lines() {
            self.lines += 1;
            let key = (entry.posting_period(), line.amount.currency, line.account);
            let row = self.row(key);
            let (debit, credit) = (line.amount.minor.max(0), line.amount.minor.min(0));
            row.debits = row.debits.checked_add(debit).ok_or(Refusal::AmountTooLarge)?;
            row.credits = row.credits.checked_sub(credit).ok_or(Refusal::AmountTooLarge)?;
            if let Some(earned) = &line.earned {
                let amount = &mut self.revenue_row(earned, line.amount.currency).amount;
                *amount = amount.checked_sub(line.amount.minor).ok_or(Refusal::AmountTooLarge)?;
            }
        }
        Ok(())
    }

    /// Debits less credits over all, which is nothing in a ledger that balances.
    pub fn sum(&self, currency: Currency) -> i128 {
        let rows = self.rows.iter().filter(|row| row.currency == currency);
        rows.map(|row| i128::from(row.debits) - i128::from(row.credits)).sum()
    }

    pub fn is_balanced(&self) -> bool {
        self.rows.iter().all(|row| self.sum(row.currency) == 0)
    }

    fn row(&mut self, key: (PostingPeriod, Currency, Account)) -> &mut TrialBalanceRow {
        let of = |row: &TrialBalanceRow| (row.period, row.currency, row.account);
        let at = self.rows.binary_search_by_key(&key, of).unwrap_or_else(|at| {
            let (period, currency, account) = key;
            let row = TrialBalanceRow { period, currency, account, debits: 0, credits: 0 };
            self.rows.insert(at, row);
            at
        });
        &mut self.rows[at]
    }

    fn revenue_row(&mut self, earned: &Earned, currency: Currency) -> &mut RevenueRow {
        let at = self
            .revenue
            .binary_search_by(|row| (&row.earned, row.currency).cmp(&(earned, currency)));
        let at = at.unwrap_or_else(|at| {
            let row = RevenueRow { earned: earned.clone(), currency, amount: 0 };
            self.revenue.insert(at, row);
            at
        });
        &mut self.revenue[at]
    }
}

/// The whole ledger folded in one pass: the sums, and every student's balances.
#[derive(Debug, Default)]
pub struct Replay {
    pub trial_balance: TrialBalance,
    pub unbalanced: u64,
    students: BTreeMap<(PersonId, Currency), StudentAccount>,
}

impl Replay {
    pub fn take(&mut self, entry: &JournalEntry) -> Result<(), Refusal> {
        self.trial_balance.take(entry)?;
        self.unbalanced += u64::from(!entry.is_balanced());
        let first = entry.lines().first();
        if let (Some(student), Some(line)) = (entry.student(), first) {
            let currency = line.amount.currency;
            let account = self
                .students
                .entry((student, currency))
                .or_insert_with(|| StudentAccount::empty(student, currency));
            account.book(entry)?;
        }
        Ok(())
    }

    pub fn students(&self) -> impl Iterator<Item = &StudentAccount> {
        self.students.values()
    }
}

/// What does not agree with what it ought to agree with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// The student's balances are not what the entries come to.
    Balance { student: PersonId, currency: Currency },
    /// Debits and credits of an entry differ.
    Unbalanced { entry: String },
    /// A number was given, and no document bears it.
    Gap { series: String, ordinal: u64 },
}

/// How far a proof has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage<P> {
    Accounts { after: Option<P> },
    NobodysEntries { after: Option<P> },
    Registers { series: u32, last: u64, after: Option<P> },
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerProof<P> {
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub stage: Stage<P>,
    pub accounts: u64,
    pub documents: u64,
    pub trial_balance: TrialBalance,
    #[serde(default)]
    pub sums: Sums,
    /// The first of them; all are counted.
    pub differences: Vec<Difference>,
    pub difference_count: u64,
}

impl<P> LedgerProof<P> {
    const DIFFERENCES_KEPT: usize = 100;
    /// A finished proof is good for so long.
    const GOOD_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(20);

    pub fn begin(now: Timestamp, today: Date) -> Self {
        Self {
            started_at: now,
            finished_at: None,
            stage: Stage::Accounts { after: None },
            accounts: 0,
            documents: 0,
            trial_balance: TrialBalance::default(),
            sums: Sums::on(today),
            differences: Vec::new(),
            difference_count: 0,
        }
    }

    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.finished_at.is_some_and(|at| now.duration_since(at) > Self::GOOD_FOR)
    }

    pub fn differ(&mut self, difference: Difference) {
        self.difference_count += 1;
        if self.differences.len() < Self::DIFFERENCES_KEPT {
            self.differences.push(difference);
        }
    }

    pub fn take(&mut self, entry: &JournalEntry) -> Result<(), Refusal> {
        if !entry.is_balanced() {
            self.differ(Difference::Unbalanced { entry: entry.id().to_string() });
        }
        self.sums.take_entry(entry)?;
        self.trial_balance.take(entry)
    }
}
