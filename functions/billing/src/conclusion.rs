//! How a payment ends: the provider's report brought home. The webhook, the schedule and the request itself
//! come here,
//! in any order and any number of times; the money is booked once.

use kernel::{Money, PaymentId};
use shell::Failure;
use table::{Stored, Transaction};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Booking, Books, Invoice, Payment, Report, SuspenseItem, Word, receive};
use crate::store::{self, Cause, ProviderReference};

/// What we know of the thing that the provider reports on.
struct Known {
    payment: Option<Stored<Payment>>,
    reference_is_claimed: bool,
    /// The money lies in suspense already: whatever else comes, it is not booked again.
    in_suspense: bool,
}

pub async fn conclude(ctx: &Ctx, report: &Report, cause: Cause<'_>) -> Result<(), Failure> {
    let Known { payment, reference_is_claimed, in_suspense } = known(ctx, report).await?;
    if in_suspense {
        return Ok(());
    }
    let mut transaction = ctx.table.transaction();
    let Some(mut payment) = payment else {
        if report.word != Word::Succeeded {
            return Ok(());
        }
        write_suspense(ctx, &mut transaction, report, None, cause).await?;
        return Ok(transaction.commit().await?);
    };
    let learned = payment.value.provider_ref.is_none();
    payment.value.note_asked(Some(&report.provider_ref));
    let changed = match &report.word {
        Word::Succeeded if report.amount != payment.value.amount => {
            wrong_amount(ctx, &mut transaction, &mut payment, report, cause).await?
        }
        Word::Succeeded => succeed(ctx, &mut transaction, &mut payment, cause).await?,
        Word::Failed { reason } => fail(ctx, &mut transaction, &mut payment, reason, cause).await?,
        Word::Undecided => {
            if learned {
                transaction.update(&payment);
            }
            learned
        }
    };
    if changed && !reference_is_claimed {
        claim_reference(&mut transaction, report.provider_ref.clone(), payment.value.id);
    }
    if transaction.is_empty() { Ok(()) } else { Ok(transaction.commit().await?) }
}

async fn known(ctx: &Ctx, report: &Report) -> Result<Known, Failure> {
    let reference_key = store::provider_reference_key(&report.provider_ref);
    let suspense_key = store::suspense_key(SuspenseItem::id_of(&report.provider_ref));
    let named = report.payment.map(store::payment_key);
    let mut keys = vec![(&reference_key).into(), (&suspense_key).into()];
    keys.extend(named.as_ref().map(Into::into));
    let mut batch = ctx.table.get_batch(keys).await?;
    let reference = batch.take(&reference_key)?.map(|stored| stored.value.payment);
    let in_suspense = batch.take(&suspense_key)?.is_some();
    let payment = match (&named, reference) {
        (Some(named), _) => batch.take(named)?,
        // A report that names no payment of ours is known by the provider's reference alone.
        (None, Some(payment)) => ctx.table.get(&store::payment_key(payment)).await?,
        (None, None) => None,
    };
    let is_meant = |payment: &Stored<Payment>| {
        let claimed_by_another = reference.is_some_and(|claimed| claimed != payment.value.id);
        payment.value.is_meant_by(report) && !claimed_by_another
    };
    Ok(Known {
        payment: payment.filter(is_meant),
        reference_is_claimed: reference.is_some(),
        in_suspense,
    })
}

async fn succeed(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    payment: &mut Stored<Payment>,
    cause: Cause<'_>,
) -> Result<bool, Failure> {
    let Payment { student, amount, invoice, .. } = payment.value;
    let wanted = Wanted { now: cause.now, series: &[], invoices: invoice.as_slice() };
    let mut books = Bookkeeping::open(ctx, student, amount.currency, wanted).await?;
    let booking = books.booking_today(cause.now);
    let (account, mut invoices) = books.account_and_invoices();
    let named = invoices.pop();
    let Some(turn) = receive(&mut payment.value, named, account, booking)? else {
        return Ok(false);
    };
    books.take_over(&turn).await?;
    books.write(transaction, &[turn], cause);
    store::write_receipt(transaction, &payment.clone().into(), cause);
    Ok(true)
}

/// Ends a payment that brought no money; answers whether it had not ended before.
pub async fn fail(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    payment: &mut Stored<Payment>,
    reason: &str,
    cause: Cause<'_>,
) -> Result<bool, Failure> {
    let mut invoice = invoice_of(ctx, &payment.value).await?;
    let of_invoice = invoice.as_mut().map(|invoice| &mut invoice.value);
    let failed = payment.value.fail(of_invoice, reason, cause.now);
    if failed {
        store::write_failure(transaction, payment, invoice.as_ref(), cause);
    }
    Ok(failed)
}

/// Another amount came in than was asked for: that money waits for the bursar, and the payment as it was
/// asked for did
/// not take place.
async fn wrong_amount(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    payment: &mut Stored<Payment>,
    report: &Report,
    cause: Cause<'_>,
) -> Result<bool, Failure> {
    if payment.value.is_received() {
        return Ok(false);
    }
    let expected = Some(payment.value.amount);
    write_suspense(ctx, transaction, report, expected, cause).await?;
    fail(ctx, transaction, payment, "amount_differs", cause).await
}

async fn write_suspense(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    report: &Report,
    expected: Option<Money>,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let booking = book_for_nobody(ctx, transaction, cause).await?;
    let (item, entry) = SuspenseItem::of(report, expected, booking)?;
    transaction.create(&item);
    store::write_entry(transaction, &entry);
    Ok(())
}

/// How something is booked today of which nobody knows whose it is.
pub async fn book_for_nobody(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    cause: Cause<'_>,
) -> Result<Booking, Failure> {
    let key = store::books_key(Books::copy_of(None));
    let books = ctx.table.get(&key).await?;
    let institution = ctx.institution();
    let booking = Booking::at(
        cause.now,
        institution.date(cause.now),
        institution,
        books.as_ref().map(|books| &books.value),
    );
    transaction.check(&key, books.map(|books| books.version));
    Ok(booking)
}

/// Ends a payment that the provider will not carry out.
pub async fn refuse(
    ctx: &Ctx,
    id: PaymentId,
    reason: &str,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let mut payment = payment_of(ctx, id).await?;
    let mut transaction = ctx.table.transaction();
    if fail(ctx, &mut transaction, &mut payment, reason, cause).await? {
        transaction.commit().await?;
    }
    Ok(())
}

/// Gives up a payment that brought no money in all its lifetime. One that has ended stays as it is.
pub async fn expire(ctx: &Ctx, id: PaymentId, cause: Cause<'_>) -> Result<(), Failure> {
    let mut payment = payment_of(ctx, id).await?;
    let mut invoice = invoice_of(ctx, &payment.value).await?;
    let of_invoice = invoice.as_mut().map(|invoice| &mut invoice.value);
    if payment.value.expire(of_invoice, cause.now) {
        let mut transaction = ctx.table.transaction();
        store::write_failure(&mut transaction, &payment, invoice.as_ref(), cause);
        transaction.commit().await?;
    }
    Ok(())
}

async fn payment_of(ctx: &Ctx, id: PaymentId) -> Result<Stored<Payment>, Failure> {
    let payment = ctx.table.get(&store::payment_key(id)).await?;
    Ok(payment.ok_or_else(|| store::missing("payment", id))?)
}

/// Keeps the provider's reference for this payment alone.
pub fn claim_reference(
    transaction: &mut Transaction<'_>,
    provider_ref: String,
    payment: PaymentId,
) {
    transaction.create(&ProviderReference { provider_ref, payment });
}

async fn invoice_of(ctx: &Ctx, payment: &Payment) -> Result<Option<Stored<Invoice>>, Failure> {
    let Some(id) = payment.invoice else { return Ok(None) };
    let invoice = ctx.table.get(&store::invoice_key(id)).await?;
    Ok(Some(invoice.ok_or_else(|| store::missing("invoice", id))?))
}
