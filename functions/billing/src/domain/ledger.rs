//! The ledger: journal entries that sum to zero and are never edited, and the periods that take them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kernel::{Currency, Date, Id, JournalEntryId, Money, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Channel, ChargeCode, Institution, Refusal};

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What a student owes.
    Receivable,
    /// What sponsors are to pay for students.
    SponsorReceivable,
    Revenue,
    /// What the provider took in and has not paid out to us yet.
    ProviderClearing,
    /// Notes and coins at the counter.
    Cash,
    /// What came by bank transfer.
    Bank,
    /// What the provider of mobile money took in and has not paid out to us yet.
    MobileMoneyClearing,
    /// What a student paid and does not owe.
    UnappliedCash,
    /// What is to be paid back and has not left us yet.
    RefundsPayable,
    /// What was given up.
    WriteOffs,
    /// Money that came in and that nobody can place.
    Suspense,
    /// What the provider keeps for itself.
    ProviderFees,
}

impl Account {
    /// By which way the money came that lies here; none where none lies here.
    pub fn channel(self) -> Option<Channel> {
        Channel::ALL.into_iter().find(|channel| channel.account() == self)
    }
}

/// Debits are positive, credits negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub account: Account,
    pub amount: Money,
    /// What was earned, where the line is of revenue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earned: Option<Earned>,
}

/// By what, and in which term.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Earned {
    pub code: ChargeCode,
    pub term_code: String,
}

impl Line {
    pub fn new(account: Account, amount: Money) -> Self {
        Self { account, amount, earned: None }
    }

    pub fn earned(code: ChargeCode, term_code: String, amount: Money) -> Self {
        Self { account: Account::Revenue, amount, earned: Some(Earned { code, term_code }) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    Charge,
    CreditNote,
    Payment,
    /// The payment was applied to other lines than before.
    Reallocation,
    /// What was too much for the transaction of another happening.
    LeftOver,
    Refund,
    RefundConcluded,
    /// A refund that was paid came back.
    RefundBounced,
    /// More went back than there was of the payment.
    RefundUnplaced,
    Chargeback,
    ChargebackReversed,
    ChargebackUnplaced,
    ChargebackFee,
    WriteOff,
    /// The bursar's office charged or credited by hand.
    Adjustment,
    LateFee,
    /// What of an invoice a sponsor pays changed.
    Sponsorship,
    SponsorPayment,
    SuspenseItem,
    SuspenseItemAssigned,
}

/// What an entry was booked for. It is booked once: the entry's id follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    pub kind: SourceKind,
    pub id: String,
}

/// A month of the books, as in `2027-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostingPeriod {
    year: i16,
    month: i8,
}

impl PostingPeriod {
    pub fn of(date: Date) -> Self {
        Self { year: date.year(), month: date.month() }
    }

    #[must_use]
    pub fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { year: self.year, month: month + 1 },
        }
    }
}

impl fmt::Display for PostingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for PostingPeriod {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        format!("{text}-01").parse().map(Self::of)
    }
}

impl Serialize for PostingPeriod {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PostingPeriod {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PostingPeriod {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PostingPeriod".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[1-9][0-9]{3}-(0[1-9]|1[0-2])$" })
    }
}

/// From which posting period on the books are open. Every booking requires that it still be so; what all bookings
/// require at once would be a queue, so the same is said in several copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    pub copy: u8,
    /// Earlier periods are closed and take no entry.
    pub open_from: PostingPeriod,
    pub changed_at: Timestamp,
    pub changed_by: PersonId,
}

impl Books {
    pub const COPIES: u8 = 16;

    /// The copy that a student's bookings look at.
    pub fn copy_of(student: Option<PersonId>) -> u8 {
        let name = student.map(|student| student.to_string()).unwrap_or_default();
        name.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % Self::COPIES
    }
}

/// When something is booked, and in which period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booking {
    pub booked_at: Timestamp,
    /// When it took effect.
    pub effective_date: Date,
    pub posting_period: PostingPeriod,
}

impl Booking {
    /// What took effect in a closed period is booked in the open one, and keeps its date.
    pub fn at(
        now: Timestamp,
        effective_date: Date,
        institution: &Institution,
        books: Option<&Books>,
    ) -> Self {
        let meant = PostingPeriod::of(effective_date);
        let posting_period = match books {
            Some(books) if meant < books.open_from => {
                PostingPeriod::of(institution.date(now)).max(books.open_from)
            }
            _ => meant,
        };
        Self { booked_at: now, effective_date, posting_period }
    }

    /// The same in the period that the caller names, which must be open and have begun.
    pub fn in_period(
        self,
        period: PostingPeriod,
        institution: &Institution,
        books: Option<&Books>,
    ) -> Result<Self, Refusal> {
        if books.is_some_and(|books| period < books.open_from) {
            return Err(Refusal::PostingPeriodClosed);
        }
        let current = PostingPeriod::of(institution.date(self.booked_at));
        // Where the current one is closed already, what happens now is booked in the first that is open.
        if period > books.map_or(current, |books| current.max(books.open_from)) {
            return Err(Refusal::PostingPeriodToCome);
        }
        Ok(Self { posting_period: period, ..self })
    }
}

/// Posted once and never changed; a mistake is corrected by another entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    id: JournalEntryId,
    /// Absent where it is not known whose money it is.
    student: Option<PersonId>,
    booked_at: Timestamp,
    effective_date: Date,
    posting_period: PostingPeriod,
    source: Source,
    /// The entry that this one takes back, wholly or in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reverses: Option<JournalEntryId>,
    lines: Vec<Line>,
}

/// Lines whose debits and credits differ: a defect of whoever wrote them down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbalanced;

impl JournalEntry {
    /// Refuses lines that do not sum to zero in each currency. Lines of nothing are left out.
    pub fn new(
        student: Option<PersonId>,
        booking: Booking,
        source: Source,
        lines: impl IntoIterator<Item = Line>,
    ) -> Result<Self, Unbalanced> {
        let lines: Vec<Line> = lines.into_iter().filter(|line| line.amount.minor != 0).collect();
        let Booking { booked_at, effective_date, posting_period } = booking;
        let id = Self::id_of(&source);
        let reverses = None;
        let entry = Self {
            id,
            student,
            booked_at,
            effective_date,
            posting_period,
            source,
            reverses,
            lines,
        };
        if entry.is_balanced() { Ok(entry) } else { Err(Unbalanced) }
    }

    pub fn id_of(source: &Source) -> JournalEntryId {
        JournalEntryId::derived_from(&format!("{:?}:{}", source.kind, source.id))
    }

    #[must_use]
    pub fn reversing(self, other: JournalEntryId) -> Self {
        Self { reverses: Some(other), ..self }
    }

    pub fn is_balanced(&self) -> bool {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for line in &self.lines {
            *sums.entry(line.amount.currency).or_default() += i128::from(line.amount.minor);
        }
        sums.values().all(|sum| *sum == 0)
    }

    pub fn id(&self) -> JournalEntryId {
        self.id
    }

    pub fn student(&self) -> Option<PersonId> {
        self.student
    }

    pub fn booked_at(&self) -> Timestamp {
        self.booked_at
    }

    pub fn effective_date(&self) -> Date {
        self.effective_date
    }

    pub fn posting_period(&self) -> PostingPeriod {
        self.posting_period
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    pub fn reverses(&self) -> Option<JournalEntryId> {
        self.reverses
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The money that came with it, or went where it is negative, and by which way.
    pub fn moved(&self) -> impl Iterator<Item = (Channel, Money)> {
        self.lines.iter().filter_map(|line| Some((line.account.channel()?, line.amount)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn booking() -> Booking {
        let effective_date = date("2027-01-15");
        Booking {
            booked_at: Timestamp::UNIX_EPOCH,
            effective_date,
            posting_period: PostingPeriod::of(effective_date),
        }
    }

    #[test]
    fn an_entry_that_does_not_sum_to_zero_is_refused() {
        let money = |minor, currency: &str| Money::new(minor, currency.parse().expect("known"));
        let entry = |lines: Vec<(Account, Money)>| {
            let source = Source { kind: SourceKind::Charge, id: "chg".into() };
            let lines = lines.into_iter().map(|(account, amount)| Line::new(account, amount));
            JournalEntry::new(None, booking(), source, lines)
        };
        let (debit, credit) = (Account::Receivable, Account::Revenue);
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

    #[test]
    fn what_took_effect_in_a_closed_period_is_booked_in_the_open_one_and_keeps_its_date() {
        let institution = Institution::example();
        let now: Timestamp = "2027-03-10T08:00:00Z".parse().expect("a timestamp");
        let books = Books {
            copy: 0,
            open_from: "2027-02".parse().expect("a period"),
            changed_at: now,
            changed_by: PersonId::derived_from("bursar"),
        };
        let at = |day: &str| Booking::at(now, date(day), &institution, Some(&books));
        let period = |booking: Booking| booking.posting_period.to_string();
        assert_eq!(period(at("2027-01-31")), "2027-03");
        assert_eq!(at("2027-01-31").effective_date, date("2027-01-31"));
        assert_eq!(period(at("2027-02-01")), "2027-02", "that one is still open");
        let named = |name: &str| {
            let name = name.parse().expect("a period");
            at("2027-01-31").in_period(name, &institution, Some(&books)).map(period)
        };
        let closed = named("2027-01");
        assert_eq!(closed, Err(Refusal::PostingPeriodClosed), "asked for by name it is refused");
        assert_eq!(named("2027-02"), Ok("2027-02".to_owned()));
        assert_eq!(named("2027-03"), Ok("2027-03".to_owned()));
        assert_eq!(named("2027-04"), Err(Refusal::PostingPeriodToCome), "it has not begun");
        assert_eq!(period(Booking::at(now, date("2026-07-01"), &institution, None)), "2026-07");
        let ahead = Books { open_from: "2027-04".parse().expect("a period"), ..books };
        let booking = Booking::at(now, date("2027-03-10"), &institution, Some(&ahead));
        assert_eq!(period(booking), "2027-04", "the current one may be closed already");
        let by_name = |name: &str| {
            let name = name.parse().expect("a period");
            booking.in_period(name, &institution, Some(&ahead)).map(period)
        };
        assert_eq!(by_name("2027-04"), Ok("2027-04".to_owned()), "the first that is open");
        assert_eq!(by_name("2027-05"), Err(Refusal::PostingPeriodToCome));
    }
}
