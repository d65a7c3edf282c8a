//! Payments: what was initiated, what the provider reports or the cashier counts, and what then becomes of the money.

use kernel::{Id, InvoiceId, Money, PaymentId, PersonId, PhoneNumber, SuspenseItemId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{Fund, FundKind, ROWS_MAX, StudentAccount, Turn};
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
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Through the payment provider.
    #[default]
    Card,
    /// Through the provider of mobile money, which asks the payer on their telephone.
    MobileMoney,
    Cash,
    BankTransfer,
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Card, Self::MobileMoney, Self::Cash, Self::BankTransfer];

    /// Where money lies that came this way.
    pub fn account(self) -> Account {
        match self {
            Self::Card => Account::ProviderClearing,
            Self::MobileMoney => Account::MobileMoneyClearing,
            Self::Cash => Account::Cash,
            Self::BankTransfer => Account::Bank,
        }
    }

    /// Whether what came this way goes back this way by itself; all else goes back by hand.
    pub fn pays_back(self) -> bool {
        self == Self::Card
    }

    /// Where money lies that is on its way back; what goes back by hand is gone at once.
    pub fn account_of_refunds(self) -> Account {
        if self.pays_back() { Account::RefundsPayable } else { self.account() }
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
    /// On which the payer is asked, where it is mobile money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
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
    /// What the payer's bank took back of it and has not given again, in minor units.
    #[serde(default)]
    pub charged_back: i64,
}

/// What the provider says of one payment of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub provider_ref: String,
    /// Our payment, as the provider was told when it was asked.
    pub payment: Option<PaymentId>,
    pub amount: Money,
    /// By which way it says so.
    pub channel: Channel,
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

    pub(super) fn fund(&self) -> Fund {
        let received_at = self.concluded_at.unwrap_or(self.initiated_at);
        Fund { payment: self.id, received_at, only: self.only.clone(), kind: FundKind::Payment }
    }

    /// What of it is neither paid back, nor on its way back, nor taken back.
    pub fn kept(&self) -> Money {
        let gone = self.refunded.minor + self.charged_back;
        Money::new(self.amount.minor - gone, self.amount.currency)
    }

    pub(super) fn follow_returns(&mut self) {
        self.state = if self.charged_back > 0 {
            PaymentState::ChargedBack
        } else if self.refunded.minor == 0 {
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
    let applied = account.apply(invoice.as_deref(), &[], booking.booked_at);
    if let Some(invoice) = invoice {
        invoice.end_payment(payment.id);
    }
    let lines = vec![
        Line::new(payment.channel.account(), payment.amount),
        Line::new(Account::UnappliedCash, payment.amount.negated()?),
    ];
    let source = Source { kind: SourceKind::Payment, id: payment.id.to_string() };
    Ok(Some(account.end_turn(booking, source, lines, Vec::new(), applied)?))
}

/// Lines that a payment may pay for and be applied anew: freeing them leaves as much room in the transaction for what
/// is paid instead.
pub const REALLOCATED_MAX: usize = ROWS_MAX / 2;

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
    if freed.len() > REALLOCATED_MAX {
        return Err(Refusal::PaymentTooSpread);
    }
    let applied = account.apply(Some(named), &freed, booking.booked_at);
    let id = format!("{}#{}", payment.id, account.turn());
    let source = Source { kind: SourceKind::Reallocation, id };
    account.end_turn(booking, source, Vec::new(), freed, applied)
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
    /// By which way it came.
    #[serde(default)]
    pub channel: Channel,
    /// What was asked for, where it is known. Another amount or currency than this is never taken for it, in part
    /// either: the payment fails, and the invoice stays open.
    pub expected: Option<Money>,
    pub reason: SuspenseReason,
    pub received_at: Timestamp,
    /// The payment that the bursar made of it, the last one where some came back and was given away again.
    pub assigned: Option<PaymentId>,
    /// What of it was given to payments, in minor units.
    #[serde(default)]
    pub given: i64,
    /// What of it went back to where it came from, or is on its way, in minor units.
    #[serde(default)]
    pub returned: i64,
    /// What the bursar decided about it.
    #[serde(default)]
    pub decided: Option<Decided>,
}

/// Who decided, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decided {
    pub by: PersonId,
    pub at: Timestamp,
    pub reason: String,
}

impl SuspenseItem {
    /// The money of one provider's payment is put in suspense once.
    pub fn id_of(provider_ref: &str) -> SuspenseItemId {
        SuspenseItemId::derived_from(provider_ref)
    }

    /// What of it is still here, and is to be decided on.
    pub fn left(&self) -> Money {
        Money::new(self.amount.minor - self.returned - self.given, self.amount.currency)
    }

    /// The payment that what is left of it would be: another one each time that something of it came back.
    pub fn next_payment(&self) -> PaymentId {
        match self.given {
            0 => PaymentId::derived_from(&self.id.to_string()),
            given => PaymentId::derived_from(&format!("{}#{given}", self.id)),
        }
    }

    /// Gives what is left of it to a payment: it lies in suspense no longer.
    pub fn assign(
        &mut self,
        payment: PaymentId,
        booking: Booking,
    ) -> Result<JournalEntry, Refusal> {
        let id = match self.given {
            0 => self.id.to_string(),
            given => format!("{}#{given}", self.id),
        };
        let source = Source { kind: SourceKind::SuspenseItemAssigned, id };
        let entry = self.leave(self.channel.account(), source, booking)?;
        self.assigned = Some(payment);
        self.given += self.left().minor;
        let received = Source { kind: SourceKind::SuspenseItem, id: self.id.to_string() };
        Ok(entry.reversing(JournalEntry::id_of(&received)))
    }

    /// All that is left of it is on its way back, or gone where it goes by hand.
    pub fn begin_return(
        &mut self,
        refund: &str,
        booking: Booking,
    ) -> Result<JournalEntry, Refusal> {
        let source = Source { kind: SourceKind::Refund, id: refund.to_owned() };
        let entry = self.leave(self.channel.account_of_refunds(), source, booking)?;
        self.returned += self.left().minor;
        Ok(entry)
    }

    fn leave(
        &self,
        to: Account,
        source: Source,
        booking: Booking,
    ) -> Result<JournalEntry, Refusal> {
        let left = self.left();
        let lines = [Line::new(Account::Suspense, left), Line::new(to, left.negated()?)];
        let entry = JournalEntry::new(None, booking, source, lines);
        Ok(entry.expect("one amount on both sides"))
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
            channel: report.channel,
            expected,
            reason: match expected {
                Some(_) => SuspenseReason::AmountDiffers,
                None => SuspenseReason::PaymentUnknown,
            },
            received_at: booking.booked_at,
            assigned: None,
            given: 0,
            returned: 0,
            decided: None,
        };
        let entry = JournalEntry::new(
            None,
            booking,
            Source { kind: SourceKind::SuspenseItem, id: item.id.to_string() },
            [
                Line::new(report.channel.account(), report.amount),
                Line::new(Account::Suspense, report.amount.negated()?),
            ],
        )
        .expect("one amount on both sides");
        Ok((item, entry))
    }
}
