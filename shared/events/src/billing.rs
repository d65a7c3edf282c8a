//! Events of the billing context.

use kernel::{
    BundleId, ChargeId, Currency, Date, Id, InvoiceId, Money, PaymentId, PaymentPlanId, PersonId,
    ReceiptId, RefundId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

fn example_amount() -> Money {
    Money::new(150_000, "XAF".parse().expect("a currency"))
}

/// What a bundle costs was booked and invoiced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargePosted {
    pub charge: ChargeId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub invoice: InvoiceId,
    pub invoice_number: String,
    pub amount: Money,
}

impl Event for ChargePosted {
    const NAME: &'static str = "billing.charge.posted";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.charge.to_string()
    }

    fn example() -> Self {
        Self {
            charge: ChargeId::derived_from("example"),
            bundle: BundleId::derived_from("example"),
            student: PersonId::derived_from("example"),
            invoice: InvoiceId::derived_from("example"),
            invoice_number: "MAT-2027-000001".into(),
            amount: example_amount(),
        }
    }
}

/// Nothing of the charge is left to pay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeSettled {
    pub charge: ChargeId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub invoice: InvoiceId,
}

impl Event for ChargeSettled {
    const NAME: &'static str = "billing.charge.settled";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.charge.to_string()
    }

    fn example() -> Self {
        let ChargePosted { charge, bundle, student, invoice, .. } = ChargePosted::example();
        Self { charge, bundle, student, invoice }
    }
}

/// What is left of the charge may be paid later, as a plan that is kept or a moved due date says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeSecured {
    pub charge: ChargeId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub invoice: InvoiceId,
}

impl Event for ChargeSecured {
    const NAME: &'static str = "billing.charge.secured";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.charge.to_string()
    }

    fn example() -> Self {
        let ChargePosted { charge, bundle, student, invoice, .. } = ChargePosted::example();
        Self { charge, bundle, student, invoice }
    }
}

/// The charge, or what a dropped registration was of it, was taken back with a credit note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeReversed {
    pub charge: ChargeId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub credit_note_number: String,
    pub amount: Money,
}

impl Event for ChargeReversed {
    const NAME: &'static str = "billing.charge.reversed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.charge.to_string()
    }

    fn example() -> Self {
        let ChargePosted { charge, bundle, student, amount, .. } = ChargePosted::example();
        Self { charge, bundle, student, credit_note_number: "MAT-CN-2027-000001".into(), amount }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentSucceeded {
    pub payment: PaymentId,
    /// Absent where the payer named none.
    pub invoice: Option<InvoiceId>,
    pub student: PersonId,
    pub amount: Money,
}

impl Event for PaymentSucceeded {
    const NAME: &'static str = "billing.payment.succeeded";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.payment.to_string()
    }

    fn example() -> Self {
        Self {
            payment: PaymentId::derived_from("example"),
            invoice: Some(InvoiceId::derived_from("example")),
            student: PersonId::derived_from("example"),
            amount: example_amount(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentFailed {
    pub payment: PaymentId,
    /// Absent where the payer named none.
    pub invoice: Option<InvoiceId>,
    pub student: PersonId,
    /// The provider's own word for it, such as `card_declined`.
    pub reason: String,
}

impl Event for PaymentFailed {
    const NAME: &'static str = "billing.payment.failed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.payment.to_string()
    }

    fn example() -> Self {
        let PaymentSucceeded { payment, invoice, student, .. } = PaymentSucceeded::example();
        Self { payment, invoice, student, reason: "card_declined".into() }
    }
}

/// Money of a payment went back to the payer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentRefunded {
    pub refund: RefundId,
    pub payment: PaymentId,
    pub student: PersonId,
    pub amount: Money,
}

impl Event for PaymentRefunded {
    const NAME: &'static str = "billing.payment.refunded";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.refund.to_string()
    }

    fn example() -> Self {
        let PaymentSucceeded { payment, student, amount, .. } = PaymentSucceeded::example();
        Self { refund: RefundId::derived_from("example"), payment, student, amount }
    }
}

/// A refund did not reach the payer: the money is the student's again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefundFailed {
    pub refund: RefundId,
    pub payment: PaymentId,
    pub student: PersonId,
    pub amount: Money,
    /// The provider's own word for it, such as `lost_or_stolen_card`.
    pub reason: String,
}

impl Event for RefundFailed {
    const NAME: &'static str = "billing.refund.failed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.refund.to_string()
    }

    fn example() -> Self {
        let PaymentRefunded { refund, payment, student, amount } = PaymentRefunded::example();
        Self { refund, payment, student, amount, reason: "lost_or_stolen_card".into() }
    }
}

/// The payer's bank took money of a payment back: what it paid for is open again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargebackBooked {
    /// The provider's id of the dispute.
    pub dispute: String,
    pub payment: PaymentId,
    pub student: PersonId,
    pub amount: Money,
    /// The provider's own word for it, such as `fraudulent`.
    pub reason: String,
}

impl Event for ChargebackBooked {
    const NAME: &'static str = "billing.chargeback.booked";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.dispute.clone()
    }

    fn example() -> Self {
        let PaymentSucceeded { payment, student, amount, .. } = PaymentSucceeded::example();
        let (dispute, reason) = ("dp_1NvNCZ2eZvKYlo2C".into(), "fraudulent".into());
        Self { dispute, payment, student, amount, reason }
    }
}

/// The payer's bank gave back what it had taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargebackReversed {
    /// The provider's id of the dispute.
    pub dispute: String,
    pub payment: PaymentId,
    pub student: PersonId,
    pub amount: Money,
}

impl Event for ChargebackReversed {
    const NAME: &'static str = "billing.chargeback.reversed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.dispute.clone()
    }

    fn example() -> Self {
        let ChargebackBooked { dispute, payment, student, amount, .. } =
            ChargebackBooked::example();
        Self { dispute, payment, student, amount }
    }
}

/// So much of what a student owes is overdue that the bursar's office stops them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceHoldPlaced {
    pub student: PersonId,
    /// In the currency of the balance that it is about.
    pub overdue: Money,
    /// Grows with every word on this balance: the highest counts.
    pub word: u64,
}

impl Event for BalanceHoldPlaced {
    const NAME: &'static str = "billing.hold.placed";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}#{}", self.student, self.overdue.currency)
    }

    fn example() -> Self {
        let PaymentSucceeded { student, amount, .. } = PaymentSucceeded::example();
        Self { student, overdue: amount, word: 3 }
    }
}

/// What is overdue stops the student no longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceHoldLifted {
    pub student: PersonId,
    /// In the currency of the balance that it is about.
    pub overdue: Money,
    /// Grows with every word on this balance: the highest counts.
    pub word: u64,
}

impl Event for BalanceHoldLifted {
    const NAME: &'static str = "billing.hold.lifted";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}#{}", self.student, self.overdue.currency)
    }

    fn example() -> Self {
        let BalanceHoldPlaced { student, overdue, word } = BalanceHoldPlaced::example();
        Self { student, overdue: Money::zero(overdue.currency), word: word + 1 }
    }
}

/// More was to be moved on a student's account than one transaction holds: there is something left to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountUnfinished {
    pub student: PersonId,
    pub currency: Currency,
}

impl Event for AccountUnfinished {
    const NAME: &'static str = "billing.account.unfinished";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}#{}", self.student, self.currency)
    }

    fn example() -> Self {
        let PaymentSucceeded { student, amount, .. } = PaymentSucceeded::example();
        Self { student, currency: amount.currency }
    }
}

/// What is open of a term is to be paid in instalments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentPlanBegun {
    pub plan: PaymentPlanId,
    pub student: PersonId,
    pub term_code: String,
    pub amount: Money,
}

impl Event for PaymentPlanBegun {
    const NAME: &'static str = "billing.plan.begun";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.plan.to_string()
    }

    fn example() -> Self {
        let PaymentSucceeded { student, amount, .. } = PaymentSucceeded::example();
        let plan = PaymentPlanId::derived_from("example");
        Self { plan, student, term_code: "2027S".into(), amount }
    }
}

/// What a payment plan covered is due as its invoices say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentPlanCancelled {
    pub plan: PaymentPlanId,
    pub student: PersonId,
    pub term_code: String,
}

impl Event for PaymentPlanCancelled {
    const NAME: &'static str = "billing.plan.cancelled";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.plan.to_string()
    }

    fn example() -> Self {
        let PaymentPlanBegun { plan, student, term_code, .. } = PaymentPlanBegun::example();
        Self { plan, student, term_code }
    }
}

/// An invoice is due later than it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvoiceDeferred {
    pub invoice: InvoiceId,
    pub student: PersonId,
    pub until: Date,
}

impl Event for InvoiceDeferred {
    const NAME: &'static str = "billing.invoice.deferred";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.invoice.to_string()
    }

    fn example() -> Self {
        let ChargePosted { invoice, student, .. } = ChargePosted::example();
        Self { invoice, student, until: jiff::civil::date(2027, 3, 1) }
    }
}

/// What is done about what is overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DunningMeasure {
    Reminder,
    LateFee,
    Hold,
}

/// A step was taken about what is overdue: the student is to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DunningStepTaken {
    pub student: PersonId,
    /// The step's name in the policy.
    pub step: String,
    pub measure: DunningMeasure,
    /// The day on which that was due which is overdue.
    pub due: Date,
    pub overdue: Money,
    /// What was billed for being late.
    pub fee: Option<Money>,
    pub term_code: String,
}

impl Event for DunningStepTaken {
    const NAME: &'static str = "billing.dunning-step.taken";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}#{}#{}#{}", self.student, self.overdue.currency, self.due, self.step)
    }

    fn example() -> Self {
        let PaymentSucceeded { student, amount, .. } = PaymentSucceeded::example();
        Self {
            student,
            step: "late-fee".into(),
            measure: DunningMeasure::LateFee,
            due: jiff::civil::date(2027, 1, 22),
            overdue: amount,
            fee: Some(Money::new(5_000, amount.currency)),
            term_code: "2027S".into(),
        }
    }
}

/// A student handed in the reference of a transfer or of a cash receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptSubmitted {
    pub receipt: ReceiptId,
    pub student: PersonId,
    pub amount: Money,
}

impl Event for ReceiptSubmitted {
    const NAME: &'static str = "billing.receipt.submitted";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.receipt.to_string()
    }

    fn example() -> Self {
        let PaymentSucceeded { student, amount, .. } = PaymentSucceeded::example();
        Self { receipt: ReceiptId::derived_from("example"), student, amount }
    }
}

/// The money of a receipt was found, and is a payment now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptMatched {
    pub receipt: ReceiptId,
    pub student: PersonId,
    pub payment: PaymentId,
    pub amount: Money,
}

impl Event for ReceiptMatched {
    const NAME: &'static str = "billing.receipt.matched";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.receipt.to_string()
    }

    fn example() -> Self {
        let ReceiptSubmitted { receipt, student, amount } = ReceiptSubmitted::example();
        Self { receipt, student, payment: PaymentId::derived_from("example"), amount }
    }
}

/// The money of a receipt was not found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptRejected {
    pub receipt: ReceiptId,
    pub student: PersonId,
    pub reason: String,
}

impl Event for ReceiptRejected {
    const NAME: &'static str = "billing.receipt.rejected";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        self.receipt.to_string()
    }

    fn example() -> Self {
        let ReceiptSubmitted { receipt, student, .. } = ReceiptSubmitted::example();
        Self { receipt, student, reason: "The bank knows nothing of it.".into() }
    }
}
