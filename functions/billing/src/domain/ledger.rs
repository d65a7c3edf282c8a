//! The ledger: journal entries that sum to zero and are never edited, and what a student has to their credit.

use std::collections::BTreeMap;

use kernel::{Currency, Id, JournalEntryId, Money, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What a student owes.
    Receivable,
    TuitionRevenue,
    /// What the provider took in and has not paid out to us yet.
    ProviderClearing,
    /// What a student paid and does not owe.
    UnappliedCash,
    /// Money that came in and that nobody can place.
    Suspense,
}

/// Debits are positive, credits negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub account: Account,
    pub amount: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    Charge,
    CreditNote,
    Payment,
    SuspenseItem,
}

/// What an entry was booked for. It is booked once: the entry's id follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub kind: SourceKind,
    pub id: String,
}

/// Posted once and never changed; a mistake is corrected by another entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    id: JournalEntryId,
    /// Absent where it is not known whose money it is.
    student: Option<PersonId>,
    occurred_at: Timestamp,
    source: Source,
    lines: Vec<Line>,
}

/// Lines whose debits and credits differ: a defect of whoever wrote them down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbalanced;

impl JournalEntry {
    /// Refuses lines that do not sum to zero in each currency. Lines of nothing are left out.
    pub fn new(
        student: Option<PersonId>,
        occurred_at: Timestamp,
        source: Source,
        lines: impl IntoIterator<Item = (Account, Money)>,
    ) -> Result<Self, Unbalanced> {
        let lines: Vec<Line> = lines
            .into_iter()
            .filter(|(_, amount)| amount.minor != 0)
            .map(|(account, amount)| Line { account, amount })
            .collect();
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for line in &lines {
            *sums.entry(line.amount.currency).or_default() += i128::from(line.amount.minor);
        }
        if sums.values().any(|sum| *sum != 0) {
            return Err(Unbalanced);
        }
        let id = JournalEntryId::derived_from(&format!("{:?}:{}", source.kind, source.id));
        Ok(Self { id, student, occurred_at, source, lines })
    }

    pub fn id(&self) -> JournalEntryId {
        self.id
    }

    pub fn student(&self) -> Option<PersonId> {
        self.student
    }

    pub fn occurred_at(&self) -> Timestamp {
        self.occurred_at
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// What a student has to their credit in one currency: paid, and not owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudentAccount {
    pub student: PersonId,
    pub unapplied_cash: Money,
}

impl StudentAccount {
    pub fn empty(student: PersonId, currency: Currency) -> Self {
        Self { student, unapplied_cash: Money::zero(currency) }
    }

    pub(super) fn deposit(&mut self, amount: Money) -> Result<(), Refusal> {
        self.unapplied_cash = self.unapplied_cash.checked_add(amount)?;
        Ok(())
    }

    pub(super) fn withdraw(&mut self, amount: Money) -> Result<(), Refusal> {
        self.unapplied_cash = self.unapplied_cash.checked_sub(amount)?;
        assert!(self.unapplied_cash.minor >= 0, "only what is there is applied");
        Ok(())
    }
}

/// The smaller of two amounts of one currency.
pub(super) fn smaller(one: Money, other: Money) -> Result<Money, Refusal> {
    Ok(if one.checked_sub(other)?.minor <= 0 { one } else { other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_does_not_sum_to_zero_is_refused() {
        let money = |minor, currency: &str| Money::new(minor, currency.parse().expect("known"));
        let entry = |lines: Vec<(Account, Money)>| {
            let source = Source { kind: SourceKind::Charge, id: "chg".into() };
            JournalEntry::new(None, Timestamp::UNIX_EPOCH, source, lines)
        };
        let (debit, credit) = (Account::Receivable, Account::TuitionRevenue);
        assert!(entry(vec![(debit, money(5, "EUR")), (credit, money(-5, "EUR"))]).is_ok());
        assert_eq!(
            entry(vec![(debit, money(5, "EUR")), (credit, money(-4, "EUR"))]),
            Err(Unbalanced)
        );
        let mixed = entry(vec![(debit, money(5, "EUR")), (credit, money(-5, "USD"))]);
        assert_eq!(mixed, Err(Unbalanced), "each currency sums to zero for itself");
        let huge = money(i64::MAX, "EUR");
        assert_eq!(entry(vec![(debit, huge), (debit, huge)]), Err(Unbalanced));
    }
}
