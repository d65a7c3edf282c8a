//! A student's account over a period: what stood before, what was booked in it, and what it came to. An entry counts by
//! what it changes of what the student owes less what they have to their credit.

use std::collections::BTreeMap;

use kernel::{Currency, Date, Money};

use super::Refusal;
use super::ledger::{Account, JournalEntry, Source};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub opening: Money,
    pub rows: Vec<StatementRow>,
    pub closing: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    pub on: Date,
    pub source: Source,
    /// Less than nothing where less is owed from then on.
    pub change: Money,
    /// What it comes to with this row.
    pub balance: Money,
}

impl Statement {
    /// One for each currency in which anything was booked up to the last day. Both days belong to the period.
    pub fn of(
        mut entries: Vec<JournalEntry>,
        first: Date,
        last: Date,
    ) -> Result<Vec<Self>, Refusal> {
        entries.retain(|entry| entry.effective_date() <= last);
        entries.sort_by_key(|entry| {
            (entry.effective_date(), entry.booked_at(), entry.id().to_string())
        });
        let mut statements: BTreeMap<Currency, Self> = BTreeMap::new();
        for entry in &entries {
            for (currency, change) in changes(entry)? {
                let statement = statements.entry(currency).or_insert_with(|| Self::empty(currency));
                statement.closing = statement.closing.checked_add(change)?;
                if entry.effective_date() < first {
                    statement.opening = statement.closing;
                } else if change.minor != 0 {
                    statement.rows.push(StatementRow {
                        on: entry.effective_date(),
                        source: entry.source().clone(),
                        change,
                        balance: statement.closing,
                    });
                }
            }
        }
        Ok(statements.into_values().collect())
    }

    fn empty(currency: Currency) -> Self {
        let nothing = Money::zero(currency);
        Self { opening: nothing, rows: Vec::new(), closing: nothing }
    }
}

fn changes(entry: &JournalEntry) -> Result<BTreeMap<Currency, Money>, Refusal> {
    let mut changes: BTreeMap<Currency, Money> = BTreeMap::new();
    let of_the_student = |account| matches!(account, Account::Receivable | Account::UnappliedCash);
    for line in entry.lines().iter().filter(|line| of_the_student(line.account)) {
        let currency = line.amount.currency;
        let change = changes.entry(currency).or_insert(Money::zero(currency));
        *change = change.checked_add(line.amount)?;
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use kernel::{Id, JournalEntryId, PersonId, Timestamp};
    use proptest::prelude::*;

    use super::super::ledger::{Booking, Line, PostingPeriod, SourceKind};
    use super::*;

    fn money(minor: i64) -> Money {
        Money::new(minor, "XAF".parse().expect("a currency"))
    }

    fn day(day: i8) -> Date {
        Date::new(2027, 1, day).expect("a date")
    }

    fn entry(number: usize, on: Date, lines: &[(Account, i64)]) -> JournalEntry {
        let booking = Booking {
            booked_at: Timestamp::UNIX_EPOCH,
            effective_date: on,
            posting_period: PostingPeriod::of(on),
        };
        let source = Source { kind: SourceKind::Payment, id: number.to_string() };
        let lines = lines.iter().map(|(account, minor)| Line::new(*account, money(*minor)));
        let student = Some(PersonId::derived_from("ada"));
        JournalEntry::new(student, booking, source, lines).expect("balanced")
    }

    #[test]
    fn what_only_moves_between_a_student_s_own_pockets_is_no_row() {
        let charged = entry(1, day(1), &[(Account::Receivable, 500), (Account::Revenue, -500)]);
        let paid = entry(2, day(3), &[(Account::Cash, 700), (Account::UnappliedCash, -700)]);
        let moved = [(Account::UnappliedCash, 500), (Account::Receivable, -500)];
        let applied = entry(3, day(4), &moved);
        let entries = vec![applied, paid, charged];
        let statement = Statement::of(entries, day(2), day(31)).expect("sums").remove(0);
        assert_eq!((statement.opening, statement.closing), (money(500), money(-200)));
        let [row] = &statement.rows[..] else { panic!("one row: {:?}", statement.rows) };
        assert_eq!((row.on, row.change, row.balance), (day(3), money(-700), money(-200)));
    }

    proptest! {
        /// Whatever the period, what stood before and the rows of it come to what the ledger says.
        #[test]
        fn the_rows_lead_from_what_stood_before_to_what_the_ledger_says(
            booked in proptest::collection::vec((1_i8..28, -1_000_i64..1_000, 0_i64..500), 1..40),
            first in 1_i8..28,
            last in 1_i8..28,
        ) {
            let entries: Vec<JournalEntry> = booked.iter().enumerate().map(|(number, (on, owed, held))| {
                let lines = [
                    (Account::Receivable, *owed),
                    (Account::UnappliedCash, -held),
                    (Account::Cash, held - owed),
                ];
                entry(number, day(*on), &lines)
            }).collect();
            let ledger: i64 = booked.iter().filter(|(on, ..)| *on <= last).map(|(_, owed, held)| owed - held).sum();
            let statements = Statement::of(entries, day(first), day(last)).expect("sums");
            let closing: i64 = statements.iter().map(|statement| statement.closing.minor).sum();
            prop_assert_eq!(closing, ledger);
            for statement in statements {
                let moved: i64 = statement.rows.iter().map(|row| row.change.minor).sum();
                prop_assert_eq!(statement.opening.minor + moved, statement.closing.minor);
                prop_assert!(statement.rows.iter().all(|row| (day(first)..=day(last)).contains(&row.on)));
                if let Some(row) = statement.rows.last() {
                    prop_assert_eq!(row.balance, statement.closing);
                }
            }
        }
    }

    #[test]
    fn entries_of_one_moment_stand_in_one_order_always() {
        let ids = |statement: &Statement| -> Vec<JournalEntryId> {
            statement.rows.iter().map(|row| JournalEntry::id_of(&row.source)).collect()
        };
        let entries: Vec<JournalEntry> = (0..5)
            .map(|number| {
                entry(number, day(1), &[(Account::Receivable, 1), (Account::Revenue, -1)])
            })
            .collect();
        let mut turned = entries.clone();
        turned.reverse();
        let one = Statement::of(entries, day(1), day(1)).expect("sums").remove(0);
        let other = Statement::of(turned, day(1), day(1)).expect("sums").remove(0);
        assert_eq!(ids(&one), ids(&other));
    }
}
