//! Applies a payment anew: all that it pays for is freed, and its money pays first for the invoice that is named. The
//! rows of before stay, each with its counterpart.

use kernel::{InvoiceId, PaymentId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::read_invoice::Reply;
use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{REALLOCATED_MAX, Refusal, reallocate};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "reallocate-payment",
    "/payments/{payment}/reallocation",
    BURSAR,
    "Apply a payment anew, first to this invoice",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub payment: PaymentId,
    /// What it is to pay first: an invoice of the same student.
    pub invoice: InvoiceId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { payment, invoice } = call.command;
    let payment =
        ctx.table.get(&store::payment_key(payment)).await?.ok_or(Refusal::PaymentUnknown)?.value;
    let named = ctx
        .table
        .get(&store::invoice_key(invoice))
        .await?
        .filter(|named| named.value.document().student == payment.student)
        .ok_or(Refusal::InvoiceUnknown)?;
    let most = REALLOCATED_MAX + 1;
    let mut invoices = store::invoices_paid_by(&ctx.table, payment.id, most).await?;
    if invoices.len() == most {
        return Err(Refusal::PaymentTooSpread.into());
    }
    if !invoices.contains(&invoice) {
        invoices.push(invoice);
    }
    let wanted = Wanted { now: call.now, series: &[], invoices: &invoices };
    let currency = payment.amount.currency;
    let mut books = Bookkeeping::open(ctx, payment.student, currency, wanted).await?;
    let booking = books.booking_today(call.now);
    let (account, mut paid) = books.account_and_invoices();
    let turn = reallocate(&payment, &mut paid, &named.value, account, booking)?;
    books.take_over(&turn).await?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    books.write(&mut transaction, &[turn], cause);
    let reply = Reply::of(books.invoice(invoice), named.version + 1);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::*;
    use crate::domain::InvoiceState;
    use crate::fixtures::{charge, check_ledger, code, ctx, francs, give, invoice};

    #[tokio::test]
    async fn money_moves_from_one_invoice_to_another_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let first = charge(&ctx, "ada", "one").await;
                let second = charge(&ctx, "ada", "two").await;
                let payment = give(&ctx, "ada", 150_000).await.id;
                (testkit::call(Command { payment, invoice: second.invoice }), first, second)
            },
            async |table, (call, ..)| handle(&ctx(table), call).await.map(drop),
            async |table, (call, first, second)| {
                let ctx = ctx(table);
                assert_eq!(invoice(&ctx, first).await.open(), francs(150_000));
                assert_eq!(invoice(&ctx, second).await.state(), InvoiceState::Paid);
                let rows = store::allocations_of(call.command.payment);
                let rows = ctx.table.query(&rows, &PageRequest::default()).await.expect("reads");
                assert_eq!(rows.records.len(), 6, "two lines: paid, freed, and paid elsewhere");
                assert_eq!(check_ledger(&ctx).await, 3, "nothing moved between ledger accounts");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn another_student_s_invoice_and_money_that_never_came_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let own = charge(&ctx, "ada", "one").await;
        let others = charge(&ctx, "bob", "two").await;
        let payment = give(&ctx, "ada", 10).await.id;
        let call = |payment, invoice| testkit::call(Command { payment, invoice });
        let result = handle(&ctx, &call(payment, others.invoice)).await;
        assert_eq!(code(result), "INVOICE_UNKNOWN");
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &call(nowhere, own.invoice)).await), "PAYMENT_UNKNOWN");
        let pending = crate::fixtures::pay(&ctx, &own, "pm_card_visa").await.id;
        assert_eq!(code(handle(&ctx, &call(pending, own.invoice)).await), "PAYMENT_NOT_RECEIVED");
    }
}
