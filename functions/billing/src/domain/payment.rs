//! Payments through the provider: what was initiated, what the provider reports, and what then becomes of the money.

use kernel::{ChargeId, Id, InvoiceId, Money, PaymentId, PersonId, SuspenseItemId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{Account, JournalEntry, Source, SourceKind, StudentAccount};
use super::{Charge, Invoice, Refusal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Recorded; the provider may or may not have heard of it.
    Initiated,
    /// The provider was asked; what it will come to is not known.
    Pending,
    Succeeded,
    Failed,
    Expired,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: PaymentId,
    pub invoice: InvoiceId,
    pub charge: ChargeId,
    pub student: PersonId,
    pub amount: Money,
    /// The provider's name for the means of payment; card numbers never come here.
    pub payment_method: String,
    pub state: PaymentState,
    /// The provider's id of it, once it is known.
    pub provider_ref: Option<String>,
    pub initiated_at: Timestamp,
    pub concluded_at: Option<Timestamp>,
    /// Why it failed, in the provider's word.
    pub failure_reason: Option<String>,
}

/// What the provider says of one payment of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub provider_ref: String,
    /// Our payment, as the provider was told when it was asked.
    pub payment: Option<PaymentId>,
    pub amount: Money,
    pub word: Word,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Succeeded,
    Failed { reason: String },
    Undecided,
}

impl Payment {
    const LIFETIME: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
    /// The webhook gets this long before the provider is asked.
    const PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

    pub fn is_under_way(&self) -> bool {
        matches!(self.state, PaymentState::Initiated | PaymentState::Pending)
    }

    /// Whether it is time to ask the provider what became of it.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_under_way() && now.duration_since(self.initiated_at) > Self::PATIENCE
    }

    pub fn is_given_up(&self, now: Timestamp) -> bool {
        self.is_under_way() && now.duration_since(self.initiated_at) > Self::LIFETIME
    }

    /// Whether the report can be about this payment: one payment has one reference at the provider.
    pub fn is_meant_by(&self, report: &Report) -> bool {
        self.provider_ref.as_ref().is_none_or(|known| *known == report.provider_ref)
    }

    /// The provider has been asked.
    pub fn ask(&mut self, provider_ref: Option<&str>) {
        if self.state == PaymentState::Initiated {
            self.state = PaymentState::Pending;
        }
        if let Some(provider_ref) = provider_ref {
            self.provider_ref.get_or_insert_with(|| provider_ref.to_owned());
        }
    }

    /// Ends a payment that brought no money. One that has ended before stays as it is: answers whether it did not.
    pub fn fail(&mut self, invoice: &mut Invoice, reason: &str, now: Timestamp) -> bool {
        self.end_without_money(invoice, PaymentState::Failed, reason, now)
    }

    /// Gives a payment up of which the provider told nothing in all its lifetime.
    pub fn expire(&mut self, invoice: &mut Invoice, now: Timestamp) -> bool {
        self.end_without_money(invoice, PaymentState::Expired, "expired", now)
    }

    fn end_without_money(
        &mut self,
        invoice: &mut Invoice,
        state: PaymentState,
        reason: &str,
        now: Timestamp,
    ) -> bool {
        if !self.is_under_way() {
            return false;
        }
        self.state = state;
        self.failure_reason = Some(reason.to_owned());
        self.concluded_at = Some(now);
        invoice.end_payment(self.id);
        true
    }
}

/// A payment that succeeded, with everything that is written with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    pub entry: JournalEntry,
    pub charge_settled: bool,
}

/// Receives the money of a payment: applied to its invoice as far as that is open, the rest the student's unapplied
/// cash. A payment that was thought lost is received all the same; one that was received is not received again.
pub fn receive(
    payment: &mut Payment,
    invoice: &mut Invoice,
    charge: &mut Charge,
    account: &mut StudentAccount,
    now: Timestamp,
) -> Result<Option<Receipt>, Refusal> {
    if payment.state == PaymentState::Succeeded {
        return Ok(None);
    }
    let applied = invoice.pay(payment.amount)?;
    let left = payment.amount.checked_sub(applied)?;
    account.deposit(left)?;
    let entry = JournalEntry::new(
        Some(payment.student),
        now,
        Source { kind: SourceKind::Payment, id: payment.id.to_string() },
        [
            (Account::ProviderClearing, payment.amount),
            (Account::Receivable, applied.negated()?),
            (Account::UnappliedCash, left.negated()?),
        ],
    )
    .expect("what is applied and what is left make up the payment");
    payment.state = PaymentState::Succeeded;
    payment.failure_reason = None;
    payment.concluded_at = Some(now);
    invoice.end_payment(payment.id);
    let charge_settled = charge.settle_if_paid(invoice);
    Ok(Some(Receipt { entry, charge_settled }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuspenseReason {
    /// No payment of ours has this reference.
    PaymentUnknown,
    /// Another amount or another currency came in than was initiated.
    AmountDiffers,
}

/// Money that came in and that cannot be placed: the bursar decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspenseItem {
    pub id: SuspenseItemId,
    pub provider_ref: String,
    /// The payment that the provider named, whether we know it or not.
    pub payment: Option<PaymentId>,
    pub amount: Money,
    pub reason: SuspenseReason,
    pub received_at: Timestamp,
}

impl SuspenseItem {
    /// The money of one provider's payment is put in suspense once.
    pub fn id_of(provider_ref: &str) -> SuspenseItemId {
        SuspenseItemId::derived_from(provider_ref)
    }

    pub fn of(
        report: &Report,
        reason: SuspenseReason,
        now: Timestamp,
    ) -> Result<(Self, JournalEntry), Refusal> {
        let item = Self {
            id: Self::id_of(&report.provider_ref),
            provider_ref: report.provider_ref.clone(),
            payment: report.payment,
            amount: report.amount,
            reason,
            received_at: now,
        };
        let entry = JournalEntry::new(
            None,
            now,
            Source { kind: SourceKind::SuspenseItem, id: item.id.to_string() },
            [
                (Account::ProviderClearing, report.amount),
                (Account::Suspense, report.amount.negated()?),
            ],
        )
        .expect("one amount on both sides");
        Ok((item, entry))
    }
}
