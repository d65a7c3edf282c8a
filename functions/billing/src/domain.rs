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

pub use account::{Allocation, Fund, OpenLine, StudentAccount, Turn, Unapplied};
pub use charge::{Charge, ChargeState, Posted, WaitingSaga, TakeBack, post, take_back};
pub use institution::Institution;
pub use invoice::{
    ChargeCode, Credit, CreditNote, Invoice, InvoiceDocument, InvoiceLine, InvoiceState,
};
pub use ledger::{
    Account, Booking, Books, Earned, JournalEntry, Line, PostingPeriod, Source, SourceKind,
};
pub use numbers::{NumberCounter, RegisterRow, Series};
pub use payment::{
    Channel, Payment, PaymentState, Report, SuspenseItem, SuspenseReason, Word, begin_refund,
    charge_back, conclude_refund, reallocate, receive,
};
pub use prices::{PriceGroup, PriceGroupCode, price};
pub use proof::{
    Difference, LedgerProof, Replay, RevenueRow, Stage, TrialBalance, TrialBalanceRow,
};
pub use refusal::{Refusal, SENTENCES};

#[cfg(test)]
mod laws;
