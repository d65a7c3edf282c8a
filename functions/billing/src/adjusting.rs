//! An adjustment by the bursar's office is booked: at once, or when a second person has approved it.

use kernel::{Id, InvoiceId};
use shell::Failure;
use table::Transaction;

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{
    AccountAdjustment, AdjustmentKind, InvoiceDocument, Series, Source, SourceKind, give_credit,
    post, write_off,
};
use crate::store::{self, Cause};

pub async fn book(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    adjustment: &AccountAdjustment,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let (student, amount) = (adjustment.student, adjustment.amount);
    let invoice = adjustment.invoice();
    let named = store::named_invoice(&ctx.table, invoice, student, amount.currency).await?;
    let series: &[Series] = match adjustment.what {
        AdjustmentKind::Charge { .. } => &[Series::Invoices],
        AdjustmentKind::Credit { .. } | AdjustmentKind::WriteOff { .. } => &[],
    };
    let wanted = Wanted { now: cause.now, series, invoices: named.as_slice() };
    let mut books = Bookkeeping::open(ctx, student, amount.currency, wanted).await?;
    let booking = books.booking_today(cause.now);
    let turn = if let Some(line) = adjustment.line() {
        let id = InvoiceId::derived_from(&adjustment.id.to_string());
        let number = books.take_number(Series::Invoices);
        let dates = (cause.now, ctx.institution().due(cause.now));
        let document = InvoiceDocument::of_line((id, number), student, line, dates);
        let source = Source { kind: SourceKind::Adjustment, id: adjustment.id.to_string() };
        let (invoice, turn) = post(document, source, &mut books.account.value, booking)?;
        books.add_invoice(invoice);
        turn
    } else {
        let (account, invoices) = books.account_and_invoices();
        let named = invoices.into_iter().next().map(|invoice| &*invoice);
        match (&adjustment.what, named) {
            (AdjustmentKind::Credit { code, term_code, .. }, named) => {
                give_credit(adjustment, (code, term_code.as_str()), named, account, booking)?
            }
            (_, Some(named)) => write_off(adjustment, named, account, booking)?,
            (_, None) => return Err(crate::domain::Refusal::InvoiceUnknown.into()),
        }
    };
    books.take_over(&turn).await?;
    let mut turns = vec![turn];
    if !series.is_empty() {
        turns.extend(books.sponsor(booking).await?);
    }
    books.write(transaction, &turns, cause);
    Ok(())
}
