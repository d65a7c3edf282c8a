//! Pays money back that pays for nothing: wholly or in part, with a reason. What pays for something is freed first, by
//! a credit note or by applying the payment anew. What came through the provider goes back through it: recorded first,
//! then asked for under the refund's own id; what comes of it the webhook tells.

use kernel::{Money, PaymentId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, RequestRefusal, Route};

use super::BURSAR;
use super::read_payment::Reply;
use crate::Ctx;
use crate::domain::Refusal;
use crate::refunding::{Order, send_back};
use crate::returning::Found;
use crate::store;

pub const ROUTE: Route = Route::act(
    "refund-payment",
    "/payments/{payment}/refunds",
    BURSAR,
    "Pay back what a payment does not pay for",
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
    let Command { payment, amount, reason } = &call.command;
    let payment = ctx.table.get(&store::payment_key(*payment)).await?;
    let found = Found::Payment(payment.ok_or(Refusal::PaymentUnknown)?);
    let order = Order::of(ctx, call, &found).await?;
    if order.begun.as_ref().is_some_and(|begun| begun.value.amount != *amount) {
        return Err(RequestRefusal::IdempotencyKeyReused.into());
    }
    send_back(ctx, call, (order, found), (*amount, reason), |found| match found {
        Found::Payment(payment) => Reply::of(&payment.value),
        Found::Suspense(_) => unreachable!("it is of a payment"),
    })
    .await
}

#[cfg(test)]
mod tests {
    use events::{Event, PaymentRefunded, RefundFailed};
    use serde_json::json;

    use super::super::{list_refunds, query_pending_refunds, receive_webhook};
    use super::*;
    use crate::domain::{Account, InvoiceState, PaymentState, RefundState};
    use crate::fixtures::{
        account, charge, check_ledger, code, count, ctx, ctx_with, francs, give, give_by_card,
        invoice, provider, refund_webhook, unapplied_cash,
    };

    fn refund(payment: PaymentId, minor: i64) -> Call<Command> {
        testkit::call(Command { payment, amount: francs(minor), reason: "left".into() })
    }

    async fn states(ctx: &Ctx, payment: PaymentId) -> Vec<RefundState> {
        let call = testkit::call(list_refunds::Command { payment });
        let listed = list_refunds::handle(ctx, &call).await.expect("lists");
        listed.items.into_iter().map(|refund| refund.status).collect()
    }

    #[tokio::test]
    async fn unapplied_money_is_paid_back_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault_anew(
            async |table| refund(give(&ctx(table), "ada", 500).await.id, 200),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                assert_eq!(unapplied_cash(&ctx, "ada").await, 300);
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
                assert_eq!(account(&ctx, "ada").await.balance(Account::Cash), francs(300));
                assert_eq!(check_ledger(&ctx).await, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn money_goes_back_through_the_provider_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        testkit::under_every_fault_anew(
            async |table| {
                let ctx = ctx_with(table, &provider);
                let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
                (refund(payment, 60_000), provider.refunds().len())
            },
            async |table, (call, _)| handle(&ctx_with(table, &provider), call).await.map(drop),
            async |table, (call, before)| {
                let ctx = ctx_with(table, &provider);
                assert_eq!(provider.refunds().len(), before + 1, "it is asked for once");
                let books = account(&ctx, "ada").await;
                assert_eq!(books.balance(Account::RefundsPayable), francs(-60_000));
                assert_eq!(books.unapplied_cash(), francs(90_000));
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
                assert_eq!(states(&ctx, call.command.payment).await, [RefundState::Pending]);
                assert_eq!(check_ledger(&ctx).await, 4);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_provider_s_word_is_booked_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        testkit::under_every_fault_anew(
            async |table| {
                let ctx = ctx_with(table, &provider);
                let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
                handle(&ctx, &refund(payment, 150_000)).await.expect("asked");
                let told = provider.refunds_of(payment).remove(0);
                (payment, refund_webhook("refund.updated", &told))
            },
            async |table, (_, told)| {
                receive_webhook::handle(&ctx_with(table, &provider), told).await.map(drop)
            },
            async |table, (payment, told)| {
                let ctx = ctx_with(table, &provider);
                receive_webhook::handle(&ctx, told).await.expect("told twice");
                let books = account(&ctx, "ada").await;
                assert_eq!(books.balance(Account::RefundsPayable), francs(0));
                assert_eq!(books.balance(Account::ProviderClearing), francs(0));
                assert_eq!(states(&ctx, *payment).await, [RefundState::Paid]);
                assert_eq!(count(&ctx, PaymentRefunded::NAME).await, 1);
                assert_eq!(check_ledger(&ctx).await, 5);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_refund_that_fails_or_bounces_is_the_student_s_money_again() {
        for method in ["pm_sim_refund_fails", "pm_sim_refund_bounces"] {
            let test = testkit::TestTable::new().await;
            let provider = provider().await;
            let ctx = ctx_with(&test.table, &provider);
            let payment = give_by_card(&ctx, &provider, method).await;
            handle(&ctx, &refund(payment, 50_000)).await.expect("asked");
            let told = provider.refunds_of(payment).remove(0);
            let mut failed = told.clone();
            failed["status"] = json!("failed");
            failed["failure_reason"] = json!("lost_or_stolen_card");
            for told in [&told, &failed, &told, &failed] {
                let told = refund_webhook("refund.failed", told);
                receive_webhook::handle(&ctx, &told).await.expect("taken");
            }
            assert_eq!(states(&ctx, payment).await, [RefundState::Failed], "{method}");
            assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000);
            assert_eq!(count(&ctx, RefundFailed::NAME).await, 1);
            let clearing = account(&ctx, "ada").await.balance(Account::ProviderClearing);
            assert_eq!(clearing, francs(150_000));
            check_ledger(&ctx).await;
        }
    }

    #[tokio::test]
    async fn a_refund_of_another_amount_is_booked_as_it_went_and_comes_back_where_it_fails() {
        for told_first in ["succeeded", "failed"] {
            let test = testkit::TestTable::new().await;
            let provider = provider().await;
            let ctx = ctx_with(&test.table, &provider);
            let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
            handle(&ctx, &refund(payment, 50_000)).await.expect("asked");
            let mut told = provider.refunds_of(payment).remove(0);
            told["amount"] = json!(30_000);
            told["status"] = json!(told_first);
            let first = refund_webhook("refund.updated", &told);
            receive_webhook::handle(&ctx, &first).await.expect("taken");
            let left = if told_first == "succeeded" { 120_000 } else { 150_000 };
            assert_eq!(unapplied_cash(&ctx, "ada").await, left, "{told_first}");
            told["status"] = json!("failed");
            let failed = refund_webhook("refund.failed", &told);
            for _ in 0..2 {
                receive_webhook::handle(&ctx, &failed).await.expect("taken");
            }
            assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000, "{told_first}");
            let books = account(&ctx, "ada").await;
            assert_eq!(books.balance(Account::RefundsPayable), francs(0));
            assert_eq!(books.balance(Account::ProviderClearing), francs(150_000));
            assert!(states(&ctx, payment).await.iter().all(|one| *one == RefundState::Failed));
            check_ledger(&ctx).await;
        }
    }

    #[tokio::test]
    async fn what_the_provider_refuses_is_not_on_its_way() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let payment = give_by_card(&ctx, &provider, "pm_sim_refund_refused").await;
        let reply = handle(&ctx, &refund(payment, 50_000)).await.expect("asked");
        assert_eq!((reply.status, reply.refunded), (PaymentState::Succeeded, francs(0)));
        assert_eq!(states(&ctx, payment).await, [RefundState::Failed]);
        assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn what_the_provider_did_not_answer_is_asked_and_not_assumed() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let payment = give_by_card(&ctx, &provider, "pm_sim_refund_timeout").await;
        handle(&ctx, &refund(payment, 50_000)).await.expect("begun");
        assert_eq!(states(&ctx, payment).await, [RefundState::Pending]);
        for (hours, state) in [(0, RefundState::Pending), (1, RefundState::Paid)] {
            let now = testkit::now() + jiff::SignedDuration::from_hours(hours);
            let tick = shell::Tick { now, correlation_id: "test".into() };
            query_pending_refunds::handle(&ctx, &tick).await.expect("asks");
            assert_eq!(states(&ctx, payment).await, [state], "after {hours} hours");
        }
        assert_eq!(provider.refunds_of(payment).len(), 1, "it was paid once");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn what_the_provider_pays_back_by_itself_opens_what_it_paid_for() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        crate::fixtures::pay(&ctx, &charge, "pm_card_visa").await;
        let intent = provider.intents().remove(0);
        let told = json!({
            "id": "re_desk", "status": "succeeded", "amount": 60_000, "currency": "xaf",
            "payment_intent": intent["id"],
        });
        let early = refund_webhook("refund.created", &told);
        receive_webhook::handle(&ctx, &early).await.expect("before the payment itself was told");
        receive_webhook::handle(&ctx, &early).await.expect("twice");
        let told = crate::fixtures::webhook(&intent);
        receive_webhook::handle(&ctx, &told).await.expect("late");
        let invoice = invoice(&ctx, &charge).await;
        assert_eq!(
            (invoice.open(), invoice.state()),
            (francs(60_000), InvoiceState::PartiallyPaid)
        );
        let books = account(&ctx, "ada").await;
        assert_eq!(books.balance(Account::ProviderClearing), francs(90_000));
        check_ledger(&ctx).await;
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
    async fn another_amount_than_was_asked_for_is_booked_as_it_went_and_nothing_else_with_it() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
        handle(&ctx, &refund(payment, 50_000)).await.expect("asked");
        let mut told = provider.refunds_of(payment).remove(0);
        told["amount"] = json!(70_000);
        let told = refund_webhook("refund.updated", &told);
        for _ in 0..2 {
            receive_webhook::handle(&ctx, &told).await.expect("taken");
        }
        assert_eq!(unapplied_cash(&ctx, "ada").await, 80_000, "what left is gone");
        let mut euros = provider.refunds_of(payment).remove(0);
        (euros["id"], euros["currency"]) = (json!("re_euros"), json!("eur"));
        euros["metadata"] = json!({});
        let told = refund_webhook("refund.updated", &euros);
        for _ in 0..2 {
            receive_webhook::handle(&ctx, &told).await.expect("taken");
        }
        assert_eq!(unapplied_cash(&ctx, "ada").await, 80_000);
        let nobody = json!({
            "id": "re_nobody", "status": "succeeded", "amount": 5, "currency": "xaf",
            "payment_intent": "pi_nobody",
        });
        let told = refund_webhook("refund.updated", &nobody);
        receive_webhook::handle(&ctx, &told).await.expect("left alone");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn money_that_never_came_is_not_paid_back() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &refund(nowhere, 1)).await), "PAYMENT_UNKNOWN");
        let due = charge(&ctx, "ada", "one").await;
        let card = crate::fixtures::pay(&ctx, &due, "pm_card_visa").await.id;
        assert_eq!(code(handle(&ctx, &refund(card, 1)).await), "PAYMENT_NOT_RECEIVED");
    }
}
