//! What a charge, an invoice, a payment and a journal entry are, and what becomes of them. Pure: states in,
//! states out.

mod charge;
mod invoice;
mod ledger;
mod numbers;
mod payment;
mod prices;
mod refusal;

pub use charge::{
    Charge, ChargeState, Order, Posted, Posting, Reversal, TakeBack, WaitingSaga, post, price,
    take_back,
};
pub use invoice::{Credit, CreditNote, Invoice, InvoiceDocument, InvoiceLine, InvoiceState};
pub use ledger::{Account, JournalEntry, Line, Source, SourceKind, StudentAccount};
pub use numbers::{NumberCounter, Series};
pub use payment::{
    Payment, PaymentState, Receipt, Report, SuspenseItem, SuspenseReason, Word, receive,
};
pub use prices::{PriceGroup, PriceGroupCode};
pub use refusal::{Refusal, SENTENCES};

#[cfg(test)]
mod laws;
