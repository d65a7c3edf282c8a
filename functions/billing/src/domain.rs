//! What a charge, an invoice, a payment and a journal entry are, and what becomes of them. Pure: states in,
//! states out.

mod account;
mod adjustment;
mod charge;
mod dunning;
mod institution;
mod invoice;
mod ledger;
mod names;
mod numbers;
mod payment;
mod plan;
mod policy;
mod prices;
mod proof;
mod receipt;
mod reconciliation;
mod refusal;
mod report;
mod returned;
mod sponsor;
mod statement;
mod term_bill;
mod tuition;
mod tuition_run;

pub use account::{
    Allocation, Fund, FundKind, OpenLine, ROWS_MAX, StudentAccount, Turn, Unapplied,
};
pub use adjustment::{AccountAdjustment, AdjustmentKind, AdjustmentState, give_credit, write_off};
pub use charge::{Charge, ChargeState, Posted, WaitingSaga, post, take_back};
pub use dunning::{BilledLate, DueStep, Dunned, DunningAction, DunningStep};
pub use institution::Institution;
pub use invoice::{
    ChargeCode, Credit, CreditNote, Invoice, InvoiceDocument, InvoiceLine, InvoiceState, total_of,
};
pub use ledger::{
    Account, Booking, Books, Earned, JournalEntry, Line, PostingPeriod, Source, SourceKind,
};
pub use names::Names;
pub use numbers::{NumberCounter, RegisterRow, Series};
pub use payment::{
    Channel, Decided, Payment, PaymentState, REALLOCATED_MAX, Report, SuspenseItem, SuspenseReason,
    Word, reallocate, receive,
};
pub use plan::{
    Beginning, Claim, Deferral, Instalment, InstalmentRule, PaymentPlan, PlanOffer, PlanOfferCode,
    PlanState,
};
pub use policy::{BillingPolicy, HoldRule};
pub use prices::{PriceGroup, PriceGroupCode, SectionPrice, registered};
pub use proof::{
    Difference, LedgerProof, Replay, RevenueRow, Stage, TrialBalance, TrialBalanceRow,
};
pub use receipt::{CounterChannel, FileKind, Receipt, ReceiptFile, ReceiptState};
pub use reconciliation::{DifferenceKind, Known, MovementKind, Unreconciled, amount_of, reconcile};
pub use refusal::{Refusal, SENTENCES};
pub use report::{Aging, Sums, Takings};
pub use returned::{
    Dispute, DisputeReport, DisputeState, Movement, Origin, Outcome, Refund, RefundReport,
    RefundState, RefundWord, begin_refund, charge_back, conclude_refund, go_on, reinstate,
    take_refund,
};
pub use sponsor::{
    SponsorContract, SponsorContractCode, SponsorRule, SponsorTerms, SponsoredInvoice,
    SponsoredLine, Sponsorship, sponsor,
};
pub use statement::{Statement, StatementRow};
pub use term_bill::{Adjustment, Registered, TermBill};
pub use tuition::{
    AdjustmentCalendar, Band, BandPolicy, Basis, CalendarRow, Criteria, Discount, Fee, Population,
    Reduction, TuitionGroup, TuitionRule, TuitionRules, Wash,
};
pub use tuition_run::{RunTotal, TuitionRun};

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tuition_vectors;
