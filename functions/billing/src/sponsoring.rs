//! What becomes of a sponsor's money, and of what a sponsor does not pay.

use events::InvoiceDeferred;
use shell::Failure;
use table::{PageRequest, Transaction};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Decided, Deferral, SponsorContractCode, SponsoredInvoice};
use crate::store::{self, Cause, missing};

/// Invoices that are paid in one transaction.
const PAGE: u32 = 40;

/// Gives a sponsor's money to a page of invoices, what is due longest first. Answers whether any was given.
pub async fn pay_invoices(ctx: &Ctx, code: &SponsorContractCode) -> Result<bool, Failure> {
    let contract = ctx.table.get(&store::sponsor_contract_key(code)).await?;
    let mut contract = contract.ok_or_else(|| missing("sponsor's contract", &code.0))?;
    if contract.value.unallocated <= 0 {
        return Ok(false);
    }
    let page = PageRequest { after: None, limit: PAGE };
    let rows = ctx.table.query(&store::open_sponsored_invoices(code), &page).await?;
    if rows.records.is_empty() {
        return Ok(false);
    }
    let mut transaction = ctx.table.transaction();
    for mut row in rows.records {
        if contract.value.unallocated == 0 {
            break;
        }
        row.value.take(&mut contract.value);
        transaction.update(&row);
    }
    transaction.update(&contract);
    transaction.commit().await?;
    Ok(true)
}

/// Lets the student pay what the sponsor has not paid of an invoice, as late as a new invoice would be due.
pub async fn give_back(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    row: &SponsoredInvoice,
    decided: Decided,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let (student, invoice) = (row.student, row.invoice);
    let wanted = Wanted { now: cause.now, series: &[], invoices: &[invoice] };
    let mut books = Bookkeeping::open(ctx, student, row.amount.currency, wanted).await?;
    let due = books.invoice(invoice).document().due;
    let until = ctx.institution().due(cause.now).max(due);
    let booking = books.booking_today(cause.now);
    let turns = books.return_sponsored(row, Deferral { until, decided }, booking).await?;
    books.write(transaction, &turns, cause);
    let event = InvoiceDeferred { invoice, student, until };
    let version = books.account.next_version();
    transaction.event(event, version, cause.now, cause.correlation_id);
    Ok(())
}
