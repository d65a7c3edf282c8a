//! Money that came without the provider: notes over the counter, or a bank transfer. A reference of one bank is taken
//! once, whether a cashier records it or a student hands it in.

use kernel::{Date, InvoiceId, Money, PaymentId, PersonId};
use shell::Failure;
use table::Transaction;

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::conclusion::claim_reference;
use crate::domain::{
    Booking, ChargeCode, CounterChannel, Payment, PaymentState, PostingPeriod, Refusal, receive,
};
use crate::store::{self, Cause, Opened};

/// What the cashier counted, or the bank's statement shows.
#[derive(Debug, Clone)]
pub struct Counted {
    pub id: PaymentId,
    pub student: PersonId,
    pub amount: Money,
    pub channel: CounterChannel,
    /// The bank, or the counter, that gave the reference.
    pub bank: String,
    pub reference: String,
    pub invoice: Option<InvoiceId>,
    pub received_on: Option<Date>,
    pub period: Option<PostingPeriod>,
    pub only: Vec<ChargeCode>,
}

/// Books it within the transaction, as a payment that was received.
pub async fn take(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    counted: Counted,
    cause: Cause<'_>,
) -> Result<Payment, Failure> {
    let Counted { id, student, amount, channel, only, .. } = counted.clone();
    if amount.minor <= 0 {
        return Err(Refusal::AmountNotPositive.into());
    }
    let reference = channel.reference(&counted.bank, &counted.reference);
    if let Some(taken) = ctx.table.get(&store::provider_reference_key(&reference)).await? {
        return Err(Refusal::ReferenceTaken { payment: taken.value.payment }.into());
    }
    let currency = amount.currency;
    let named = store::named_invoice(&ctx.table, counted.invoice, student, currency).await?;
    let mut payment = Payment {
        id,
        invoice: named,
        student,
        amount,
        channel: channel.into(),
        payment_method: channel.name().to_owned(),
        phone: None,
        only,
        state: PaymentState::Initiated,
        provider_ref: Some(reference.clone()),
        initiated_at: cause.now,
        concluded_at: None,
        failure_reason: None,
        refunded: Money::zero(currency),
        charged_back: 0,
    };
    let wanted = Wanted { now: cause.now, series: &[], invoices: named.as_slice() };
    let mut books = Bookkeeping::open(ctx, student, currency, wanted).await?;
    let booking = booking(ctx, &counted, &books, cause)?;
    let (account, mut invoices) = books.account_and_invoices();
    let turn = receive(&mut payment, invoices.pop(), account, booking)?;
    let turn = turn.expect("a new payment is received for the first time");
    books.take_over(&turn).await?;
    books.write(transaction, &[turn], cause);
    claim_reference(transaction, reference, id);
    let received = Opened { value: payment.clone(), read_version: None };
    store::write_receipt(transaction, &received, cause);
    Ok(payment)
}

/// By the day on which the money came, in the period that is named where one is.
fn booking(
    ctx: &Ctx,
    counted: &Counted,
    books: &Bookkeeping<'_>,
    cause: Cause<'_>,
) -> Result<Booking, Failure> {
    let today = ctx.institution().date(cause.now);
    let received_on = counted.received_on.unwrap_or(today);
    if received_on > today {
        return Err(Refusal::DateInFuture.into());
    }
    let booking = books.booking(cause.now, received_on);
    Ok(match counted.period {
        Some(period) => booking.in_period(period, ctx.institution(), books.books())?,
        None => booking,
    })
}
