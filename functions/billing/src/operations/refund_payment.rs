//! Pays money back that came over the counter or to the bank and pays for nothing: wholly or in part, with a
//! reason. What pays for something is freed first, by a credit note or by applying the payment anew.

use kernel::{Money, PaymentId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::read_payment::Reply;
use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Channel, Refusal, begin_refund};
use crate::store::{self, Cause, Refund};

pub const ROUTE: Route = Route::act(
    "refund-payment",
    "/payments/{payment}/refunds",
    BURSAR,
    "Pay back what a counter payment does not pay for",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub payment: PaymentId,
    /// More than nothing, and no more than is unapplied of the payment.
    pub amount: Money,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { payment, amount, reason } = call.command.clone();
    let mut payment =
        ctx.table.get(&store::payment_key(payment)).await?.ok_or(Refusal::PaymentUnknown)?;
    if payment.value.channel == Channel::Card {
        return Err(Refusal::RefundAtProvider.into());
    }
    let refund = match &call.idempotency_key {
        Some(key) => format!("{}#{}", payment.value.id, key.scope),
        None => format!("{}#{}", payment.value.id, payment.version),
    };
    let wanted = Wanted { now: call.now, series: &[], invoices: &[] };
    let student = payment.value.student;
    let currency = payment.value.amount.currency;
    let mut books = Bookkeeping::open(ctx, student, currency, wanted).await?;
    let booking = books.booking_today(call.now);
    let account = &mut books.account.value;
    let turn = begin_refund(&mut payment.value, amount, &refund, account, booking)?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    books.write(&mut transaction, &[turn], cause);
    transaction.update(&payment);
    transaction.create(&Refund {
        id: refund,
        payment: payment.value.id,
        amount,
        reason,
        refunded_by: call.person(),
        refunded_at: call.now,
    });
    let reply = Reply::of(&payment.value);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, PaymentState};
    use crate::fixtures::{account, charge, check_ledger, code, ctx, francs, give, unapplied_cash};

    fn refund(payment: PaymentId, minor: i64) -> Call<Command> {
        testkit::call(Command { payment, amount: francs(minor), reason: "left".into() })
    }

    #[tokio::test]
    async fn unapplied_money_is_paid_back_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| refund(give(&ctx(table), "ada", 500).await.id, 200),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                assert_eq!(unapplied_cash(&ctx, "ada").await, 300);
                assert_eq!(account(&ctx, "ada").await.balance(Account::Cash), francs(300));
                assert_eq!(check_ledger(&ctx).await, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_pays_for_something_is_not_paid_back_and_the_rest_to_the_last_franc() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        let payment = give(&ctx, "ada", 150_300).await.id;
        assert_eq!(code(handle(&ctx, &refund(payment, 301)).await), "NOT_UNAPPLIED");
        for minor in [0, -1] {
            let result = handle(&ctx, &refund(payment, minor)).await;
            assert_eq!(code(result), "AMOUNT_NOT_POSITIVE");
        }
        let partial = handle(&ctx, &refund(payment, 100)).await.expect("a part");
        assert_eq!(partial.status, PaymentState::PartiallyRefunded);
        let second = handle(&ctx, &refund(payment, 200)).await.expect("the rest");
        assert_eq!(second.refunded, francs(300));
        let own = give(&ctx, "bob", 50).await.id;
        let whole = handle(&ctx, &refund(own, 50)).await.expect("all of it");
        assert_eq!(whole.status, PaymentState::Refunded);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn money_that_came_through_the_provider_and_money_that_never_came_stay() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &refund(nowhere, 1)).await), "PAYMENT_UNKNOWN");
        let due = charge(&ctx, "ada", "one").await;
        let card = crate::fixtures::pay(&ctx, &due, "pm_card_visa").await.id;
        assert_eq!(code(handle(&ctx, &refund(card, 1)).await), "REFUND_AT_PROVIDER");
    }
}
