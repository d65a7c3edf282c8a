//! What a charge, an invoice, a payment and a journal entry are, and what becomes of them. Pure: states in,
//! states out.

mod account;
mod adjustment;
mod charge;
mod institution;
mod invoice;
mod ledger;
mod numbers;
mod payment;
mod policy;
mod prices;
mod proof;
mod refusal;
mod returned;
mod term_bill;
mod tuition;
mod tuition_run;

pub use account::{Allocation, Fund, FundKind, OpenLine, StudentAccount, Turn, Unapplied};
pub use adjustment::{AccountAdjustment, AdjustmentKind, AdjustmentState, give_credit, write_off};
pub use charge::{Charge, ChargeState, Posted, WaitingSaga, post, take_back};
pub use institution::Institution;
pub use invoice::{
    ChargeCode, Credit, CreditNote, Invoice, InvoiceDocument, InvoiceLine, InvoiceState, total_of,
};
pub use ledger::{
    Account, Booking, Books, Earned, JournalEntry, Line, PostingPeriod, Source, SourceKind,
};
pub use numbers::{NumberCounter, RegisterRow, Series};
pub use payment::{
    Channel, Decided, Payment, PaymentState, Report, SuspenseItem, SuspenseReason, Word,
    reallocate, receive,
};
pub use policy::{BillingPolicy, HoldRule};
pub use prices::{PriceGroup, PriceGroupCode, SectionPrice, registered};
pub use proof::{
    Difference, LedgerProof, Replay, RevenueRow, Stage, TrialBalance, TrialBalanceRow,
};
pub use refusal::{Refusal, SENTENCES};
pub use returned::{
    Dispute, DisputeReport, DisputeState, Movement, Origin, Outcome, Refund, RefundReport,
    RefundState, RefundWord, begin_refund, charge_back, conclude_refund, reinstate, take_refund,
};
pub use term_bill::{Adjustment, Registered, TermBill};
pub use tuition::{
    AdjustmentCalendar, Band, BandPolicy, Basis, CalendarRow, Criteria, Fee, Population,
    TuitionGroup, TuitionRule, TuitionRules, Wash,
};
pub use tuition_run::{RunTotal, TuitionRun};

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tuition_vectors;
