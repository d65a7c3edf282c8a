//! Everything that billing says no to.

use kernel::{MoneyError, PaymentId, ReceiptId};
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
    PaymentMethodContradictory,
    MobileMoneyUnavailable,
    WebhookMalformed,
    WebhookSignatureInvalid,
    WebhookTimestampOld,
    PostingPeriodClosed,
    PostingPeriodToCome,
    PaymentNotReceived,
    NotUnapplied,
    PaymentTooSpread,
    AmountNotPositive,
    CreditTooLarge,
    AdjustmentUnknown,
    AdjustmentDecided,
    SecondPersonRequired,
    PolicyContradictory,
    /// A row of the provider's report; the heading is row 1.
    ReportMalformed {
        row: usize,
    },
    DayTooLarge,
    ReceiptUnknown,
    ReceiptDecided,
    ReceiptFileUnknown,
    ReceiptFileDiffers,
    /// The reference was handed in with this receipt already.
    ReceiptTaken {
        receipt: ReceiptId,
    },
    PlanContradictory,
    PlanOfferUnknown,
    PlanUnknown,
    PlanInForce,
    PlanCompleted,
    /// A student cannot choose it any more.
    PlanTooLate,
    NothingOpen,
    DeferralTooEarly,
    SponsorContractUnknown,
    SponsorContractContradictory,
    SponsoredInvoiceUnknown,
    StatementContradictory,
    StatementTooLong,
    SuspenseItemUnknown,
    SuspenseItemDecided,
    StudentUnknown,
    BandsOutOfOrder,
    CalendarOutOfOrder,
    SectionUnknown,
    TuitionRunUnknown,
    TuitionRunUnderWay,
    DateInFuture,
    LedgerProofUnknown,
    /// The reference of a receipt or transfer stands for this payment already.
    ReferenceTaken {
        payment: PaymentId,
    },
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
            Self::PaymentMethodContradictory => ("PAYMENT_METHOD_CONTRADICTORY", 422),
            Self::MobileMoneyUnavailable => ("MOBILE_MONEY_UNAVAILABLE", 409),
            Self::WebhookMalformed => ("WEBHOOK_MALFORMED", 400),
            Self::WebhookSignatureInvalid => ("WEBHOOK_SIGNATURE_INVALID", 400),
            Self::WebhookTimestampOld => ("WEBHOOK_TIMESTAMP_OLD", 400),
            Self::PostingPeriodClosed => ("POSTING_PERIOD_CLOSED", 409),
            Self::PostingPeriodToCome => ("POSTING_PERIOD_TO_COME", 422),
            Self::PaymentNotReceived => ("PAYMENT_NOT_RECEIVED", 409),
            Self::NotUnapplied => ("NOT_UNAPPLIED", 409),
            Self::PaymentTooSpread => ("PAYMENT_TOO_SPREAD", 409),
            Self::AmountNotPositive => ("AMOUNT_NOT_POSITIVE", 422),
            Self::CreditTooLarge => ("CREDIT_TOO_LARGE", 422),
            Self::AdjustmentUnknown => ("ADJUSTMENT_UNKNOWN", 404),
            Self::AdjustmentDecided => ("ADJUSTMENT_DECIDED", 409),
            Self::SecondPersonRequired => ("SECOND_PERSON_REQUIRED", 403),
            Self::PolicyContradictory => ("POLICY_CONTRADICTORY", 422),
            Self::ReportMalformed { .. } => ("REPORT_MALFORMED", 422),
            Self::DayTooLarge => ("DAY_TOO_LARGE", 422),
            Self::ReceiptUnknown => ("RECEIPT_UNKNOWN", 404),
            Self::ReceiptDecided => ("RECEIPT_DECIDED", 409),
            Self::ReceiptFileUnknown => ("RECEIPT_FILE_UNKNOWN", 404),
            Self::ReceiptFileDiffers => ("RECEIPT_FILE_DIFFERS", 409),
            Self::ReceiptTaken { .. } => ("RECEIPT_TAKEN", 409),
            Self::PlanContradictory => ("PLAN_CONTRADICTORY", 422),
            Self::PlanOfferUnknown => ("PLAN_OFFER_UNKNOWN", 404),
            Self::PlanUnknown => ("PLAN_UNKNOWN", 404),
            Self::PlanInForce => ("PLAN_IN_FORCE", 409),
            Self::PlanCompleted => ("PLAN_COMPLETED", 409),
            Self::PlanTooLate => ("PLAN_TOO_LATE", 409),
            Self::NothingOpen => ("NOTHING_OPEN", 409),
            Self::DeferralTooEarly => ("DEFERRAL_TOO_EARLY", 422),
            Self::SponsorContractUnknown => ("SPONSOR_CONTRACT_UNKNOWN", 404),
            Self::SponsorContractContradictory => ("SPONSOR_CONTRACT_CONTRADICTORY", 422),
            Self::SponsoredInvoiceUnknown => ("SPONSORED_INVOICE_UNKNOWN", 404),
            Self::StatementContradictory => ("STATEMENT_CONTRADICTORY", 422),
            Self::StatementTooLong => ("STATEMENT_TOO_LONG", 422),
            Self::SuspenseItemUnknown => ("SUSPENSE_ITEM_UNKNOWN", 404),
            Self::SuspenseItemDecided => ("SUSPENSE_ITEM_DECIDED", 409),
            Self::StudentUnknown => ("STUDENT_UNKNOWN", 404),
            Self::BandsOutOfOrder => ("BANDS_OUT_OF_ORDER", 422),
            Self::CalendarOutOfOrder => ("CALENDAR_OUT_OF_ORDER", 422),
            Self::SectionUnknown => ("SECTION_UNKNOWN", 422),
            Self::TuitionRunUnknown => ("TUITION_RUN_UNKNOWN", 404),
            Self::TuitionRunUnderWay => ("TUITION_RUN_UNDER_WAY", 409),
            Self::DateInFuture => ("DATE_IN_FUTURE", 422),
            Self::LedgerProofUnknown => ("LEDGER_PROOF_UNKNOWN", 404),
            Self::ReferenceTaken { .. } => ("REFERENCE_TAKEN", 409),
        }
    }

    fn arguments(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::ReferenceTaken { payment } => vec![("payment", payment.to_string())],
            Self::ReportMalformed { row } => vec![("row", row.to_string())],
            Self::ReceiptTaken { receipt } => vec![("receipt", receipt.to_string())],
            _ => Vec::new(),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
