//! What a charge, an invoice, a payment and a journal entry are, and what becomes of them. Pure: states in,
//! states out.

mod account;
mod charge;
mod institution;
mod invoice;
mod ledger;
mod numbers;
mod payment;
mod prices;
mod proof;
mod refusal;
mod term_bill;
mod tuition;
mod tuition_run;

pub use account::{Allocation, Fund, OpenLine, StudentAccount, Turn, Unapplied};
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
    Channel, Payment, PaymentState, Report, SuspenseItem, SuspenseReason, Word, begin_refund,
    charge_back, conclude_refund, reallocate, receive,
};
pub use prices::{PriceGroup, PriceGroupCode, SectionPrice, registered};
pub use proof::{
    Difference, LedgerProof, Replay, RevenueRow, Stage, TrialBalance, TrialBalanceRow,
};
pub use refusal::{Refusal, SENTENCES};
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
