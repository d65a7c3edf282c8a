//! Billing's items: how they lie in the table, what is read together, and the transactions that write them with their
//! events.

use std::collections::BTreeMap;

use events::{PaymentFailed, PaymentSucceeded};
use kernel::{
    AdjustmentId, ChargeId, Currency, Date, InvoiceId, PaymentId, PersonId, ReceiptId, RefundId,
    SectionId, SuspenseItemId, TermId, Timestamp, TuitionRunId,
};
use serde::{Deserialize, Serialize};
use shell::{Failure, Fault};
use table::{Key, PageRequest, Partition, Position, Record, Stored, Table, Transaction};

use crate::domain::{
    AccountAdjustment, AdjustmentState, Allocation, BillingPolicy, Books, Channel, Charge,
    CreditNote, Dispute, Invoice, JournalEntry, Names, NumberCounter, Origin, Payment, PlanOffer,
    PlanOfferCode, Population, PriceGroup, Receipt, ReceiptState, Refund, Refusal, RegisterRow,
    SectionPrice, SponsorContract, SponsorContractCode, SponsoredInvoice, StudentAccount,
    SuspenseItem, TermBill, TuitionRules,
};

impl Record for PriceGroup {
    const KIND: &'static str = "price-group";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        price_group_key(&self.code.0)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("PRICE_GROUPS".to_owned(), self.code.0.clone()))
    }
}

impl Record for NumberCounter {
    const KIND: &'static str = "number-counter";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        counter_key(&self.prefix)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("NUMBER_COUNTERS".to_owned(), self.prefix.clone()))
    }
}

impl Record for RegisterRow {
    const KIND: &'static str = "register-row";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        register_key(&self.prefix, self.ordinal)
    }
}

impl Record for TermBill {
    const KIND: &'static str = "term-bill";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        term_bill_key(self.student, self.term)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("TERM_BILLS#{}", self.term), self.student.to_string()))
    }
}

/// How far a tuition run has come.
pub type TuitionRun = crate::domain::TuitionRun<Position>;

impl Record for TuitionRun {
    const KIND: &'static str = "tuition-run";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        tuition_run_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let under_way = || ("TUITION_RUNS_UNDER_WAY".to_owned(), self.id.to_string());
        self.finished_at.is_none().then(under_way)
    }
}

impl Record for Refund {
    const KIND: &'static str = "refund";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        refund_key(self.of, self.id)
    }

    /// Who was asked about goes to the back of the line.
    fn index_key(&self) -> Option<(String, String)> {
        if self.is_under_way() {
            let sk = format!("{:.3}#{}", self.asked_at, self.id);
            return Some(("REFUNDS_UNDER_WAY".to_owned(), sk));
        }
        let at = self.concluded_at.filter(|_| self.payment_ref.is_some())?;
        Some(ended("REFUNDS", at, &self.id))
    }
}

/// Where what went through the provider is listed by the day, in UTC, on which it ended.
fn ended(what: &str, at: Timestamp, id: &impl std::fmt::Display) -> (String, String) {
    let at = format!("{at:.3}");
    (format!("{what}_ENDED#{}", &at[..10]), format!("{at}#{id}"))
}

impl Record for Dispute {
    const KIND: &'static str = "dispute";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        dispute_key(&self.provider_ref)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let sk = format!("{:.3}#{}", self.opened_at, self.provider_ref);
        Some(("DISPUTES".to_owned(), sk))
    }
}

impl Record for AccountAdjustment {
    const KIND: &'static str = "account-adjustment";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        adjustment_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let is_pending = self.state == AdjustmentState::Pending;
        let pk = adjustments_pk((!is_pending).then_some(self.student));
        Some((pk, format!("{:.3}#{}", self.requested_at, self.id)))
    }
}

impl Record for Names {
    const KIND: &'static str = "names";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        names_key(self.person)
    }
}

impl Record for PlanOffer {
    const KIND: &'static str = "plan-offer";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        plan_offer_key(&self.code)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("PLAN_OFFERS".to_owned(), self.code.0.clone()))
    }
}

impl Record for SponsorContract {
    const KIND: &'static str = "sponsor-contract";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        sponsor_contract_key(&self.code)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("SPONSOR_CONTRACTS".to_owned(), self.code.0.clone()))
    }
}

impl Record for SponsoredInvoice {
    const KIND: &'static str = "sponsored-invoice";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        sponsored_invoice_key(&self.contract, self.issued_at, self.invoice)
    }

    /// Listed by when it is due while the sponsor has something of it to pay.
    fn index_key(&self) -> Option<(String, String)> {
        let open = || (format!("SPONSORED_OPEN#{}", self.contract.0), self.due);
        (self.open() > 0).then(open).map(|(pk, due)| (pk, format!("{due}#{}", self.invoice)))
    }
}

impl Record for BillingPolicy {
    const KIND: &'static str = "billing-policy";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        policy_key()
    }
}

/// The tuition rules of a term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermTuition {
    pub term: TermId,
    pub rules: TuitionRules,
}

impl Record for TermTuition {
    const KIND: &'static str = "term-tuition";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        tuition_key(self.term)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudentPopulation {
    pub student: PersonId,
    pub population: Population,
}

impl Record for StudentPopulation {
    const KIND: &'static str = "student-population";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        population_key(self.student)
    }
}

impl Record for SectionPrice {
    const KIND: &'static str = "section-price";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        section_price_key(self.section)
    }
}

/// How far the latest proof of the ledger has come, or what it came to.
pub type LedgerProof = crate::domain::LedgerProof<Position>;

impl Record for LedgerProof {
    const KIND: &'static str = "ledger-proof";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        ledger_proof_key()
    }
}

impl Record for Charge {
    const KIND: &'static str = "charge";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        charge_key(self.id)
    }
}

impl Record for Invoice {
    const KIND: &'static str = "invoice";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        invoice_key(self.document().id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let document = self.document();
        let sk = format!("{:.3}#{}", document.issued_at, document.id);
        Some((format!("INVOICES#{}", document.student), sk))
    }
}

impl Record for CreditNote {
    const KIND: &'static str = "credit-note";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        Key::new(format!("CREDIT_NOTE#{}", self.number), "CREDIT_NOTE")
    }
}

impl Record for JournalEntry {
    const KIND: &'static str = "journal-entry";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        Key::new(journal_pk(self.student()), format!("ENTRY#{}", self.id()))
    }

    fn index_key(&self) -> Option<(String, String)> {
        let pk = format!("JOURNAL#{}", self.effective_date());
        Some((pk, format!("{:.3}#{}", self.booked_at(), self.id())))
    }
}

impl Record for StudentAccount {
    const KIND: &'static str = "student-account";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        account_key(self.student, self.currency)
    }

    /// Listed by the student's id: heat on the list spreads over it, since ids have no order in time.
    fn index_key(&self) -> Option<(String, String)> {
        Some(("ACCOUNTS".to_owned(), format!("{}#{}", self.student, self.currency)))
    }
}

/// Kept for good, one row for each: what paid for what, and since when it does so no longer.
impl Record for Allocation {
    const KIND: &'static str = "allocation";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        let sk = format!("{:08}#{:03}", self.turn, self.place);
        Key::new(format!("ALLOCATIONS#{}", self.fund.payment), sk)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let sk = format!("{:.3}#{:08}#{:03}", self.allocated_at, self.turn, self.place);
        Some((format!("ALLOCATIONS#{}", self.invoice), sk))
    }
}

impl Record for Books {
    const KIND: &'static str = "books";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        books_key(self.copy)
    }
}

impl Record for Payment {
    const KIND: &'static str = "payment";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        payment_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        if self.is_under_way() {
            let sk = format!("{:.3}#{}", self.initiated_at, self.id);
            return Some(("PAYMENTS_UNDER_WAY".to_owned(), sk));
        }
        let at = self.concluded_at.filter(|_| self.channel == Channel::Card)?;
        Some(ended("PAYMENTS", at, &self.id))
    }
}

impl Record for SuspenseItem {
    const KIND: &'static str = "suspense-item";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        suspense_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("SUSPENSE".to_owned(), format!("{:.3}#{}", self.received_at, self.id)))
    }
}

/// Keeps one reference at the provider from standing for two payments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProviderReference {
    pub provider_ref: String,
    pub payment: PaymentId,
}

impl Record for ProviderReference {
    const KIND: &'static str = "provider-reference";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        provider_reference_key(&self.provider_ref)
    }
}

impl Record for Receipt {
    const KIND: &'static str = "receipt";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        receipt_key(self.student, self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let sk = format!("{:.3}#{}", self.submitted_at, self.id);
        (self.status == ReceiptState::Waiting).then(|| ("RECEIPTS_WAITING".to_owned(), sk))
    }
}

/// Keeps one reference from being handed in with two receipts. It goes with a receipt that is rejected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandedIn {
    pub reference: String,
    pub receipt: ReceiptId,
}

impl HandedIn {
    pub fn of(receipt: &Receipt) -> Self {
        let reference = receipt.channel.reference(&receipt.bank, &receipt.reference);
        Self { reference, receipt: receipt.id }
    }
}

impl Record for HandedIn {
    const KIND: &'static str = "handed-in";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        handed_in_key(&self.reference)
    }
}

/// Where a schedule left off that could not finish in one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeftOff {
    pub operation: String,
    /// Absent where it begins from the front again.
    pub after: Option<Position>,
}

impl Record for LeftOff {
    const KIND: &'static str = "left-off";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        left_off_key(&self.operation)
    }
}

/// The day's look at every account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BalanceRound {
    pub day: Date,
    /// Behind which account it goes on.
    pub after: Option<Position>,
    /// Accounts that could not be judged on this pass.
    #[serde(default)]
    pub failed: u64,
    /// Passes that were made because of those.
    #[serde(default)]
    pub passes: u8,
    pub is_over: bool,
}

impl BalanceRound {
    /// So often it is made again where accounts could not be judged.
    const PASSES_MAX: u8 = 3;

    pub fn of(day: Date) -> Self {
        Self { day, after: None, failed: 0, passes: 0, is_over: false }
    }

    /// Takes in that a page was looked at. Where the last one was, and accounts could not be judged, another tick looks
    /// at all of them again.
    pub fn advance(&mut self, next: Option<Position>, failed: u64) {
        self.failed += failed;
        self.after = next;
        if self.after.is_some() {
            return;
        }
        if self.failed > 0 && self.passes < Self::PASSES_MAX {
            (self.failed, self.passes) = (0, self.passes + 1);
        } else {
            self.is_over = true;
        }
    }
}

impl Record for BalanceRound {
    const KIND: &'static str = "balance-round";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        balance_round_key()
    }
}

pub fn balance_round_key() -> Key<BalanceRound> {
    Key::new("BALANCE_ROUND", "BALANCE_ROUND")
}

pub fn left_off_key(operation: &str) -> Key<LeftOff> {
    Key::new(format!("LEFT_OFF#{operation}"), "LEFT_OFF")
}

pub fn price_group_key(code: &str) -> Key<PriceGroup> {
    Key::new(format!("PRICE_GROUP#{code}"), "PRICE_GROUP")
}

pub fn charge_key(id: ChargeId) -> Key<Charge> {
    Key::new(format!("CHARGE#{id}"), "CHARGE")
}

pub fn invoice_key(id: InvoiceId) -> Key<Invoice> {
    Key::new(format!("INVOICE#{id}"), "INVOICE")
}

pub fn account_key(student: PersonId, currency: Currency) -> Key<StudentAccount> {
    Key::new(format!("STUDENT#{student}"), format!("ACCOUNT#{currency}"))
}

pub fn payment_key(id: PaymentId) -> Key<Payment> {
    Key::new(format!("PAYMENT#{id}"), "PAYMENT")
}

pub fn suspense_key(id: SuspenseItemId) -> Key<SuspenseItem> {
    Key::new(format!("SUSPENSE#{id}"), "SUSPENSE")
}

fn refunds_pk(of: Origin) -> String {
    match of {
        Origin::Payment(payment) => format!("REFUNDS#{payment}"),
        Origin::SuspenseItem(item) => format!("REFUNDS#{item}"),
    }
}

pub fn refund_key(of: Origin, id: RefundId) -> Key<Refund> {
    Key::new(refunds_pk(of), id.to_string())
}

/// What went back of a payment or a suspense item.
pub fn refunds(of: Origin) -> Partition<Refund> {
    Partition::new(refunds_pk(of), "")
}

/// Refunds whose end is not known; of which the provider was asked longest ago, first.
pub fn refunds_under_way() -> Partition<Refund> {
    Partition::in_index("REFUNDS_UNDER_WAY", "")
}

/// Payments and refunds through the provider that ended on a day in UTC.
pub fn payments_ended(day: Date) -> Partition<Payment> {
    Partition::in_index(format!("PAYMENTS_ENDED#{day}"), "")
}

pub fn refunds_ended(day: Date) -> Partition<Refund> {
    Partition::in_index(format!("REFUNDS_ENDED#{day}"), "")
}

/// What was put in suspense, and disputes that were opened, on a day in UTC.
pub fn suspense_items_of(day: Date) -> Partition<SuspenseItem> {
    Partition::in_index("SUSPENSE", day.to_string())
}

pub fn disputes_of(day: Date) -> Partition<Dispute> {
    Partition::in_index("DISPUTES", day.to_string())
}

pub fn dispute_key(provider_ref: &str) -> Key<Dispute> {
    Key::new(format!("DISPUTE#{provider_ref}"), "DISPUTE")
}

/// Every dispute, the latest first.
pub fn disputes() -> Partition<Dispute> {
    Partition::in_index("DISPUTES", "").newest_first()
}

pub fn provider_reference_key(provider_ref: &str) -> Key<ProviderReference> {
    Key::new(format!("PROVIDER_REFERENCE#{provider_ref}"), "PROVIDER_REFERENCE")
}

pub fn books_key(copy: u8) -> Key<Books> {
    Key::new(format!("BOOKS#{copy}"), "BOOKS")
}

/// Entries of one student lie together; those of which nobody knows whose they are, too.
fn journal_pk(student: Option<PersonId>) -> String {
    match student {
        Some(student) => format!("JOURNAL#{student}"),
        None => "JOURNAL#NOBODY".to_owned(),
    }
}

pub fn journal(student: Option<PersonId>) -> Partition<JournalEntry> {
    Partition::new(journal_pk(student), "ENTRY#")
}

/// What took effect on a day, in the order in which it was booked.
pub fn journal_of(day: Date) -> Partition<JournalEntry> {
    Partition::in_index(format!("JOURNAL#{day}"), "")
}

/// A student's accounts, one in each currency.
pub fn accounts_of(student: PersonId) -> Partition<StudentAccount> {
    Partition::new(format!("STUDENT#{student}"), "ACCOUNT#")
}

/// Every account that there is, by student.
pub fn accounts() -> Partition<StudentAccount> {
    Partition::in_index("ACCOUNTS", "")
}

/// What a payment paid for, and no longer pays for, in the order in which it happened.
pub fn allocations_of(payment: PaymentId) -> Partition<Allocation> {
    Partition::new(format!("ALLOCATIONS#{payment}"), "")
}

/// The invoices that a payment pays for, at most so many: those to which it was applied last.
pub async fn invoices_paid_by(
    table: &Table,
    payment: PaymentId,
    most: usize,
) -> Result<Vec<InvoiceId>, Failure> {
    const PAGES_MAX: u32 = 200;
    let rows = allocations_of(payment).newest_first();
    // From the last one on: what was freed is met before what it had paid for.
    let mut pays: BTreeMap<(InvoiceId, u32), i64> = BTreeMap::new();
    let mut invoices = Vec::new();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = table.query::<Allocation>(&rows, &page).await?;
        for Stored { value: row, .. } in found.records {
            let pays = pays.entry((row.invoice, row.line)).or_default();
            *pays += row.amount.minor;
            if *pays > 0 && !invoices.contains(&row.invoice) {
                invoices.push(row.invoice);
            }
            if invoices.len() == most {
                return Ok(invoices);
            }
        }
        page.after = found.next;
        if page.after.is_none() {
            return Ok(invoices);
        }
    }
    Err(Fault::defect(format!("{payment} was applied more often than can be read")).into())
}

/// All records of a list; none where they fill more pages than that.
pub async fn all<R: Record>(
    table: &Table,
    list: &Partition<R>,
    pages_max: u32,
) -> Result<Option<Vec<R>>, Failure> {
    let mut records = Vec::new();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..pages_max {
        let found = table.query(list, &page).await?;
        records.extend(found.records.into_iter().map(|stored| stored.value));
        page.after = found.next;
        if page.after.is_none() {
            return Ok(Some(records));
        }
    }
    Ok(None)
}

/// The invoice, if it is the student's and in this currency.
pub async fn named_invoice(
    table: &Table,
    invoice: Option<InvoiceId>,
    student: PersonId,
    currency: Currency,
) -> Result<Option<InvoiceId>, Failure> {
    let Some(id) = invoice else { return Ok(None) };
    let stored = table
        .get(&invoice_key(id))
        .await?
        .filter(|stored| stored.value.document().student == student)
        .ok_or(Refusal::InvoiceUnknown)?;
    if stored.value.document().total.currency != currency {
        return Err(Refusal::CurrenciesDiffer.into());
    }
    Ok(Some(id))
}

pub fn adjustment_key(id: AdjustmentId) -> Key<AccountAdjustment> {
    Key::new(format!("ADJUSTMENT#{id}"), "ADJUSTMENT")
}

fn adjustments_pk(student: Option<PersonId>) -> String {
    student.map_or_else(
        || "ADJUSTMENTS_PENDING".to_owned(),
        |student| format!("ADJUSTMENTS#{student}"),
    )
}

/// What was decided on a student's account, or, of nobody, all that wait for a second person.
pub fn adjustments(student: Option<PersonId>) -> Partition<AccountAdjustment> {
    Partition::in_index(adjustments_pk(student), "")
}

pub fn receipt_key(student: PersonId, id: ReceiptId) -> Key<Receipt> {
    Key::new(format!("RECEIPTS#{student}"), id.to_string())
}

/// What a student handed in, the oldest first.
pub fn receipts_of(student: PersonId) -> Partition<Receipt> {
    Partition::new(format!("RECEIPTS#{student}"), "")
}

/// Receipts for which nobody has looked yet, the oldest first.
pub fn receipts_waiting() -> Partition<Receipt> {
    Partition::in_index("RECEIPTS_WAITING", "")
}

pub fn handed_in_key(reference: &str) -> Key<HandedIn> {
    Key::new(format!("HANDED_IN#{reference}"), "HANDED_IN")
}

pub fn plan_offer_key(code: &PlanOfferCode) -> Key<PlanOffer> {
    Key::new(format!("PLAN_OFFER#{}", code.0), "PLAN_OFFER")
}

pub fn plan_offers() -> Partition<PlanOffer> {
    Partition::in_index("PLAN_OFFERS", "")
}

pub fn sponsor_contract_key(code: &SponsorContractCode) -> Key<SponsorContract> {
    Key::new(format!("SPONSOR_CONTRACT#{}", code.0), "SPONSOR_CONTRACT")
}

pub fn sponsor_contracts() -> Partition<SponsorContract> {
    Partition::in_index("SPONSOR_CONTRACTS", "")
}

pub fn sponsored_invoice_key(
    code: &SponsorContractCode,
    issued_at: Timestamp,
    invoice: InvoiceId,
) -> Key<SponsoredInvoice> {
    Key::new(format!("SPONSORED#{}", code.0), format!("{issued_at:.3}#{invoice}"))
}

/// What a sponsor pays, the oldest invoice first.
pub fn sponsored_invoices(code: &SponsorContractCode) -> Partition<SponsoredInvoice> {
    Partition::new(format!("SPONSORED#{}", code.0), "")
}

/// What of it is open, that first which is due longest.
pub fn open_sponsored_invoices(code: &SponsorContractCode) -> Partition<SponsoredInvoice> {
    Partition::in_index(format!("SPONSORED_OPEN#{}", code.0), "")
}

pub fn names_key(person: PersonId) -> Key<Names> {
    Key::new(format!("STUDENT#{person}"), "NAMES")
}

pub fn policy_key() -> Key<BillingPolicy> {
    Key::new("POLICY", "POLICY")
}

pub fn term_bill_key(student: PersonId, term: TermId) -> Key<TermBill> {
    Key::new(format!("STUDENT#{student}"), format!("TERM_BILL#{term}"))
}

/// The bills of a term by student.
pub fn term_bills(term: TermId) -> Partition<TermBill> {
    Partition::in_index(format!("TERM_BILLS#{term}"), "")
}

pub fn tuition_run_key(id: TuitionRunId) -> Key<TuitionRun> {
    Key::new(format!("TUITION_RUN#{id}"), "TUITION_RUN")
}

pub fn tuition_runs_under_way() -> Partition<TuitionRun> {
    Partition::in_index("TUITION_RUNS_UNDER_WAY", "")
}

pub fn tuition_key(term: TermId) -> Key<TermTuition> {
    Key::new(format!("TERM#{term}"), "TUITION")
}

pub fn population_key(student: PersonId) -> Key<StudentPopulation> {
    Key::new(format!("STUDENT#{student}"), "POPULATION")
}

pub fn section_price_key(section: SectionId) -> Key<SectionPrice> {
    Key::new(format!("SECTION#{section}"), "SECTION_PRICE")
}

pub fn ledger_proof_key() -> Key<LedgerProof> {
    Key::new("LEDGER_PROOF", "LATEST")
}

/// Every series of numbers.
pub fn number_counters() -> Partition<NumberCounter> {
    Partition::in_index("NUMBER_COUNTERS", "")
}

pub fn register_key(prefix: &str, ordinal: u64) -> Key<RegisterRow> {
    Key::new(format!("REGISTER#{prefix}"), format!("{ordinal:012}"))
}

/// The documents of a series by number.
pub fn register(prefix: &str) -> Partition<RegisterRow> {
    Partition::new(format!("REGISTER#{prefix}"), "")
}

pub fn counter_key(prefix: &str) -> Key<NumberCounter> {
    Key::new(format!("NUMBERS#{prefix}"), "NUMBERS")
}

pub fn price_groups() -> Partition<PriceGroup> {
    Partition::in_index("PRICE_GROUPS", "")
}

/// A student's invoices, the latest first.
pub fn invoices(student: PersonId) -> Partition<Invoice> {
    Partition::in_index(format!("INVOICES#{student}"), "").newest_first()
}

/// Payments whose end is not known, the oldest first.
pub fn payments_under_way() -> Partition<Payment> {
    Partition::in_index("PAYMENTS_UNDER_WAY", "")
}

/// What nobody could place, the latest first.
pub fn suspense_items() -> Partition<SuspenseItem> {
    Partition::in_index("SUSPENSE", "").newest_first()
}

/// What wrote a record and when, for its event.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub now: Timestamp,
    pub correlation_id: &'a str,
}

/// A record as it was read, or a new one that takes its place where there was none.
#[derive(Debug, Clone)]
pub struct Opened<R> {
    pub value: R,
    pub read_version: Option<u64>,
}

impl<R: Record> Opened<R> {
    pub fn of(stored: Option<Stored<R>>, new: impl FnOnce() -> R) -> Self {
        match stored {
            Some(stored) => stored.into(),
            None => Self { value: new(), read_version: None },
        }
    }

    /// The version that it becomes.
    pub fn next_version(&self) -> u64 {
        self.read_version.unwrap_or_default() + 1
    }

    pub fn write(&self, transaction: &mut Transaction<'_>) {
        transaction.put(&self.value, self.read_version);
    }
}

impl<R> From<Stored<R>> for Opened<R> {
    fn from(Stored { value, version }: Stored<R>) -> Self {
        Self { value, read_version: Some(version) }
    }
}

pub fn missing(kind: &str, id: impl std::fmt::Display) -> Fault {
    Fault::defect(format!("the {kind} {id} is gone"))
}

/// Writes a payment whose money came in, and tells of it.
pub fn write_receipt(
    transaction: &mut Transaction<'_>,
    payment: &Opened<Payment>,
    cause: Cause<'_>,
) {
    payment.write(transaction);
    let event = PaymentSucceeded {
        payment: payment.value.id,
        invoice: payment.value.invoice,
        student: payment.value.student,
        amount: payment.value.amount,
    };
    transaction.event(event, payment.next_version(), cause.now, cause.correlation_id);
}

/// Writes a payment that ended without money, and tells of it.
pub fn write_failure(
    transaction: &mut Transaction<'_>,
    payment: &Stored<Payment>,
    invoice: Option<&Stored<Invoice>>,
    cause: Cause<'_>,
) {
    transaction.update(payment);
    if let Some(invoice) = invoice {
        transaction.update(invoice);
    }
    let event = PaymentFailed {
        payment: payment.value.id,
        invoice: payment.value.invoice,
        student: payment.value.student,
        reason: payment.value.failure_reason.clone().unwrap_or_default(),
    };
    transaction.event(event, payment.version + 1, cause.now, cause.correlation_id);
}

/// An entry is only ever created; one without lines, of a charge of nothing, is none.
pub fn write_entry(transaction: &mut Transaction<'_>, entry: &JournalEntry) {
    if !entry.lines().is_empty() {
        transaction.create(entry);
    }
}

/// Whoever issues a document stands in line for its number: numbers without a gap cannot be given two at a time. So
/// `work` is run again from the top more often than other writes are, as long as the deadline allows.
pub async fn in_line_for_a_number<R>(
    work: impl AsyncFn() -> Result<R, Failure>,
) -> Result<R, Failure> {
    const RUNS_MAX: u32 = 40;
    shell::run_again(RUNS_MAX, |failure| matches!(failure, Failure::Conflict { .. }), work).await
}
