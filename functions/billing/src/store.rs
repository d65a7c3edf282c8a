//! Billing's items: how they lie in the table, what is read together, and the transactions that write them with their
//! events.

use std::collections::{BTreeMap, BTreeSet};

use events::{ChargePosted, ChargeReversed, ChargeSettled, PaymentFailed, PaymentSucceeded};
use kernel::{ChargeId, Currency, InvoiceId, PaymentId, PersonId, SuspenseItemId, Timestamp};
use serde::{Deserialize, Serialize};
use shell::{Failure, Fault};
use table::{Key, Partition, Record, Stored, Table, Transaction, deadline};

use crate::domain::{
    Charge, CreditNote, Invoice, JournalEntry, NumberCounter, Payment, Posting, PriceGroup,
    Receipt, Reversal, Series, StudentAccount, SuspenseItem,
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
    const SCHEMA: u32 = 1;

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
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("CREDIT_NOTE#{}", self.number), "CREDIT_NOTE")
    }
}

impl Record for JournalEntry {
    const KIND: &'static str = "journal-entry";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(format!("JOURNAL#{}", self.id()), "JOURNAL")
    }

    fn index_key(&self) -> Option<(String, String)> {
        let at = format!("{:.3}", self.occurred_at());
        Some((format!("JOURNAL#{}", &at[..10]), format!("{at}#{}", self.id())))
    }
}

impl Record for StudentAccount {
    const KIND: &'static str = "student-account";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        account_key(self.student, self.unapplied_cash.currency)
    }
}

impl Record for Payment {
    const KIND: &'static str = "payment";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        payment_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        self.is_under_way().then(|| {
            ("PAYMENTS_UNDER_WAY".to_owned(), format!("{:.3}#{}", self.initiated_at, self.id))
        })
    }
}

impl Record for SuspenseItem {
    const KIND: &'static str = "suspense-item";
    const SCHEMA: u32 = 1;

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

pub fn provider_reference_key(provider_ref: &str) -> Key<ProviderReference> {
    Key::new(format!("PROVIDER_REFERENCE#{provider_ref}"), "PROVIDER_REFERENCE")
}

fn counter_key(prefix: &str) -> Key<NumberCounter> {
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
    read_version: Option<u64>,
}

impl<R: Record> Opened<R> {
    fn of(stored: Option<Stored<R>>, new: impl FnOnce() -> R) -> Self {
        match stored {
            Some(Stored { value, version }) => Self { value, read_version: Some(version) },
            None => Self { value: new(), read_version: None },
        }
    }

    fn write(&self, transaction: &mut Transaction<'_>) {
        transaction.put(&self.value, self.read_version);
    }
}

/// A bundle's charge, if there is one, and the prices that it would be charged at.
pub async fn charge_and_prices(
    table: &Table,
    charge: ChargeId,
    groups: &BTreeSet<String>,
) -> Result<(Option<Stored<Charge>>, BTreeMap<String, PriceGroup>), Failure> {
    let charge = charge_key(charge);
    let mut keys = vec![(&charge).into()];
    keys.extend(groups.iter().map(|code| (&price_group_key(code)).into()));
    let mut batch = table.get_batch(keys).await?;
    let mut prices = BTreeMap::new();
    for code in groups {
        if let Some(group) = batch.take(&price_group_key(code))? {
            prices.insert(code.clone(), group.value);
        }
    }
    Ok((batch.take(&charge)?, prices))
}

/// What a document is issued with: the series' counter, and the student's account.
pub struct Issuing {
    pub counter: Opened<NumberCounter>,
    pub account: Opened<StudentAccount>,
}

impl Issuing {
    fn keys(
        student: PersonId,
        currency: Currency,
        prefix: &str,
    ) -> (Key<NumberCounter>, Key<StudentAccount>) {
        (counter_key(prefix), account_key(student, currency))
    }
}

pub async fn issuing(
    table: &Table,
    student: PersonId,
    currency: Currency,
    prefix: String,
) -> Result<Issuing, Failure> {
    let (counter, account) = Issuing::keys(student, currency, &prefix);
    let mut batch = table.get_batch(vec![(&counter).into(), (&account).into()]).await?;
    Ok(Issuing {
        counter: Opened::of(batch.take(&counter)?, || NumberCounter::new(prefix)),
        account: Opened::of(batch.take(&account)?, || StudentAccount::empty(student, currency)),
    })
}

/// A posted charge with everything that changes when it is taken back.
pub struct Taking {
    pub charge: Stored<Charge>,
    pub invoice: Stored<Invoice>,
    pub issuing: Issuing,
}

/// What stands behind a charge that was posted.
pub async fn taking(
    table: &Table,
    charge: Stored<Charge>,
    now: Timestamp,
) -> Result<Taking, Failure> {
    let posted = charge.value.standing()?;
    let prefix = Series::CreditNotes.prefix(now);
    let (counter, account) = Issuing::keys(posted.student, posted.amount.currency, &prefix);
    let invoice = invoice_key(posted.invoice);
    let keys = vec![(&invoice).into(), (&counter).into(), (&account).into()];
    let mut batch = table.get_batch(keys).await?;
    let issuing = Issuing {
        counter: Opened::of(batch.take(&counter)?, || NumberCounter::new(prefix)),
        account: Opened::of(batch.take(&account)?, || {
            StudentAccount::empty(posted.student, posted.amount.currency)
        }),
    };
    let invoice = batch.take(&invoice)?.ok_or_else(|| missing("invoice", posted.invoice))?;
    Ok(Taking { charge, invoice, issuing })
}

/// What a payment pays for, and where the rest of its money goes.
pub struct Paying {
    pub charge: Stored<Charge>,
    pub invoice: Stored<Invoice>,
    pub account: Opened<StudentAccount>,
}

pub async fn paying(table: &Table, payment: &Payment) -> Result<Paying, Failure> {
    let (charge, invoice) = (charge_key(payment.charge), invoice_key(payment.invoice));
    let currency = payment.amount.currency;
    let account = account_key(payment.student, currency);
    let keys = vec![(&charge).into(), (&invoice).into(), (&account).into()];
    let mut batch = table.get_batch(keys).await?;
    Ok(Paying {
        charge: batch.take(&charge)?.ok_or_else(|| missing("charge", payment.charge))?,
        invoice: batch.take(&invoice)?.ok_or_else(|| missing("invoice", payment.invoice))?,
        account: Opened::of(batch.take(&account)?, || {
            StudentAccount::empty(payment.student, currency)
        }),
    })
}

pub fn missing(kind: &str, id: impl std::fmt::Display) -> Fault {
    Fault::defect(format!("the {kind} {id} is gone"))
}

/// Writes a charge with its invoice, its number, its entry and its events.
pub fn write_posting(
    transaction: &mut Transaction<'_>,
    posting: &Posting,
    issuing: &Issuing,
    cause: Cause<'_>,
) {
    let document = posting.invoice.document();
    transaction.create(&posting.charge);
    transaction.create(&posting.invoice);
    issuing.counter.write(transaction);
    if posting.invoice.paid().minor > 0 {
        issuing.account.write(transaction);
    } else {
        // A deposit meanwhile would have been applied.
        transaction.check(&issuing.account.value.key(), issuing.account.read_version);
    }
    write_entry(transaction, &posting.entry);
    let event = ChargePosted {
        charge: posting.charge.id,
        bundle: posting.charge.bundle,
        student: document.student,
        invoice: document.id,
        invoice_number: document.number.clone(),
        amount: document.total,
    };
    transaction.event(event, 1, cause.now, cause.correlation_id);
    if posting.settled {
        tell_settled(transaction, &posting.charge, &posting.invoice, 1, cause);
    }
}

/// Writes a credit note with its number, its entry, what it changed and its events.
pub fn write_reversal(
    transaction: &mut Transaction<'_>,
    reversal: &Reversal,
    taking: &Taking,
    cause: Cause<'_>,
) {
    let note = &reversal.note;
    transaction.create(note);
    transaction.update(&taking.charge);
    transaction.update(&taking.invoice);
    taking.issuing.counter.write(transaction);
    taking.issuing.account.write(transaction);
    write_entry(transaction, &reversal.entry);
    let version = taking.charge.version + 1;
    let event = ChargeReversed {
        charge: note.charge,
        bundle: taking.charge.value.bundle,
        student: note.student,
        credit_note_number: note.number.clone(),
        amount: note.total,
    };
    transaction.event(event, version, cause.now, cause.correlation_id);
    if reversal.settled {
        let (charge, invoice) = (&taking.charge.value, &taking.invoice.value);
        tell_settled(transaction, charge, invoice, version, cause);
    }
}

/// Writes a payment that succeeded with its entry, what it paid and its events.
pub fn write_receipt(
    transaction: &mut Transaction<'_>,
    receipt: &Receipt,
    payment: &Stored<Payment>,
    paying: &Paying,
    cause: Cause<'_>,
) {
    transaction.update(payment);
    transaction.update(&paying.invoice);
    transaction.update(&paying.charge);
    paying.account.write(transaction);
    write_entry(transaction, &receipt.entry);
    let event = PaymentSucceeded {
        payment: payment.value.id,
        invoice: payment.value.invoice,
        student: payment.value.student,
        amount: payment.value.amount,
    };
    transaction.event(event, payment.version + 1, cause.now, cause.correlation_id);
    if receipt.charge_settled {
        let version = paying.charge.version + 1;
        let (charge, invoice) = (&paying.charge.value, &paying.invoice.value);
        tell_settled(transaction, charge, invoice, version, cause);
    }
}

/// Writes a payment that ended without money, and tells of it.
pub fn write_failure(
    transaction: &mut Transaction<'_>,
    payment: &Stored<Payment>,
    invoice: &Stored<Invoice>,
    cause: Cause<'_>,
) {
    transaction.update(payment);
    transaction.update(invoice);
    let event = PaymentFailed {
        payment: payment.value.id,
        invoice: payment.value.invoice,
        student: payment.value.student,
        reason: payment.value.failure_reason.clone().unwrap_or_default(),
    };
    transaction.event(event, payment.version + 1, cause.now, cause.correlation_id);
}

pub fn write_suspense(
    transaction: &mut Transaction<'_>,
    item: &SuspenseItem,
    entry: &JournalEntry,
) {
    transaction.create(item);
    write_entry(transaction, entry);
}

/// An entry is only ever created; one without lines, of a charge of nothing, is none.
fn write_entry(transaction: &mut Transaction<'_>, entry: &JournalEntry) {
    if !entry.lines().is_empty() {
        transaction.create(entry);
    }
}

fn tell_settled(
    transaction: &mut Transaction<'_>,
    charge: &Charge,
    invoice: &Invoice,
    version: u64,
    cause: Cause<'_>,
) {
    let event = ChargeSettled {
        charge: charge.id,
        bundle: charge.bundle,
        student: invoice.document().student,
        invoice: invoice.document().id,
    };
    transaction.event(event, version, cause.now, cause.correlation_id);
}

/// Whoever issues a document stands in line for its number: numbers without a gap cannot be given two at a time. So
/// `work` is run again from the top more often than other writes are, as long as the deadline allows.
pub async fn in_line_for_a_number<R>(
    work: impl AsyncFn() -> Result<R, Failure>,
) -> Result<R, Failure> {
    const RUNS_MAX: u32 = 40;
    let mut run = 1;
    loop {
        let result = work().await;
        let conflict = matches!(result, Err(Failure::Conflict { .. }));
        if !conflict || run == RUNS_MAX || deadline::back_off(run).await.is_none() {
            return result;
        }
        run += 1;
    }
}
