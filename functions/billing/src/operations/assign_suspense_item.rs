//! Gives money that nobody could place to the student whose it is: it is a payment from then on, and pays what they
//! owe. Decided once: the same word again changes nothing, another is refused. What comes back of what was returned is
//! decided anew.

use kernel::{InvoiceId, Money, PersonId, SuspenseItemId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::{Noted, Stored};

use super::BURSAR;
use super::list_suspense_items::Item;
use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Decided, Payment, PaymentState, Refusal, SuspenseItem, receive};
use crate::store::{self, Cause, Opened};

pub const ROUTE: Route = Route::act(
    "assign-suspense-item",
    "/suspense-items/{suspense_item}/assignment",
    BURSAR,
    "Give money that could not be placed to a student",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub suspense_item: SuspenseItemId,
    /// Whose money it is.
    pub student: PersonId,
    /// What it pays first; absent, it pays what is due longest.
    pub invoice: Option<InvoiceId>,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub type Reply = Item;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { suspense_item, student, invoice, reason } = call.command.clone();
    let mut item = item_of(ctx, suspense_item).await?;
    if let Some(assigned) = item.value.assigned.filter(|_| item.value.left().minor <= 0) {
        let payment = ctx.table.get(&store::payment_key(assigned)).await?;
        let payment = payment.ok_or_else(|| store::missing("payment", assigned))?.value;
        let is_same = payment.student == student && payment.invoice == invoice;
        return if is_same {
            Ok(Reply::of(&item.value))
        } else {
            Err(Refusal::SuspenseItemDecided.into())
        };
    }
    if item.value.left().minor <= 0 {
        return Err(Refusal::SuspenseItemDecided.into());
    }
    let before = item.value.clone();
    let amount = item.value.left();
    let named = store::named_invoice(&ctx.table, invoice, student, amount.currency).await?;
    let mut payment = payment_of(&item.value, (student, named), amount);
    let wanted = Wanted { now: call.now, series: &[], invoices: named.as_slice() };
    let mut books = Bookkeeping::open(ctx, student, amount.currency, wanted).await?;
    let booking = books.booking_today(call.now);
    let entry = item.value.assign(payment.id, booking)?;
    item.value.decided = Some(Decided { by: call.person(), at: call.now, reason });
    let (account, mut invoices) = books.account_and_invoices();
    let turn = receive(&mut payment, invoices.pop(), account, booking)?;
    let turn = turn.expect("a new payment is received for the first time");
    books.take_over(&turn).await?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    books.write(&mut transaction, &[turn], cause);
    store::write_entry(&mut transaction, &entry);
    transaction.update(&item);
    store::write_receipt(&mut transaction, &Opened { value: payment, read_version: None }, cause);
    let trail = ctx.table.trail(student).await?;
    let noted = Noted::change(format!("suspense-item/{suspense_item}"))
        .fields_of(Some(&before), &item.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    let reply = Reply::of(&item.value);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

pub(super) async fn item_of(
    ctx: &Ctx,
    id: SuspenseItemId,
) -> Result<Stored<SuspenseItem>, Failure> {
    let item = ctx.table.get(&store::suspense_key(id)).await?;
    Ok(item.ok_or(Refusal::SuspenseItemUnknown)?)
}

/// The payment that the item becomes.
fn payment_of(
    item: &SuspenseItem,
    (student, invoice): (PersonId, Option<InvoiceId>),
    amount: Money,
) -> Payment {
    Payment {
        id: item.next_payment(),
        invoice,
        student,
        amount,
        channel: item.channel,
        payment_method: "suspense".to_owned(),
        phone: None,
        only: Vec::new(),
        state: PaymentState::Initiated,
        provider_ref: Some(item.provider_ref.clone()),
        initiated_at: item.received_at,
        concluded_at: None,
        failure_reason: None,
        refunded: Money::zero(amount.currency),
        charged_back: 0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use events::{Event, PaymentRefunded, PaymentSucceeded};
    use serde_json::json;

    use super::super::{receive_webhook, refund_payment, return_suspense_item};
    use super::*;
    use crate::domain::{Account, InvoiceState};
    use crate::fixtures::{
        account, charge, check_ledger, code, count, ctx, ctx_with, francs, invoice, pay, provider,
        refund_webhook, webhook,
    };

    /// 160,000 francs that nobody asked for.
    pub async fn put_in_suspense(ctx: &Ctx) -> SuspenseItemId {
        let stranger = json!({
            "id": "pi_stranger", "status": "succeeded", "amount": 160_000, "currency": "xaf",
        });
        receive_webhook::handle(ctx, &webhook(&stranger)).await.expect("taken");
        SuspenseItem::id_of("pi_stranger")
    }

    fn to(student: &str, suspense_item: SuspenseItemId) -> Call<Command> {
        let reason = "The receipt shows it.".to_owned();
        let student = testkit::person(student);
        testkit::call(Command { suspense_item, student, invoice: None, reason })
    }

    #[tokio::test]
    async fn an_item_pays_what_its_student_owes_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let charge = charge(&ctx, "ada", "one").await;
                (to("ada", put_in_suspense(&ctx).await), charge)
            },
            async |table, (call, _)| handle(&ctx(table), call).await.map(drop),
            async |table, (call, charge)| {
                let ctx = ctx(table);
                let again = handle(&ctx, call).await.expect("a double click is harmless");
                assert!(again.assigned.is_some());
                assert_eq!(invoice(&ctx, charge).await.state(), InvoiceState::Paid);
                let books = account(&ctx, "ada").await;
                assert_eq!(books.unapplied_cash(), francs(10_000));
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
                assert_eq!(books.balance(Account::Suspense), francs(0));
                assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
                assert_eq!(check_ledger(&ctx).await, 4, "in, out of suspense, charge, payment");
                let bob = handle(&ctx, &to("bob", call.command.suspense_item)).await;
                assert_eq!(code(bob), "SUSPENSE_ITEM_DECIDED");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_was_assigned_goes_back_as_the_student_s_money() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let item = put_in_suspense(&ctx).await;
        let assigned = handle(&ctx, &to("ada", item)).await.expect("assigned").assigned;
        let told = refund_webhook("refund.created", &desk_refund(60_000));
        receive_webhook::handle(&ctx, &told).await.expect("taken");
        assert_eq!(account(&ctx, "ada").await.unapplied_cash(), francs(100_000));
        let (payment, amount) = (assigned.expect("a payment"), francs(100_001));
        let too_much =
            testkit::call(refund_payment::Command { payment, amount, reason: "left".into() });
        let refused = refund_payment::handle(&ctx, &too_much).await;
        assert_eq!(code(refused), "NOT_UNAPPLIED");
        check_ledger(&ctx).await;
    }

    /// What the provider tells of a refund made at its own desk.
    fn desk_refund(minor: i64) -> serde_json::Value {
        json!({
            "id": "re_desk", "status": "succeeded", "amount": minor, "currency": "xaf",
            "payment_intent": "pi_stranger",
        })
    }

    #[tokio::test]
    async fn what_went_back_before_it_was_assigned_is_not_taken_from_the_student() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let charge = charge(&ctx, "ada", "one").await;
                let item = put_in_suspense(&ctx).await;
                let told = refund_webhook("refund.created", &desk_refund(10_000));
                receive_webhook::handle(&ctx, &told).await.expect("taken");
                handle(&ctx, &to("ada", item)).await.expect("assigned");
                (refund_webhook("refund.updated", &desk_refund(10_000)), charge)
            },
            async |table, (told, _)| receive_webhook::handle(&ctx(table), told).await.map(drop),
            async |table, (_, charge)| {
                let ctx = ctx(table);
                assert_eq!(invoice(&ctx, charge).await.state(), InvoiceState::Paid);
                assert_eq!(count(&ctx, PaymentRefunded::NAME).await, 0);
                assert_eq!(check_ledger(&ctx).await, 5, "in, back, out, charge, payment");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn old_news_of_a_return_that_failed_is_not_taken_from_the_student() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_sim_wrong_amount").await;
        let intent = provider.intents().remove(0);
        receive_webhook::handle(&ctx, &webhook(&intent)).await.expect("taken");
        let item = SuspenseItem::id_of(intent["id"].as_str().expect("an id"));
        let reason = "Nobody knows whose it is.".to_owned();
        let back = testkit::call(return_suspense_item::Command { suspense_item: item, reason });
        return_suspense_item::handle(&ctx, &back).await.expect("asked");
        let mut told = provider.refunds().remove(0);
        for status in ["succeeded", "failed"] {
            told["status"] = json!(status);
            let told = refund_webhook("refund.updated", &told);
            receive_webhook::handle(&ctx, &told).await.expect("taken");
        }
        handle(&ctx, &to("ada", item)).await.expect("assigned");
        told["status"] = json!("succeeded");
        let told = refund_webhook("refund.updated", &told);
        receive_webhook::handle(&ctx, &told).await.expect("taken");
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
        assert_eq!(account(&ctx, "ada").await.unapplied_cash(), francs(1));
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn an_unknown_item_and_another_s_invoice_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &to("ada", nowhere)).await), "SUSPENSE_ITEM_UNKNOWN");
        let bobs = charge(&ctx, "bob", "one").await.invoice;
        let mut call = to("ada", put_in_suspense(&ctx).await);
        call.command.invoice = Some(bobs);
        assert_eq!(code(handle(&ctx, &call).await), "INVOICE_UNKNOWN");
    }
}
