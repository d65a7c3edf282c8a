//! Invoices and credit notes. What was issued never changes; only what is still open of it does.

use kernel::{
    BundleId, ChargeId, Currency, Date, InvoiceId, Money, PaymentId, PersonId, RegistrationId,
    Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{Freed, FundKind};
use super::{Allocation, Fund, Refusal, SponsorContractCode};

/// What a line is for, such as `TUITION`: it says which money may pay for it, and under which name it is earned.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ChargeCode(
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[A-Z][A-Z0-9_]*$"))] pub String,
);

impl ChargeCode {
    pub fn tuition() -> Self {
        Self("TUITION".to_owned())
    }

    /// For not having paid in time.
    pub fn late_fee() -> Self {
        Self("LATE_PAYMENT_FEE".to_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceLine {
    pub code: ChargeCode,
    pub description: String,
    /// Absent for what is charged for the term and not for one registration.
    pub registration: Option<RegistrationId>,
    pub term_code: String,
    /// Hundredths of the unit, which is a credit where the line is tuition: 450 is 4.5 credits.
    pub quantity_hundredths: u32,
    pub unit_price: Money,
    pub amount: Money,
}

/// An invoice as it was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceDocument {
    pub id: InvoiceId,
    pub number: String,
    pub student: PersonId,
    /// The bundle's charge, where it is of one.
    pub charge: Option<ChargeId>,
    pub bundle: Option<BundleId>,
    /// Charges that were not settled when a new calculation put this invoice in place of theirs, or beside it: they
    /// settle with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repriced: Vec<ChargeId>,
    pub term_code: String,
    pub issued_at: Timestamp,
    pub due: Date,
    pub lines: Vec<InvoiceLine>,
    pub total: Money,
}

impl InvoiceDocument {
    /// Of one line that no bundle was charged with, such as a late fee.
    pub fn of_line(
        (id, number): (InvoiceId, String),
        student: PersonId,
        line: InvoiceLine,
        (issued_at, due): (Timestamp, Date),
    ) -> Self {
        Self {
            id,
            number,
            student,
            charge: None,
            bundle: None,
            repriced: Vec::new(),
            term_code: line.term_code.clone(),
            issued_at,
            due,
            total: line.amount,
            lines: vec![line],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    Issued,
    PartiallyPaid,
    Paid,
    /// Nothing is open, since what was open was given up.
    WrittenOff,
    Credited,
}

/// What a credit note took back of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credit {
    pub line: u32,
    pub registration: Option<RegistrationId>,
    pub credit_note_number: String,
    pub amount: Money,
}

/// The document that takes lines of an invoice back, wholly or in part; it has a number of its own series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNote {
    pub number: String,
    pub invoice: InvoiceId,
    pub invoice_number: String,
    pub student: PersonId,
    pub charge: Option<ChargeId>,
    pub issued_at: Timestamp,
    pub lines: Vec<Credit>,
    pub total: Money,
}

/// Money of one payment that pays for one line: the sum of its allocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Paid {
    line: u32,
    fund: Fund,
    /// Minor units, more than none.
    amount: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    document: InvoiceDocument,
    paid: Vec<Paid>,
    credits: Vec<Credit>,
    payment_under_way: Option<PaymentId>,
}

impl Invoice {
    pub fn issue(document: InvoiceDocument) -> Self {
        Self { document, paid: Vec::new(), credits: Vec::new(), payment_under_way: None }
    }

    pub fn document(&self) -> &InvoiceDocument {
        &self.document
    }

    /// Charges that follow what becomes of this invoice.
    pub fn charges(&self) -> impl Iterator<Item = ChargeId> {
        self.document.charge.into_iter().chain(self.document.repriced.iter().copied())
    }

    /// What of the payments is applied to this invoice.
    pub fn paid(&self) -> Money {
        self.money(self.paid.iter().map(|paid| paid.amount).sum())
    }

    /// What of it was given up; it counts among what is paid.
    pub fn written_off(&self) -> Money {
        let is_write_off = |paid: &&Paid| matches!(paid.fund.kind, FundKind::WriteOff { .. });
        self.money(self.paid.iter().filter(is_write_off).map(|paid| paid.amount).sum())
    }

    /// What sponsors pay of it by contract; it counts among what is paid.
    pub fn sponsored(&self) -> Money {
        let is_sponsors = |paid: &&Paid| matches!(paid.fund.kind, FundKind::Sponsor { .. });
        self.money(self.paid.iter().filter(is_sponsors).map(|paid| paid.amount).sum())
    }

    pub fn credits(&self) -> &[Credit] {
        &self.credits
    }

    pub fn payment_under_way(&self) -> Option<PaymentId> {
        self.payment_under_way
    }

    pub fn credited(&self) -> Money {
        self.money(self.credits.iter().map(|credit| credit.amount.minor).sum())
    }

    /// Total less payments less credits. No term of it exceeds the total, and none is negative.
    pub fn open(&self) -> Money {
        self.money(self.document.total.minor - self.paid().minor - self.credited().minor)
    }

    /// What is open of one line, in minor units.
    pub fn open_of(&self, line: u32) -> i64 {
        self.standing_of(line) - self.paid_of(line)
    }

    /// What of one line no credit note has taken back, in minor units.
    pub fn standing_of(&self, line: u32) -> i64 {
        let credits = self.credits.iter().filter(|credit| credit.line == line);
        let credited: i64 = credits.map(|credit| credit.amount.minor).sum();
        self.document.lines.get(line as usize).map_or(0, |line| line.amount.minor) - credited
    }

    fn paid_of(&self, line: u32) -> i64 {
        self.paid.iter().filter(|paid| paid.line == line).map(|paid| paid.amount).sum()
    }

    pub fn state(&self) -> InvoiceState {
        if self.is_wholly_credited() {
            InvoiceState::Credited
        } else if self.open().minor == 0 && self.written_off().minor > 0 {
            InvoiceState::WrittenOff
        } else if self.open().minor == 0 {
            InvoiceState::Paid
        } else if self.paid().minor > 0 {
            InvoiceState::PartiallyPaid
        } else {
            InvoiceState::Issued
        }
    }

    /// Something is open after the day on which it was due.
    pub fn is_overdue(&self, today: Date) -> bool {
        self.open().minor > 0 && self.document.due < today
    }

    /// Whether so much is open of the line as the allocation applies to it.
    pub fn has_room_for(&self, row: &Allocation) -> bool {
        row.amount.minor <= self.open_of(row.line)
    }

    /// Takes over an allocation that was made to it. Paying a line beyond what is open of it is a defect.
    pub fn take_over(&mut self, row: &Allocation) {
        let same =
            |paid: &&mut Paid| paid.line == row.line && paid.fund.payment == row.fund.payment;
        match self.paid.iter_mut().find(same) {
            Some(paid) => paid.amount += row.amount.minor,
            None => self.paid.push(Paid {
                line: row.line,
                fund: row.fund.clone(),
                amount: row.amount.minor,
            }),
        }
        assert!(self.paid.iter().all(|paid| paid.amount >= 0), "only what pays can be freed");
        self.paid.retain(|paid| paid.amount > 0);
        assert!(self.open_of(row.line) >= 0, "no line is paid beyond its amount");
    }

    /// What this payment pays for here, line by line.
    pub(super) fn paid_by(&self, payment: PaymentId) -> Freed {
        let paid = self.paid.iter().filter(|paid| paid.fund.payment == payment);
        paid.map(|paid| (paid.fund.clone(), paid.line, paid.amount)).collect()
    }

    /// Takes back what is asked of each line, and answers what was paid of it: the latest money is freed first.
    pub(super) fn credit(
        &mut self,
        lines: &[(u32, Money)],
        number: &str,
        issued_at: Timestamp,
    ) -> Result<(CreditNote, Freed), Refusal> {
        let mut total = self.money(0);
        let mut freed = Vec::new();
        let mut credits = Vec::new();
        for (line, amount) in lines {
            if amount.minor < 0 || amount.minor > self.standing_of(*line) {
                return Err(Refusal::CreditTooLarge);
            }
            total = total.checked_add(*amount)?;
            let beyond = amount.minor - self.open_of(*line).min(amount.minor);
            freed.extend(self.latest_of(*line, beyond, |_| true));
            credits.push(Credit {
                line: *line,
                registration: self.document.lines[*line as usize].registration,
                credit_note_number: number.to_owned(),
                amount: *amount,
            });
        }
        let document = &self.document;
        let note = CreditNote {
            number: number.to_owned(),
            invoice: document.id,
            invoice_number: document.number.clone(),
            student: document.student,
            charge: document.charge,
            issued_at,
            lines: credits,
            total,
        };
        Ok((note, freed))
    }

    /// So much of what paid for a line, the latest money first.
    fn latest_of(&self, line: u32, minor: i64, counts: impl Fn(&FundKind) -> bool) -> Freed {
        let mut left = minor;
        let mut freed = Vec::new();
        let of_line = self.paid.iter().rev().filter(|paid| paid.line == line);
        for paid in of_line.filter(|paid| counts(&paid.fund.kind)) {
            let part = left.min(paid.amount);
            if part > 0 {
                freed.push((paid.fund.clone(), line, part));
                left -= part;
            }
        }
        freed
    }

    /// So much of what was paid of a line by others than sponsors, the latest money first.
    pub(super) fn paid_by_students(&self, line: u32, minor: i64) -> Freed {
        self.latest_of(line, minor, |kind| !matches!(kind, FundKind::Sponsor { .. }))
    }

    /// What sponsors of other contracts pay of a line, in minor units.
    pub(super) fn sponsored_by_others(&self, line: u32, own: &SponsorContractCode) -> i64 {
        let is_others =
            |kind: &FundKind| matches!(kind, FundKind::Sponsor { contract } if contract != own);
        let paid = self.paid.iter().filter(|paid| paid.line == line);
        paid.filter(|paid| is_others(&paid.fund.kind)).map(|paid| paid.amount).sum()
    }

    /// Takes the note over, once what it frees is freed.
    pub(super) fn take_note(&mut self, note: &CreditNote) {
        self.credits.extend(note.lines.iter().cloned());
        let lines = 0..u32::try_from(self.document.lines.len()).expect("lines are few");
        assert!(lines.into_iter().all(|line| self.open_of(line) >= 0), "what was paid is freed");
    }

    /// Lets one payment begin at a time, of so much, or of all that is open.
    pub fn begin_payment(
        &mut self,
        payment: PaymentId,
        amount: Option<Money>,
    ) -> Result<Money, Refusal> {
        match self.state() {
            InvoiceState::Paid | InvoiceState::WrittenOff => return Err(Refusal::InvoicePaid),
            InvoiceState::Credited => return Err(Refusal::InvoiceCredited),
            InvoiceState::Issued | InvoiceState::PartiallyPaid => {}
        }
        if self.payment_under_way.is_some() {
            return Err(Refusal::PaymentInProgress);
        }
        let open = self.open();
        let amount = amount.unwrap_or(open);
        if amount.currency != open.currency {
            return Err(Refusal::CurrenciesDiffer);
        }
        if amount.minor <= 0 {
            return Err(Refusal::AmountNotPositive);
        }
        if amount.minor > open.minor {
            return Err(Refusal::AmountTooLarge);
        }
        self.payment_under_way = Some(payment);
        Ok(amount)
    }

    /// The payment has ended, one way or another.
    pub(super) fn end_payment(&mut self, payment: PaymentId) {
        if self.payment_under_way == Some(payment) {
            self.payment_under_way = None;
        }
    }

    fn is_wholly_credited(&self) -> bool {
        self.standing_lines().next().is_none()
    }

    /// Lines that no credit note has taken back wholly, each with its place.
    pub fn standing_lines(&self) -> impl Iterator<Item = (u32, &InvoiceLine)> {
        (0..).zip(&self.document.lines).filter(|(at, line)| {
            let is_credited = self.credits.iter().any(|credit| credit.line == *at);
            self.standing_of(*at) > 0 || (line.amount.minor == 0 && !is_credited)
        })
    }

    fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.document.total.currency)
    }
}

pub fn total_of(lines: &[InvoiceLine], currency: Currency) -> Result<Money, Refusal> {
    let mut total = Money::zero(currency);
    for line in lines {
        total = total.checked_add(line.amount)?;
    }
    Ok(total)
}
