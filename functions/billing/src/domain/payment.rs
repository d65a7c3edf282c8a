//! Payments: what was initiated, what the provider reports or the cashier counts, and what then becomes of the money.

use kernel::{Id, InvoiceId, Money, PaymentId, PersonId, SuspenseItemId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{Fund, StudentAccount, Turn};
use super::ledger::{Account, Booking, JournalEntry, Line, Source, SourceKind};
use super::{ChargeCode, Invoice, Refusal};

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
    PartiallyRefunded,
    Refunded,
    /// The payer's bank took the money back.
    ChargedBack,
}

/// By which way the money comes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Through the payment provider.
    Card,
    Cash,
    BankTransfer,
}

impl Channel {
    /// Where money lies that came this way.
    pub fn account(self) -> Account {
        match self {
            Self::Card => Account::ProviderClearing,
            Self::Cash => Account::Cash,
            Self::BankTransfer => Account::Bank,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: PaymentId,
    /// What it is to pay first; absent where the payer names none.
    pub invoice: Option<InvoiceId>,
    pub student: PersonId,
    pub amount: Money,
    pub channel: Channel,
    /// The provider's name for the means of payment; card numbers never come here.
    pub payment_method: String,
    /// Pays for charges of these codes only; for all where there are none.
    pub only: Vec<ChargeCode>,
    pub state: PaymentState,
    /// The id of it with the provider or the bank, once it is known.
    pub provider_ref: Option<String>,
    pub initiated_at: Timestamp,
    pub concluded_at: Option<Timestamp>,
    /// Why it failed, in the provider's word.
    pub failure_reason: Option<String>,
    /// What was paid back of it, or is on its way back.
    pub refunded: Money,
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

    /// Whether its money came in, whatever became of it later.
    pub fn is_received(&self) -> bool {
        match self.state {
            PaymentState::Succeeded
            | PaymentState::PartiallyRefunded
            | PaymentState::Refunded
            | PaymentState::ChargedBack => true,
            PaymentState::Initiated
            | PaymentState::Pending
            | PaymentState::Failed
            | PaymentState::Expired => false,
        }
    }

    /// Whether it is time to ask the provider what became of it.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_under_way() && now.duration_since(self.initiated_at) > Self::PATIENCE
    }

    /// Whether it has had its time. The provider forgets then under which key it was asked: asked again, it might take
    /// the money a second time.
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        self.is_under_way() && now.duration_since(self.initiated_at) > Self::LIFETIME
    }

    /// Whether the report can be about this payment: one payment has one reference at the provider.
    pub fn is_meant_by(&self, report: &Report) -> bool {
        self.provider_ref.as_ref().is_none_or(|known| *known == report.provider_ref)
    }

    /// Notes that the provider was asked, and the reference that it gave, where it gave one.
    pub fn note_asked(&mut self, provider_ref: Option<&str>) {
        if self.state == PaymentState::Initiated {
            self.state = PaymentState::Pending;
        }
        if let Some(provider_ref) = provider_ref {
            self.provider_ref.get_or_insert_with(|| provider_ref.to_owned());
        }
    }

    /// Ends a payment that brought no money. One that has ended before stays as it is: answers whether it did not.
    pub fn fail(&mut self, invoice: Option<&mut Invoice>, reason: &str, now: Timestamp) -> bool {
        self.end_without_money(invoice, PaymentState::Failed, reason, now)
    }

    /// Gives a payment up that brought no money in all its lifetime.
    pub fn expire(&mut self, invoice: Option<&mut Invoice>, now: Timestamp) -> bool {
        self.end_without_money(invoice, PaymentState::Expired, "expired", now)
    }

    fn end_without_money(
        &mut self,
        invoice: Option<&mut Invoice>,
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
        if let Some(invoice) = invoice {
            invoice.end_payment(self.id);
        }
        true
    }

    fn fund(&self) -> Fund {
        let received_at = self.concluded_at.unwrap_or(self.initiated_at);
        Fund { payment: self.id, received_at, only: self.only.clone() }
    }

    fn source(&self, kind: SourceKind) -> Source {
        Source { kind, id: self.id.to_string() }
    }

    /// What of it is neither paid back nor on its way back.
    fn kept(&self) -> Result<Money, Refusal> {
        Ok(self.amount.checked_sub(self.refunded)?)
    }

    fn follow_refunds(&mut self) {
        self.state = if self.refunded.minor == 0 {
            PaymentState::Succeeded
        } else if self.refunded == self.amount {
            PaymentState::Refunded
        } else {
            PaymentState::PartiallyRefunded
        };
    }
}

/// Receives the money of a payment: applied to its invoice first, then to what else is owed; the rest is the student's
/// unapplied cash. One that was thought lost is received all the same; one that was received is not received again.
pub fn receive(
    payment: &mut Payment,
    invoice: Option<&mut Invoice>,
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Option<Turn>, Refusal> {
    if payment.is_received() {
        return Ok(None);
    }
    account.begin_turn();
    payment.state = PaymentState::Succeeded;
    payment.failure_reason = None;
    payment.concluded_at = Some(booking.booked_at);
    account.deposit(&payment.fund(), payment.amount)?;
    let applied = account.apply(invoice.as_deref(), booking.booked_at);
    if let Some(invoice) = invoice {
        invoice.end_payment(payment.id);
    }
    let lines = vec![
        Line::new(payment.channel.account(), payment.amount),
        Line::new(Account::UnappliedCash, payment.amount.negated()?),
    ];
    let source = payment.source(SourceKind::Payment);
    Ok(Some(account.end_turn(booking, source, lines, Vec::new(), applied)?))
}

/// Frees what a payment pays for, and applies it again, to what is named first.
pub fn reallocate(
    payment: &Payment,
    paid: &mut [&mut Invoice],
    named: &Invoice,
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Turn, Refusal> {
    if !payment.is_received() || payment.state == PaymentState::ChargedBack {
        return Err(Refusal::PaymentNotReceived);
    }
    account.begin_turn();
    let freed = account.free_all(payment.id, paid, booking.booked_at)?;
    let applied = account.apply(Some(named), booking.booked_at);
    let id = format!("{}#{}", payment.id, account.turn());
    let source = Source { kind: SourceKind::Reallocation, id };
    account.end_turn(booking, source, Vec::new(), freed, applied)
}

/// The payer's bank took the money back: what it paid for is open again, as far as other money does not pay for it.
pub fn charge_back(
    payment: &mut Payment,
    paid: &mut [&mut Invoice],
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Option<Turn>, Refusal> {
    if !payment.is_received() || payment.state == PaymentState::ChargedBack {
        return Ok(None);
    }
    account.begin_turn();
    let freed = account.free_all(payment.id, paid, booking.booked_at)?;
    let kept = payment.kept()?;
    account.withdraw(payment.id, kept)?;
    let applied = account.apply(None, booking.booked_at);
    payment.state = PaymentState::ChargedBack;
    let lines = vec![
        Line::new(Account::UnappliedCash, kept),
        Line::new(payment.channel.account(), kept.negated()?),
    ];
    let source = payment.source(SourceKind::Chargeback);
    Ok(Some(account.end_turn(booking, source, lines, freed, applied)?))
}

/// Pays money back that is not applied to anything. Through the provider it is on its way until the provider says so;
/// over the counter it is gone.
pub fn begin_refund(
    payment: &mut Payment,
    amount: Money,
    refund: &str,
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Turn, Refusal> {
    match payment.state {
        PaymentState::Succeeded | PaymentState::PartiallyRefunded | PaymentState::Refunded => {}
        _ => return Err(Refusal::PaymentNotReceived),
    }
    if amount.minor <= 0 {
        return Err(Refusal::AmountNotPositive);
    }
    account.begin_turn();
    account.withdraw(payment.id, amount)?;
    payment.refunded = payment.refunded.checked_add(amount)?;
    payment.follow_refunds();
    let gone_to = match payment.channel {
        Channel::Card => Account::RefundsPayable,
        Channel::Cash | Channel::BankTransfer => payment.channel.account(),
    };
    let lines =
        vec![Line::new(Account::UnappliedCash, amount), Line::new(gone_to, amount.negated()?)];
    let source = Source { kind: SourceKind::Refund, id: refund.to_owned() };
    account.end_turn(booking, source, lines, Vec::new(), Vec::new())
}

/// The provider has paid a refund out, or will not: then the money is the student's again.
pub fn conclude_refund(
    payment: &mut Payment,
    amount: Money,
    (refund, is_paid): (&str, bool),
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Turn, Refusal> {
    account.begin_turn();
    let mut applied = Vec::new();
    let left = if is_paid {
        Line::new(payment.channel.account(), amount.negated()?)
    } else {
        payment.refunded = payment.refunded.checked_sub(amount)?;
        if payment.state != PaymentState::ChargedBack {
            payment.follow_refunds();
        }
        account.deposit(&payment.fund(), amount)?;
        applied = account.apply(None, booking.booked_at);
        Line::new(Account::UnappliedCash, amount.negated()?)
    };
    let lines = vec![Line::new(Account::RefundsPayable, amount), left];
    let source = Source { kind: SourceKind::RefundConcluded, id: refund.to_owned() };
    account.end_turn(booking, source, lines, Vec::new(), applied)
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
    /// What was asked for, where it is known. Another amount or currency than this is never taken for it, in part
    /// either: the payment fails, and the invoice stays open.
    pub expected: Option<Money>,
    pub reason: SuspenseReason,
    pub received_at: Timestamp,
    /// The payment that the bursar made of it.
    pub assigned: Option<PaymentId>,
}

impl SuspenseItem {
    /// The money of one provider's payment is put in suspense once.
    pub fn id_of(provider_ref: &str) -> SuspenseItemId {
        SuspenseItemId::derived_from(provider_ref)
    }

    pub fn of(
        report: &Report,
        expected: Option<Money>,
        booking: Booking,
    ) -> Result<(Self, JournalEntry), Refusal> {
        let item = Self {
            id: Self::id_of(&report.provider_ref),
            provider_ref: report.provider_ref.clone(),
            payment: report.payment,
            amount: report.amount,
            expected,
            reason: match expected {
                Some(_) => SuspenseReason::AmountDiffers,
                None => SuspenseReason::PaymentUnknown,
            },
            received_at: booking.booked_at,
            assigned: None,
        };
        let entry = JournalEntry::new(
            None,
            booking,
            Source { kind: SourceKind::SuspenseItem, id: item.id.to_string() },
            [
                Line::new(Account::ProviderClearing, report.amount),
                Line::new(Account::Suspense, report.amount.negated()?),
            ],
        )
        .expect("one amount on both sides");
        Ok((item, entry))
    }
}
