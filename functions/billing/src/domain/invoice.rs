//! Invoices and credit notes. What was issued never changes; only what is still open of it does.

use kernel::{
    BundleId, ChargeId, InvoiceId, Money, PaymentId, PersonId, RegistrationId, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::ledger::smaller;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceLine {
    pub registration: RegistrationId,
    pub section_code: String,
    pub course_title: String,
    /// Hundredths of a credit: 450 is 4.5 credits.
    pub credits_hundredths: u32,
    /// Price of one credit.
    pub per_credit: Money,
    pub amount: Money,
}

/// An invoice as it was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceDocument {
    pub id: InvoiceId,
    pub number: String,
    pub student: PersonId,
    pub charge: ChargeId,
    pub bundle: BundleId,
    pub term_code: String,
    pub issued_at: Timestamp,
    pub lines: Vec<InvoiceLine>,
    pub total: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    Issued,
    PartiallyPaid,
    Paid,
    Credited,
}

/// What a credit note took back of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credit {
    pub registration: RegistrationId,
    pub credit_note_number: String,
    pub amount: Money,
}

/// The document that takes lines of an invoice back; it has a number of its own series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNote {
    pub number: String,
    pub invoice: InvoiceId,
    pub invoice_number: String,
    pub student: PersonId,
    pub charge: ChargeId,
    pub issued_at: Timestamp,
    pub lines: Vec<Credit>,
    pub total: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    document: InvoiceDocument,
    /// What of the payments is applied to this invoice.
    paid: Money,
    credits: Vec<Credit>,
    payment_under_way: Option<PaymentId>,
}

impl Invoice {
    pub fn issue(document: InvoiceDocument) -> Self {
        let paid = Money::zero(document.total.currency);
        Self { document, paid, credits: Vec::new(), payment_under_way: None }
    }

    pub fn document(&self) -> &InvoiceDocument {
        &self.document
    }

    pub fn paid(&self) -> Money {
        self.paid
    }

    pub fn credits(&self) -> &[Credit] {
        &self.credits
    }

    pub fn payment_under_way(&self) -> Option<PaymentId> {
        self.payment_under_way
    }

    pub fn credited(&self) -> Money {
        let minor = self.credits.iter().map(|credit| credit.amount.minor).sum();
        Money::new(minor, self.document.total.currency)
    }

    /// Total less payments less credits. No term of it exceeds the total, and none is negative.
    pub fn open(&self) -> Money {
        let minor = self.document.total.minor - self.paid.minor - self.credited().minor;
        Money::new(minor, self.document.total.currency)
    }

    pub fn state(&self) -> InvoiceState {
        if self.is_wholly_credited() {
            InvoiceState::Credited
        } else if self.open().minor == 0 {
            InvoiceState::Paid
        } else if self.paid.minor > 0 {
            InvoiceState::PartiallyPaid
        } else {
            InvoiceState::Issued
        }
    }

    /// Applies what is needed of `money` and answers how much that was.
    pub(super) fn pay(&mut self, money: Money) -> Result<Money, Refusal> {
        let applied = smaller(money, self.open())?;
        self.paid = self.paid.checked_add(applied)?;
        Ok(applied)
    }

    /// Lines that no credit note has taken back.
    pub(super) fn standing_lines(&self) -> impl Iterator<Item = &InvoiceLine> {
        self.document.lines.iter().filter(|line| !self.is_credited(line.registration))
    }

    /// Takes these lines back. What was paid of them is freed: it is the second half of the answer.
    pub(super) fn credit(
        &mut self,
        registrations: &[RegistrationId],
        number: &str,
        issued_at: Timestamp,
    ) -> Result<(CreditNote, Money), Refusal> {
        let lines: Vec<Credit> = self
            .standing_lines()
            .filter(|line| registrations.contains(&line.registration))
            .map(|line| Credit {
                registration: line.registration,
                credit_note_number: number.to_owned(),
                amount: line.amount,
            })
            .collect();
        let mut total = Money::zero(self.document.total.currency);
        for line in &lines {
            total = total.checked_add(line.amount)?;
        }
        let freed = total.checked_sub(smaller(total, self.open())?)?;
        self.paid = self.paid.checked_sub(freed)?;
        self.credits.extend(lines.iter().cloned());
        let document = &self.document;
        let note = CreditNote {
            number: number.to_owned(),
            invoice: document.id,
            invoice_number: document.number.clone(),
            student: document.student,
            charge: document.charge,
            issued_at,
            lines,
            total,
        };
        Ok((note, freed))
    }

    /// Lets one payment begin at a time.
    pub fn begin_payment(&mut self, payment: PaymentId) -> Result<Money, Refusal> {
        match self.state() {
            InvoiceState::Paid => return Err(Refusal::InvoicePaid),
            InvoiceState::Credited => return Err(Refusal::InvoiceCredited),
            InvoiceState::Issued | InvoiceState::PartiallyPaid => {}
        }
        if self.payment_under_way.is_some() {
            return Err(Refusal::PaymentInProgress);
        }
        self.payment_under_way = Some(payment);
        Ok(self.open())
    }

    /// The payment has ended, one way or another.
    pub(super) fn end_payment(&mut self, payment: PaymentId) {
        if self.payment_under_way == Some(payment) {
            self.payment_under_way = None;
        }
    }

    pub(super) fn is_wholly_credited(&self) -> bool {
        self.standing_lines().next().is_none()
    }

    fn is_credited(&self, registration: RegistrationId) -> bool {
        self.credits.iter().any(|credit| credit.registration == registration)
    }
}
