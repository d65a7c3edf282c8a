//! Everything that billing says no to.

use kernel::MoneyError;
use shell::{Refuse, Sentences};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    PriceGroupUnknown,
    PriceNegative,
    CurrenciesDiffer,
    AmountTooLarge,
    ChargeUnknown,
    ChargeReversed,
    ExecutionSuperseded,
    InvoiceUnknown,
    InvoicePaid,
    InvoiceCredited,
    PaymentUnknown,
    PaymentInProgress,
    WebhookMalformed,
    WebhookSignatureInvalid,
    WebhookTimestampOld,
}

impl From<MoneyError> for Refusal {
    fn from(error: MoneyError) -> Self {
        match error {
            MoneyError::Overflow => Self::AmountTooLarge,
            MoneyError::CurrenciesDiffer | MoneyError::CurrencyUnknown => Self::CurrenciesDiffer,
        }
    }
}

pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::PriceGroupUnknown => ("PRICE_GROUP_UNKNOWN", 422),
            Self::PriceNegative => ("PRICE_NEGATIVE", 422),
            Self::CurrenciesDiffer => ("CURRENCIES_DIFFER", 422),
            Self::AmountTooLarge => ("AMOUNT_TOO_LARGE", 422),
            Self::ChargeUnknown => ("CHARGE_UNKNOWN", 404),
            Self::ChargeReversed => ("CHARGE_REVERSED", 409),
            Self::ExecutionSuperseded => ("EXECUTION_SUPERSEDED", 409),
            Self::InvoiceUnknown => ("INVOICE_UNKNOWN", 404),
            Self::InvoicePaid => ("INVOICE_PAID", 409),
            Self::InvoiceCredited => ("INVOICE_CREDITED", 409),
            Self::PaymentUnknown => ("PAYMENT_UNKNOWN", 404),
            Self::PaymentInProgress => ("PAYMENT_IN_PROGRESS", 409),
            Self::WebhookMalformed => ("WEBHOOK_MALFORMED", 400),
            Self::WebhookSignatureInvalid => ("WEBHOOK_SIGNATURE_INVALID", 400),
            Self::WebhookTimestampOld => ("WEBHOOK_TIMESTAMP_OLD", 400),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
