//! All that decides what a student pays for a term, read in one call; and the documents that bring a bill to
//! what is due.

use std::collections::{BTreeMap, BTreeSet};

use events::ChargeableRegistration;
use kernel::{ChargeId, Currency, Date, Id, InvoiceId, Money, PersonId, TermId};
use shell::Failure;
use table::{Stored, Transaction};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{
    Adjustment, Booking, Charge, CreditNote, InvoiceDocument, InvoiceLine, Population, PriceGroup,
    Refusal, Series, Source, SourceKind, TermBill, TuitionRules, Turn, post, take_back, total_of,
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
    bill: Opened<TermBill>,
    adjustment: Adjustment,
    (effective_date, cause): (Date, Cause<'_>),
) -> Result<Adjusted, Failure> {
    if adjustment.is_empty() {
        bill.write(transaction);
        let nothing = Money::zero(bill.value.currency);
        return Ok(Adjusted { billed: nothing, credited: nothing });
    }
    let books = open_books(ctx, &bill.value, &adjustment, cause).await?;
    let mut desk = IssuingDesk { ctx, books, bill, cause, turns: Vec::new() };
    let booking = desk.books.booking(cause.now, effective_date);
    let adjusted = desk.issue(transaction, adjustment, booking, None).await?;
    Ok(adjusted)
}

/// Issues what is left to do for a bundle that never came to be, and reverses its charge.
pub async fn issue_undo(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    bill: Opened<TermBill>,
    adjustment: Adjustment,
    (charge, cause): (Stored<Charge>, Cause<'_>),
) -> Result<(), Failure> {
    let mut books = open_books(ctx, &bill.value, &adjustment, cause).await?;
    let id = charge.value.id;
    books.add_charge(charge.into());
    books.charges_mut().for_each(Charge::reverse);
    let booking = books.booking_today(cause.now);
    let mut desk = IssuingDesk { ctx, books, bill, cause, turns: Vec::new() };
    desk.issue(transaction, adjustment, booking, Some(id)).await?;
    Ok(())
}

async fn open_books<'c>(
    ctx: &'c Ctx,
    bill: &TermBill,
    adjustment: &Adjustment,
    cause: Cause<'_>,
) -> Result<Bookkeeping<'c>, Failure> {
    let credited: BTreeSet<InvoiceId> = adjustment.credits.iter().map(|one| one.0).collect();
    let credited: Vec<InvoiceId> = credited.into_iter().collect();
    let series = &[Series::Invoices, Series::CreditNotes];
    let wanted = Wanted { now: cause.now, series, invoices: &credited };
    Bookkeeping::open(ctx, bill.student, bill.currency, wanted).await
}

/// Where the documents of one bill are issued together.
struct IssuingDesk<'c> {
    ctx: &'c Ctx,
    books: Bookkeeping<'c>,
    bill: Opened<TermBill>,
    cause: Cause<'c>,
    turns: Vec<Turn>,
}

impl IssuingDesk<'_> {
    async fn issue(
        &mut self,
        transaction: &mut Transaction<'_>,
        adjustment: Adjustment,
        booking: Booking,
        undone: Option<ChargeId>,
    ) -> Result<Adjusted, Failure> {
        let adjusted = sums_of(&adjustment, self.bill.value.currency)?;
        let notes = self.credit(&adjustment, booking).await?;
        if !adjustment.lines.is_empty() {
            self.bill(adjustment.lines, booking).await?;
        }
        self.turns.extend(self.books.sponsor(booking).await?);
        let bill = &self.bill.value;
        for charge in self.books.charges_mut() {
            // Freed money may have brought charges of other terms here: they are not this bill's business.
            let of_term = charge.posted.filter(|posted| posted.term == bill.term);
            let invoice = of_term.map(|posted| posted.invoice);
            if invoice.is_some_and(|invoice| !bill.has(charge.bundle, invoice)) {
                charge.reverse();
            }
        }
        self.bill.write(transaction);
        self.books.write(transaction, &self.turns, self.cause);
        self.books.write_notes(transaction, &notes, undone, self.cause)?;
        Ok(adjusted)
    }

    async fn credit(
        &mut self,
        adjustment: &Adjustment,
        booking: Booking,
    ) -> Result<Vec<CreditNote>, Failure> {
        let credited: BTreeSet<InvoiceId> = adjustment.credits.iter().map(|one| one.0).collect();
        let mut notes = Vec::new();
        for id in credited {
            let of_invoice = adjustment.credits.iter().filter(|credit| credit.0 == id);
            let lines: Vec<(u32, Money)> = of_invoice.map(|credit| (credit.1, credit.2)).collect();
            let number = self.books.take_number(Series::CreditNotes);
            let (account, invoice) = self.books.account_and_invoice(id);
            let (note, turn) = take_back(invoice, account, &lines, &number, booking)?;
            self.books.take_over(&turn).await?;
            self.turns.push(turn);
            notes.push(note);
            self.bill.value.follow(self.books.invoice(id));
        }
        Ok(notes)
    }

    async fn bill(&mut self, lines: Vec<InvoiceLine>, booking: Booking) -> Result<(), Failure> {
        let bill = &self.bill.value;
        let bundles = lines.iter().flat_map(|line| bill.bundles_of(line.registration));
        let charges: BTreeSet<ChargeId> = bundles.map(Charge::id_of).collect();
        let charges: Vec<ChargeId> = charges.into_iter().collect();
        // Who waits for what was posted waits for its price of now.
        let repriced = self.books.unsettled_of(&charges).await?;
        let bill = &self.bill.value;
        let origin = format!("{}#{}#{}", bill.student, bill.term, self.bill.next_version());
        let document = InvoiceDocument {
            id: InvoiceId::derived_from(&origin),
            number: self.books.take_number(Series::Invoices),
            student: bill.student,
            charge: None,
            bundle: None,
            repriced: repriced.clone(),
            term_code: bill.term_code.clone(),
            issued_at: self.cause.now,
            due: self.ctx.institution().due(self.cause.now),
            total: total_of(&lines, bill.currency)?,
            lines,
        };
        let source = Source { kind: SourceKind::Charge, id: document.id.to_string() };
        let (invoice, turn) = post(document, source, &mut self.books.account.value, booking)?;
        let id = invoice.document().id;
        for charge in self.books.charges_mut().filter(|charge| repriced.contains(&charge.id)) {
            charge.repriced.push(id);
        }
        self.books.add_invoice(invoice);
        self.books.take_over(&turn).await?;
        self.turns.push(turn);
        self.bill.value.follow(self.books.invoice(id));
        Ok(())
    }
}
