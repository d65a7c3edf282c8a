//! What the bursar reads off accounts and entries: how long what is owed has been due, and what money came and went by
//! which way on which day.

use kernel::{Currency, Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::JournalEntry;
use super::{Channel, Refusal, StudentAccount};

/// What is owed in one currency by the days for which it has been due, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Aging {
    pub currency: Currency,
    /// Due after today.
    pub not_due: i64,
    /// Due today, or for up to 30 days.
    pub days_0_to_30: i64,
    pub days_31_to_60: i64,
    pub days_61_to_90: i64,
    pub days_over_90: i64,
}

impl Aging {
    pub fn empty(currency: Currency) -> Self {
        Self {
            currency,
            not_due: 0,
            days_0_to_30: 0,
            days_31_to_60: 0,
            days_61_to_90: 0,
            days_over_90: 0,
        }
    }

    pub fn of(account: &StudentAccount, today: Date) -> Result<Self, Refusal> {
        let mut aging = Self::empty(account.currency);
        for claim in account.claims() {
            let days = (today - claim.due).get_days();
            let sum = aging.of_age(days);
            *sum = sum.checked_add(claim.open).ok_or(Refusal::AmountTooLarge)?;
        }
        Ok(aging)
    }

    fn of_age(&mut self, days: i32) -> &mut i64 {
        match days {
            ..0 => &mut self.not_due,
            0..=30 => &mut self.days_0_to_30,
            31..=60 => &mut self.days_31_to_60,
            61..=90 => &mut self.days_61_to_90,
            91.. => &mut self.days_over_90,
        }
    }

    fn add(&mut self, other: &Self) -> Result<(), Refusal> {
        for (sum, part) in [
            (&mut self.not_due, other.not_due),
            (&mut self.days_0_to_30, other.days_0_to_30),
            (&mut self.days_31_to_60, other.days_31_to_60),
            (&mut self.days_61_to_90, other.days_61_to_90),
            (&mut self.days_over_90, other.days_over_90),
        ] {
            *sum = sum.checked_add(part).ok_or(Refusal::AmountTooLarge)?;
        }
        Ok(())
    }
}

/// Money that came by one way on one day, and that went again, in minor units; both not negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Takings {
    pub day: Date,
    pub channel: Channel,
    pub currency: Currency,
    pub came: i64,
    pub went: i64,
}

/// The sums that a proof of the ledger comes to on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// The day as of which they are.
    pub day: Date,
    /// By currency.
    pub receivables: Vec<Aging>,
    /// By day, channel and currency, of the last days.
    pub takings: Vec<Takings>,
}

impl Sums {
    /// Days, the current one among them, whose takings are kept apart: a quarter.
    const TAKINGS_DAYS: i64 = 92;

    pub fn on(day: Date) -> Self {
        Self { day, receivables: Vec::new(), takings: Vec::new() }
    }

    pub fn take_account(&mut self, account: &StudentAccount) -> Result<(), Refusal> {
        let aging = Aging::of(account, self.day)?;
        let of_currency = |sum: &&mut Aging| sum.currency == aging.currency;
        if let Some(sum) = self.receivables.iter_mut().find(of_currency) {
            return sum.add(&aging);
        }
        self.receivables.push(aging);
        Ok(())
    }

    pub fn take_entry(&mut self, entry: &JournalEntry) -> Result<(), Refusal> {
        let day = entry.effective_date();
        let first = self.day.saturating_sub(jiff::Span::new().days(Self::TAKINGS_DAYS - 1));
        if !(first..=self.day).contains(&day) {
            return Ok(());
        }
        for (channel, amount) in entry.moved() {
            let key = (day, channel, amount.currency);
            let row = self.takings_of(key);
            let sum = if amount.minor > 0 { &mut row.came } else { &mut row.went };
            *sum = sum.checked_add(amount.minor.abs()).ok_or(Refusal::AmountTooLarge)?;
        }
        Ok(())
    }

    fn takings_of(&mut self, key: (Date, Channel, Currency)) -> &mut Takings {
        let of = |row: &Takings| (row.day, row.channel, row.currency);
        let at = self.takings.binary_search_by_key(&key, of).unwrap_or_else(|at| {
            let (day, channel, currency) = key;
            self.takings.insert(at, Takings { day, channel, currency, came: 0, went: 0 });
            at
        });
        &mut self.takings[at]
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Id, InvoiceId, Money, PersonId, Timestamp};

    use super::super::{
        Account, Booking, ChargeCode, Institution, InvoiceDocument, InvoiceLine, Line, Source,
        SourceKind, post,
    };
    use super::*;

    fn francs(minor: i64) -> Money {
        Money::new(minor, "XAF".parse().expect("a currency"))
    }

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn booking(day: &str) -> Booking {
        let now: Timestamp = "2027-04-30T08:30:00Z".parse().expect("a timestamp");
        Booking::at(now, date(day), &Institution::example(), None)
    }

    /// An account that owes so much since each of these days.
    fn owing(dues: &[(&str, i64)]) -> StudentAccount {
        let student = PersonId::derived_from("ada");
        let mut account = StudentAccount::empty(student, francs(0).currency);
        for (at, (due, minor)) in dues.iter().enumerate() {
            let line = InvoiceLine {
                code: ChargeCode::tuition(),
                description: "Calculus".into(),
                registration: None,
                term_code: "2027S".into(),
                quantity_hundredths: 100,
                unit_price: francs(*minor),
                amount: francs(*minor),
            };
            let document = InvoiceDocument {
                id: InvoiceId::derived_from(&at.to_string()),
                number: format!("MAT-2027-{at:06}"),
                student,
                charge: None,
                bundle: None,
                repriced: Vec::new(),
                term_code: "2027S".into(),
                issued_at: Timestamp::UNIX_EPOCH,
                due: date(due),
                lines: vec![line],
                total: francs(*minor),
            };
            let source = Source { kind: SourceKind::Charge, id: at.to_string() };
            post(document, source, &mut account, booking("2027-04-30")).expect("posts");
        }
        account
    }

    #[test]
    fn receivables_age_by_their_due_date() {
        let account = owing(&[
            ("2027-05-01", 1),
            ("2027-04-30", 10),
            ("2027-03-31", 100),
            ("2027-03-30", 1_000),
            ("2027-03-01", 10_000),
            ("2027-02-28", 100_000),
            ("2027-01-30", 1_000_000),
            ("2027-01-29", 10_000_000),
        ]);
        let mut sums = Sums::on(date("2027-04-30"));
        sums.take_account(&account).expect("in range");
        sums.take_account(&owing(&[("2027-04-30", 5)])).expect("in range");
        let expected = Aging {
            currency: francs(0).currency,
            not_due: 1,
            days_0_to_30: 115,
            days_31_to_60: 11_000,
            days_61_to_90: 1_100_000,
            days_over_90: 10_000_000,
        };
        assert_eq!(sums.receivables, [expected]);
    }

    #[test]
    fn takings_are_by_day_and_channel_and_what_went_is_told_apart() {
        let mut sums = Sums::on(date("2027-04-30"));
        for (at, (day, account, minor)) in [
            ("2027-04-30", Account::Cash, 500),
            ("2027-04-30", Account::Cash, -200),
            ("2027-04-29", Account::Bank, 70),
            ("2027-01-29", Account::ProviderClearing, 9),
            ("2027-01-28", Account::ProviderClearing, 1_000_000),
        ]
        .into_iter()
        .enumerate()
        {
            let amount = francs(minor);
            let lines = [
                Line::new(account, amount),
                Line::new(Account::UnappliedCash, amount.negated().expect("in range")),
            ];
            let source = Source { kind: SourceKind::Payment, id: at.to_string() };
            let entry = JournalEntry::new(None, booking(day), source, lines).expect("balanced");
            sums.take_entry(&entry).expect("in range");
        }
        let rows = sums.takings.iter();
        let rows: Vec<_> =
            rows.map(|row| (row.day.to_string(), row.channel, row.came, row.went)).collect();
        let expected = [
            ("2027-01-29".to_owned(), Channel::Card, 9, 0),
            ("2027-04-29".to_owned(), Channel::BankTransfer, 70, 0),
            ("2027-04-30".to_owned(), Channel::Cash, 500, 200),
        ];
        assert_eq!(rows, expected, "what is older than a quarter is left to the posting periods");
    }
}
