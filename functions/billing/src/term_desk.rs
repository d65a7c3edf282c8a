//! All that decides what a student pays for a term, read in one call; and the documents that bring a bill to
//! what is due.

use std::collections::{BTreeMap, BTreeSet};

use events::ChargeableRegistration;
use kernel::{ChargeId, Currency, Id, InvoiceId, Money, PersonId, TermId};
use shell::Failure;
use table::{Stored, Transaction};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{
    Adjustment, Charge, InvoiceDocument, Population, PriceGroup, Refusal, Series, Source,
    SourceKind, TermBill, TuitionRules, post, take_back, total_of,
};
use crate::store::{self, Cause, Opened};

/// What is read of a term before anything is decided.
#[derive(Debug)]
pub struct TermDesk {
    pub charge: Option<Stored<Charge>>,
    pub prices: BTreeMap<String, PriceGroup>,
    pub rules: TuitionRules,
    pub population: Population,
    bill: Option<Stored<TermBill>>,
}

impl TermDesk {
    pub async fn read(
        ctx: &Ctx,
        student: PersonId,
        term: TermId,
        charge: Option<ChargeId>,
        registrations: &[ChargeableRegistration],
    ) -> Result<Self, Failure> {
        let charge_key = charge.map(store::charge_key);
        let bill_key = store::term_bill_key(student, term);
        let (tuition_key, population_key) =
            (store::tuition_key(term), store::population_key(student));
        let codes: BTreeSet<&String> = registrations.iter().map(|one| &one.price_group).collect();
        let mut keys = vec![(&bill_key).into(), (&tuition_key).into(), (&population_key).into()];
        keys.extend(charge_key.as_ref().map(Into::into));
        keys.extend(codes.iter().map(|code| (&store::price_group_key(code)).into()));
        let mut batch = ctx.table.get_batch(keys).await?;
        let mut prices = BTreeMap::new();
        for code in codes {
            if let Some(group) = batch.take(&store::price_group_key(code))? {
                prices.insert(code.clone(), group.value);
            }
        }
        let charge = match &charge_key {
            Some(key) => batch.take(key)?,
            None => None,
        };
        let rules = batch.take(&tuition_key)?.map(|stored| stored.value.rules);
        let population = batch.take(&population_key)?.map(|stored| stored.value.population);
        Ok(Self {
            charge,
            prices,
            rules: rules.unwrap_or_default(),
            population: population.unwrap_or_default(),
            bill: batch.take(&bill_key)?,
        })
    }

    /// The student's bill of the term, a new one where there is none. A term is billed in one currency.
    pub fn bill(
        &mut self,
        student: PersonId,
        term: TermId,
        term_code: &str,
        currency: Currency,
    ) -> Result<Opened<TermBill>, Refusal> {
        let bill =
            Opened::of(self.bill.take(), || TermBill::new(student, term, term_code, currency));
        if bill.value.currency == currency { Ok(bill) } else { Err(Refusal::CurrenciesDiffer) }
    }

    pub fn standing_bill(&mut self) -> Option<Stored<TermBill>> {
        self.bill.take()
    }
}

/// What an adjustment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjusted {
    pub billed: Money,
    pub credited: Money,
}

/// What an adjustment would come to.
pub fn sums_of(adjustment: &Adjustment, currency: Currency) -> Result<Adjusted, Refusal> {
    let mut credited = Money::zero(currency);
    for (_, _, amount) in &adjustment.credits {
        credited = credited.checked_add(*amount)?;
    }
    Ok(Adjusted { billed: total_of(&adjustment.lines, currency)?, credited })
}

/// Issues what an adjustment asks for: one invoice for all that is to be billed, and a credit note for each
/// invoice of which something is to be taken back. Documents and bill are written with the transaction.
pub async fn issue_adjustment(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    mut bill: Opened<TermBill>,
    adjustment: Adjustment,
    cause: Cause<'_>,
) -> Result<Adjusted, Failure> {
    let TermBill { student, currency, .. } = bill.value;
    let mut adjusted = Adjusted { billed: Money::zero(currency), credited: Money::zero(currency) };
    if adjustment.is_empty() {
        bill.write(transaction);
        return Ok(adjusted);
    }
    let credited: BTreeSet<InvoiceId> = adjustment.credits.iter().map(|one| one.0).collect();
    let credited: Vec<InvoiceId> = credited.into_iter().collect();
    let series = &[Series::Invoices, Series::CreditNotes];
    let wanted = Wanted { now: cause.now, series, invoices: &credited };
    let mut books = Bookkeeping::open(ctx, student, currency, wanted).await?;
    let booking = books.booking_today(cause.now);
    let (mut turns, mut notes) = (Vec::new(), Vec::new());
    for id in credited {
        let of_invoice = adjustment.credits.iter().filter(|credit| credit.0 == id);
        let lines: Vec<(u32, Money)> = of_invoice.map(|credit| (credit.1, credit.2)).collect();
        let number = books.take_number(Series::CreditNotes);
        let (account, invoice) = books.account_and_invoice(id);
        let (note, turn) = take_back(invoice, account, &lines, &number, booking)?;
        books.take_over(&turn).await?;
        adjusted.credited = adjusted.credited.checked_add(note.total).map_err(Refusal::from)?;
        turns.push(turn);
        notes.push(note);
        bill.value.follow(books.invoice(id));
    }
    if !adjustment.lines.is_empty() {
        let origin = format!("{student}#{}#{}", bill.value.term, bill.next_version());
        let document = InvoiceDocument {
            id: InvoiceId::derived_from(&origin),
            number: books.take_number(Series::Invoices),
            student,
            charge: None,
            bundle: None,
            term_code: bill.value.term_code.clone(),
            issued_at: cause.now,
            due: ctx.institution().due(cause.now),
            total: total_of(&adjustment.lines, currency)?,
            lines: adjustment.lines,
        };
        let source = Source { kind: SourceKind::Charge, id: document.id.to_string() };
        let (invoice, turn) = post(document, source, &mut books.account.value, booking)?;
        let id = invoice.document().id;
        adjusted.billed = invoice.document().total;
        books.add_invoice(invoice);
        books.take_over(&turn).await?;
        turns.push(turn);
        bill.value.follow(books.invoice(id));
    }
    bill.write(transaction);
    books.write(transaction, &turns, cause);
    for note in &notes {
        books.write_note(transaction, note, cause);
    }
    Ok(adjusted)
}
