//! How a payment ends: the provider's report brought home. The webhook, the schedule and the request itself
//! come here,
//! in any order and any number of times; the money is booked once.

use kernel::PaymentId;
use shell::Failure;
use table::{Stored, Transaction};

use crate::Ctx;
use crate::domain::{
    Invoice, Payment, PaymentState, Report, SuspenseItem, SuspenseReason, Word, receive,
};
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
        let (item, entry) = SuspenseItem::of(report, SuspenseReason::PaymentUnknown, cause.now)?;
        store::write_suspense(&mut transaction, &item, &entry);
        return Ok(transaction.commit().await?);
    };
    let learned = payment.value.provider_ref.is_none();
    payment.value.ask(Some(&report.provider_ref));
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
    let mut paying = store::paying(&ctx.table, &payment.value).await?;
    let receipt = receive(
        &mut payment.value,
        &mut paying.invoice.value,
        &mut paying.charge.value,
        &mut paying.account.value,
        cause.now,
    )?;
    if let Some(receipt) = &receipt {
        store::write_receipt(transaction, receipt, payment, &paying, cause);
    }
    Ok(receipt.is_some())
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
    let failed = payment.value.fail(&mut invoice.value, reason, cause.now);
    if failed {
        store::write_failure(transaction, payment, &invoice, cause);
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
    if payment.value.state == PaymentState::Succeeded {
        return Ok(false);
    }
    let (item, entry) = SuspenseItem::of(report, SuspenseReason::AmountDiffers, cause.now)?;
    store::write_suspense(transaction, &item, &entry);
    fail(ctx, transaction, payment, "amount_differs", cause).await
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

/// Gives up a payment of which nothing was heard in all its lifetime. One that has ended stays as it is.
pub async fn expire(ctx: &Ctx, id: PaymentId, cause: Cause<'_>) -> Result<(), Failure> {
    let mut payment = payment_of(ctx, id).await?;
    let mut invoice = invoice_of(ctx, &payment.value).await?;
    if payment.value.expire(&mut invoice.value, cause.now) {
        let mut transaction = ctx.table.transaction();
        store::write_failure(&mut transaction, &payment, &invoice, cause);
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

async fn invoice_of(ctx: &Ctx, payment: &Payment) -> Result<Stored<Invoice>, Failure> {
    let invoice = ctx.table.get(&store::invoice_key(payment.invoice)).await?;
    Ok(invoice.ok_or_else(|| store::missing("invoice", payment.invoice))?)
}
