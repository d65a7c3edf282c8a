//! Events of the billing context.

use kernel::{BundleId, ChargeId, Id, InvoiceId, Money, PaymentId, PersonId};
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
