//! What the provider tells of a payment, a refund or a dispute. Only its signature opens this door; told twice, late or
//! in any order, it is booked once. Money that cannot be placed goes into suspense, and the provider hears that all is
//! well.

use schemars::JsonSchema;
use serde::Serialize;
use shell::{Access, Call, Failure, Raw, Route};

use crate::Ctx;
use crate::conclusion;
use crate::domain::Refusal;
use crate::provider::{self, Answer, Notice};
use crate::returning;
use crate::signature;
use crate::store::Cause;

pub const ROUTE: Route = Route::call(
    "receive-webhook",
    "/webhooks/payments",
    Access::Public,
    "Hear from the payment provider what became of a payment, a refund or a dispute",
);

/// The body; the header `Stripe-Signature` covers every byte of it.
pub type Command = provider::WebhookEvent;

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub received: bool,
}

pub async fn handle(ctx: &Ctx, call: &Call<Raw>) -> Result<Reply, Failure> {
    let Raw { headers, body } = &call.command;
    let header = headers.get("stripe-signature").map_or("", String::as_str);
    let secret = ctx.webhook_secret.read().await?;
    signature::check(header, body, &secret, call.now)?;
    let notice = provider::read_webhook(body).map_err(|_| Refusal::WebhookMalformed)?;
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    match notice {
        Some(Notice::Payment(report)) => conclusion::conclude(ctx, &report, cause).await?,
        Some(Notice::Refund(report)) => returning::conclude_refund(ctx, &report, cause).await?,
        Some(Notice::Refunded { payment_ref }) => {
            let answer = ctx.provider.refunds_of(&payment_ref).await?;
            let Answer::Report(reports) = answer else { return Ok(Reply { received: true }) };
            for report in &reports {
                returning::conclude_refund(ctx, report, cause).await?;
            }
        }
        Some(Notice::Dispute(report)) => returning::conclude_dispute(ctx, &report, cause).await?,
        None => {}
    }
    Ok(Reply { received: true })
}

#[cfg(test)]
mod tests {
    use events::{
        ChargeSettled, ChargebackBooked, Event, PaymentFailed, PaymentRefunded, PaymentSucceeded,
    };
    use kernel::{Id, PaymentId};
    use serde_json::{Value, json};
    use table::PageRequest;
    use testkit::{PaymentProvider, PaymentProviderSettings};

    use super::super::{
        list_disputes, list_suspense_items, query_pending_payments, refund_payment, reverse_charge,
    };
    use super::*;
    use crate::domain::{Account, ChargeState, InvoiceState, PaymentState, SuspenseReason};
    use crate::fixtures::{
        WEBHOOK_SECRET, account, bundle, charge, check_ledger, code, count, ctx, ctx_with, francs,
        give_by_card, invoice, mailbox, pay, provider, unapplied_cash, webhook, webhook_of,
    };
    use crate::operations::read_payment;

    async fn suspense(ctx: &Ctx) -> Vec<list_suspense_items::Item> {
        let call = testkit::call(list_suspense_items::Command {});
        list_suspense_items::handle(ctx, &call).await.expect("lists").items
    }

    async fn status(ctx: &Ctx, payment: &read_payment::Reply) -> PaymentState {
        let call = testkit::call(read_payment::Command { payment: payment.id });
        read_payment::handle(ctx, &call).await.expect("reads").status
    }

    /// The provider's intent of a payment, told as something else.
    fn told_as(intent: &Value, member: &str, value: Value) -> Call<Raw> {
        let mut intent = intent.clone();
        intent[member] = value;
        webhook(&intent)
    }

    #[tokio::test]
    async fn a_payment_is_booked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let provider = provider().await;
                let ctx = ctx_with(table, &provider);
                let charge = charge(&ctx, "ada", "one").await;
                pay(&ctx, &charge, "pm_card_visa").await;
                (webhook(&provider.intents()[0]), charge)
            },
            async |table, (told, _)| handle(&ctx(table), told).await.map(drop),
            async |table, (told, charge)| {
                let ctx = ctx(table);
                handle(&ctx, told).await.expect("a duplicate is taken");
                let invoice = invoice(&ctx, charge).await;
                assert_eq!(invoice.state(), InvoiceState::Paid);
                assert_eq!(invoice.payment_under_way(), None);
                assert_eq!(check_ledger(&ctx).await, 2);
                assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
                assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn success_and_failure_may_come_in_any_order() {
        for success_first in [true, false] {
            let test = testkit::TestTable::new().await;
            let provider = provider().await;
            let ctx = ctx_with(&test.table, &provider);
            let charge = charge(&ctx, "ada", "one").await;
            let payment = pay(&ctx, &charge, "pm_card_visa").await;
            let intent = provider.intents().remove(0);
            let failed = told_as(&intent, "status", json!("requires_payment_method"));
            let mut order = vec![failed, webhook(&intent)];
            if success_first {
                order.reverse();
            }
            for told in &order {
                handle(&ctx, told).await.expect("taken");
            }
            assert_eq!(status(&ctx, &payment).await, PaymentState::Succeeded);
            assert_eq!(invoice(&ctx, &charge).await.paid(), francs(150_000));
            let failures = count(&ctx, PaymentFailed::NAME).await;
            assert_eq!(failures, usize::from(!success_first));
            check_ledger(&ctx).await;
        }
    }

    #[tokio::test]
    async fn the_webhook_may_overtake_the_reply() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let payment = pay(&ctx, &charge, "pm_sim_timeout").await;
        handle(&ctx, &webhook(&provider.intents()[0])).await.expect("booked");
        assert_eq!(status(&ctx, &payment).await, PaymentState::Succeeded);
    }

    #[tokio::test]
    async fn another_amount_or_currency_goes_into_suspense_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let provider = provider().await;
                let ctx = ctx_with(table, &provider);
                let charge = charge(&ctx, "ada", "one").await;
                let payment = pay(&ctx, &charge, "pm_sim_wrong_amount").await;
                (provider.intents().remove(0), charge, payment)
            },
            async |table, (intent, ..)| handle(&ctx(table), &webhook(intent)).await.map(drop),
            async |table, (intent, charge, payment)| {
                let ctx = ctx(table);
                let right = told_as(intent, "amount_received", json!(150_000));
                handle(&ctx, &right).await.expect("the money of one intent is booked once");
                let items = suspense(&ctx).await;
                assert_eq!(items.len(), 1);
                assert_eq!(items[0].amount, francs(150_001));
                assert_eq!(items[0].reason, SuspenseReason::AmountDiffers);
                assert_eq!(status(&ctx, payment).await, PaymentState::Failed);
                assert_eq!(invoice(&ctx, charge).await.open(), francs(150_000));
                assert_eq!(check_ledger(&ctx).await, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn money_in_another_currency_goes_into_suspense() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_visa").await;
        let euros = told_as(&provider.intents()[0], "currency", json!("eur"));
        handle(&ctx, &euros).await.expect("taken");
        assert_eq!(suspense(&ctx).await[0].reason, SuspenseReason::AmountDiffers);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn money_that_nobody_asked_for_goes_into_suspense_page_by_page() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_visa").await;
        let intent = provider.intents().remove(0);
        let stranger = told_as(&intent, "id", json!("pi_stranger"));
        let nobody =
            |id: &str| json!({ "id": id, "status": "succeeded", "amount": 5, "currency": "xaf" });
        let unknown = PaymentId::derived_from("nowhere").to_string();
        let mut named = nobody("pi_named");
        named["metadata"] = json!({ "payment": unknown });
        for told in [stranger, webhook(&nobody("pi_nobody")), webhook(&named)] {
            handle(&ctx, &told).await.expect("taken");
            handle(&ctx, &told).await.expect("taken twice");
        }
        assert!(suspense(&ctx).await.iter().all(|i| i.reason == SuspenseReason::PaymentUnknown));
        let page = async |after| {
            let page = PageRequest { after, limit: 2 };
            let call = Call { page, ..testkit::call(list_suspense_items::Command {}) };
            list_suspense_items::handle(&ctx, &call).await.expect("a page")
        };
        let first = page(None).await;
        let second = page(first.next_cursor).await;
        assert_eq!((first.items.len(), second.items.len()), (2, 1));
        assert_eq!(invoice(&ctx, &charge).await.open(), francs(150_000));
        check_ledger(&ctx).await;
        let mut failed = nobody("pi_failed");
        failed["status"] = json!("canceled");
        handle(&ctx, &webhook(&failed)).await.expect("no money came: nothing to keep");
        assert_eq!(suspense(&ctx).await.len(), 3);
    }

    #[tokio::test]
    async fn an_intent_without_our_name_is_known_by_its_reference() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_visa").await;
        let nameless = told_as(&provider.intents()[0], "metadata", json!({}));
        handle(&ctx, &nameless).await.expect("booked");
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
    }

    #[tokio::test]
    async fn a_payment_of_what_was_taken_back_is_the_student_s_cash() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_visa").await;
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("taken back");
        handle(&ctx, &webhook(&provider.intents()[0])).await.expect("taken");
        assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000);
        assert_eq!(count(&ctx, ChargeSettled::NAME).await, 0);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn two_payments_of_one_invoice_leave_the_second_to_the_student() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_sim_timeout").await;
        let late = provider.intents().remove(0);
        let day_later = testkit::now() + jiff::SignedDuration::from_hours(25);
        let tick = shell::Tick { now: day_later, correlation_id: "test".into() };
        let deaf = crate::fixtures::ctx(&test.table);
        let given_up = query_pending_payments::handle(&deaf, &tick).await.expect("given up");
        assert_eq!((given_up.asked, given_up.unanswered), (1, 0), "expired without asking");
        pay(&ctx, &charge, "pm_card_visa").await;
        for intent in provider.intents() {
            handle(&ctx, &webhook(&intent)).await.expect("taken");
        }
        handle(&ctx, &webhook(&late)).await.expect("taken");
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
        assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000);
        check_ledger(&ctx).await;
        let idle = query_pending_payments::handle(&ctx, &tick).await.expect("nothing left");
        assert_eq!(idle.asked, 0);
    }

    #[tokio::test]
    async fn what_is_not_signed_now_or_not_an_event_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let body = testkit::webhook_body(&json!({ "status": "succeeded" }));
        let unsigned = Raw { body: body.clone(), ..Raw::default() };
        let refused = code(handle(&ctx, &testkit::call(unsigned)).await);
        assert_eq!(refused, "WEBHOOK_SIGNATURE_INVALID");
        let mut old = webhook_of(body.clone());
        old.now += jiff::SignedDuration::from_secs(301);
        assert_eq!(code(handle(&ctx, &old).await), "WEBHOOK_TIMESTAMP_OLD");
        for malformed in ["", "{}", "[1]", &body] {
            let refused = code(handle(&ctx, &webhook_of(malformed.to_owned())).await);
            assert_eq!(refused, "WEBHOOK_MALFORMED", "{malformed}");
        }
        let elsewhere =
            json!({ "id": "evt_1", "type": "charge.updated", "data": { "object": {} } });
        let taken = handle(&ctx, &webhook_of(elsewhere.to_string())).await;
        assert_eq!(taken.expect("left alone"), Reply { received: true });
    }

    #[tokio::test]
    async fn at_the_front_door_the_provider_hears_200_and_anybody_else_400() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nobody = json!({ "id": "pi_1", "status": "succeeded", "amount": 5, "currency": "xaf" });
        let body = testkit::webhook_body(&nobody);
        let signed_at_s = shell::now().as_second();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
        for (secret, status, code) in
            [(WEBHOOK_SECRET, 200, None), ("guessed", 400, Some("WEBHOOK_SIGNATURE_INVALID"))]
        {
            let signature = testkit::webhook_signature(secret, signed_at_s, &body);
            let event = json!({
                "headers": { "Stripe-Signature": signature, "content-type": "application/json" },
                "requestContext": { "requestId": "test", "http": { "method": "POST" } },
                "body": body,
            });
            let reply = shell::http::answer_raw(&ROUTE, &ctx, &handle, &event, deadline).await;
            assert_eq!(reply["statusCode"], status);
            let said: Value =
                serde_json::from_str(reply["body"].as_str().expect("a body")).expect("JSON");
            assert_eq!(said["code"].as_str(), code);
        }
        assert_eq!(suspense(&ctx).await.len(), 1);
    }

    #[tokio::test]
    async fn what_the_provider_sends_by_itself_is_booked_even_when_it_sends_it_twice() {
        let test = testkit::TestTable::new().await;
        let (url, mut deliveries) = mailbox().await;
        let settings = PaymentProviderSettings {
            webhook_url: Some(url),
            ..PaymentProviderSettings::default()
        };
        let provider = PaymentProvider::start(settings).await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_sim_twice").await;
        for _ in 0..2 {
            let raw = deliveries.recv().await.expect("a webhook comes");
            let told = Call { now: shell::now(), ..testkit::call(raw) };
            handle(&ctx, &told).await.expect("taken");
        }
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
        assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
    }

    /// What the provider tells of a dispute of this intent.
    fn disputed(intent: &Value, kind: &str, status: &str) -> Call<Raw> {
        let fee = if kind == "funds_reinstated" { 0 } else { 1_500 };
        let dispute = json!({
            "id": "dp_1", "status": status, "amount": intent["amount"], "currency": "xaf",
            "payment_intent": intent["id"], "reason": "fraudulent",
            "balance_transactions": [{ "amount": -150_000, "fee": fee, "currency": "xaf" }],
        });
        webhook_of(testkit::webhook_body_of(&format!("charge.dispute.{kind}"), &dispute))
    }

    async fn paid(
        ctx: &Ctx,
        provider: &PaymentProvider,
    ) -> (Value, crate::operations::charge::Reply) {
        let charge = charge(ctx, "ada", "one").await;
        let payment = pay(ctx, &charge, "pm_card_visa").await.id.to_string();
        let mut intents = provider.intents().into_iter();
        let intent = intents.find(|intent| intent["metadata"]["payment"] == payment.as_str());
        let intent = intent.expect("it was asked for");
        handle(ctx, &webhook(&intent)).await.expect("paid");
        (intent, charge)
    }

    #[tokio::test]
    async fn what_a_bank_takes_back_is_owed_again_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        testkit::under_every_fault(
            async |table| paid(&ctx_with(table, &provider), &provider).await,
            async |table, (intent, _)| {
                let told = disputed(intent, "funds_withdrawn", "needs_response");
                handle(&ctx_with(table, &provider), &told).await.map(drop)
            },
            async |table, (intent, charge)| {
                let ctx = ctx_with(table, &provider);
                for kind in ["created", "funds_withdrawn", "updated"] {
                    let told = disputed(intent, kind, "needs_response");
                    handle(&ctx, &told).await.expect("taken");
                }
                assert_eq!(invoice(&ctx, charge).await.open(), francs(150_000));
                let key = crate::store::charge_key(charge.charge);
                let stands = ctx.table.get(&key).await.expect("reads").expect("stands").value;
                assert_eq!(stands.state, ChargeState::Posted, "it is open again");
                let balance = async |of| account(&ctx, "ada").await.balance(of);
                assert_eq!(balance(Account::ProviderClearing).await, francs(0));
                assert_eq!(count(&ctx, ChargebackBooked::NAME).await, 1);
                assert_eq!(check_ledger(&ctx).await, 4, "charge, payment, chargeback and its fee");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_dispute_that_is_won_pays_again_and_one_that_is_lost_does_not() {
        type Case<'a> = (&'a [(&'a str, &'a str)], i64, usize);
        let cases: [Case<'_>; 5] = [
            (&[("created", "needs_response"), ("closed", "lost")], 150_000, 4),
            (&[("funds_withdrawn", "needs_response"), ("funds_reinstated", "won")], 0, 6),
            (&[("funds_reinstated", "won"), ("funds_withdrawn", "needs_response")], 0, 2),
            (&[("created", "warning_needs_response"), ("closed", "warning_closed")], 0, 2),
            (&[("closed", "lost"), ("funds_withdrawn", "lost")], 150_000, 4),
        ];
        for (told, open, entries) in cases {
            let test = testkit::TestTable::new().await;
            let provider = provider().await;
            let ctx = ctx_with(&test.table, &provider);
            let (intent, charge) = paid(&ctx, &provider).await;
            for (kind, status) in told {
                for _ in 0..2 {
                    handle(&ctx, &disputed(&intent, kind, status)).await.expect("taken");
                }
            }
            assert_eq!(invoice(&ctx, &charge).await.open(), francs(open), "{told:?}");
            assert_eq!(check_ledger(&ctx).await, entries, "{told:?}");
            let call = testkit::call(list_disputes::Command {});
            let listed = list_disputes::handle(&ctx, &call);
            assert_eq!(listed.await.expect("lists").items.len(), 1);
        }
    }

    #[tokio::test]
    async fn a_dispute_of_money_that_nobody_could_place_or_that_never_came_is_booked_as_it_is() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_sim_wrong_amount").await;
        let intent = provider.intents().remove(0);
        let early = disputed(&intent, "funds_withdrawn", "needs_response");
        handle(&ctx, &early).await.expect("the payment is asked about first");
        assert_eq!(suspense(&ctx).await[0].left, francs(1), "one franc more had come");
        assert_eq!(check_ledger(&ctx).await, 4);
        let nobody = json!({ "id": "pi_nobody", "amount": 5, "currency": "xaf" });
        let told = disputed(&nobody, "funds_withdrawn", "needs_response");
        handle(&ctx, &told).await.expect("left alone");
        assert_eq!(check_ledger(&ctx).await, 4);
        let silent = crate::fixtures::ctx(&test.table);
        let failed = handle(&silent, &told).await;
        assert!(matches!(failed, Err(Failure::Fault(fault)) if fault.retryable), "it comes again");
    }

    #[tokio::test]
    async fn what_was_refunded_of_a_charge_is_asked_for() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let payment = give_by_card(&ctx, &provider, "pm_card_visa").await;
        let amount = francs(40_000);
        let call =
            testkit::call(refund_payment::Command { payment, amount, reason: "left".into() });
        refund_payment::handle(&ctx, &call).await.expect("asked");
        let intent = provider.intents().remove(0);
        let told = json!({ "id": "ch_1", "payment_intent": intent["id"] });
        let told = webhook_of(testkit::webhook_body_of("charge.refunded", &told));
        for _ in 0..2 {
            handle(&ctx, &told).await.expect("taken");
        }
        assert_eq!(count(&ctx, PaymentRefunded::NAME).await, 1);
        let clearing = account(&ctx, "ada").await.balance(Account::ProviderClearing);
        assert_eq!(clearing, francs(110_000));
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn the_provider_s_own_dispute_goes_out_and_comes_back() {
        let test = testkit::TestTable::new().await;
        let (url, mut deliveries) = mailbox().await;
        let settings = PaymentProviderSettings {
            webhook_url: Some(url),
            ..PaymentProviderSettings::default()
        };
        let provider = PaymentProvider::start(settings).await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_createDispute").await;
        let mut take = async |times| {
            for _ in 0..times {
                let raw = deliveries.recv().await.expect("a webhook comes");
                let told = Call { now: shell::now(), ..testkit::call(raw) };
                handle(&ctx, &told).await.expect("taken");
            }
            invoice(&ctx, &charge).await.open()
        };
        assert_eq!(take(3).await, francs(150_000));
        let id = provider.disputes()[0]["id"].as_str().expect("an id").to_owned();
        reqwest::Client::new()
            .post(format!("{}/v1/disputes/{id}", provider.url()))
            .bearer_auth("sk_test")
            .body("evidence%5Buncategorized_text%5D=winning_evidence")
            .send()
            .await
            .expect("it answers");
        assert_eq!(take(2).await, francs(0));
    }
}
