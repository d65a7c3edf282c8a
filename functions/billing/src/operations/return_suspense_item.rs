//! Sends money that nobody could place back to where it came from, through the provider. Decided once: asked again, it
//! says how far it has come; where it did not reach the payer, it may be decided anew.

use kernel::SuspenseItemId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::assign_suspense_item::item_of;
use super::list_suspense_items::Item;
use crate::Ctx;
use crate::domain::Refusal;
use crate::refunding::{Order, send_back};
use crate::returning::Found;

pub const ROUTE: Route = Route::act(
    "return-suspense-item",
    "/suspense-items/{suspense_item}/return",
    BURSAR,
    "Send money that could not be placed back to where it came from",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub suspense_item: SuspenseItemId,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

pub type Reply = Item;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let item = item_of(ctx, call.command.suspense_item).await?;
    let (left, is_assigned) = (item.value.left(), item.value.assigned.is_some());
    let reply = Reply::of(&item.value);
    let found = Found::Suspense(item);
    let order = Order::of(ctx, call, &found).await?;
    if order.begun.is_none() && left.minor <= 0 {
        return if is_assigned { Err(Refusal::SuspenseItemDecided.into()) } else { Ok(reply) };
    }
    let reason = &call.command.reason;
    send_back(ctx, call, (order, found), (left, reason), |found| match found {
        Found::Suspense(item) => Reply::of(&item.value),
        Found::Payment(_) => unreachable!("it is of a suspense item"),
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::assign_suspense_item::{self, tests::put_in_suspense};
    use super::super::{list_suspense_items, receive_webhook};
    use super::*;
    use crate::domain::SuspenseItem;
    use crate::fixtures::{
        charge, check_ledger, code, ctx, ctx_with, francs, journal, pay, provider, refund_webhook,
        unapplied_cash, webhook,
    };

    fn back(suspense_item: SuspenseItemId) -> Call<Command> {
        testkit::call(Command { suspense_item, reason: "Nobody knows whose it is.".into() })
    }

    /// A franc too much came in: all of it lies in suspense.
    async fn wrong_amount(ctx: &Ctx, provider: &testkit::PaymentProvider) -> SuspenseItemId {
        let charge = charge(ctx, "ada", "one").await;
        let payment = pay(ctx, &charge, "pm_sim_wrong_amount").await.id.to_string();
        let mut intents = provider.intents().into_iter();
        let intent = intents.find(|one| one["metadata"]["payment"] == payment.as_str());
        let intent = intent.expect("it was asked for");
        receive_webhook::handle(ctx, &webhook(&intent)).await.expect("taken");
        SuspenseItem::id_of(intent["id"].as_str().expect("an id"))
    }

    async fn in_suspense(ctx: &Ctx) -> i64 {
        let entries = journal(ctx).await;
        let lines = entries.iter().flat_map(crate::domain::JournalEntry::lines);
        let lines = lines.filter(|line| line.account == crate::domain::Account::Suspense);
        lines.map(|line| line.amount.minor).sum()
    }

    #[tokio::test]
    async fn an_item_goes_back_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        testkit::under_every_fault_anew(
            async |table| {
                let item = wrong_amount(&ctx_with(table, &provider), &provider).await;
                (back(item), provider.refunds().len())
            },
            async |table, (call, _)| handle(&ctx_with(table, &provider), call).await.map(drop),
            async |table, (call, before)| {
                let ctx = ctx_with(table, &provider);
                let again = handle(&ctx, &back(call.command.suspense_item)).await;
                assert_eq!(again.expect("a double click is harmless").left, francs(0));
                assert_eq!(provider.refunds().len(), before + 1, "it is asked for once");
                assert_eq!(in_suspense(&ctx).await, 0);
                let item = call.command.suspense_item;
                let to_ada = testkit::call(assign_suspense_item::Command {
                    suspense_item: item,
                    student: testkit::person("ada"),
                    invoice: None,
                    reason: "It is hers.".into(),
                });
                let refused = assign_suspense_item::handle(&ctx, &to_ada).await;
                assert_eq!(code(refused), "SUSPENSE_ITEM_DECIDED");
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_did_not_reach_the_payer_may_be_decided_anew() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let item = wrong_amount(&ctx, &provider).await;
        handle(&ctx, &back(item)).await.expect("asked");
        let mut told = provider.refunds().remove(0);
        for status in ["succeeded", "failed"] {
            told["status"] = json!(status);
            let told = refund_webhook("refund.updated", &told);
            for _ in 0..2 {
                receive_webhook::handle(&ctx, &told).await.expect("taken");
            }
        }
        let list = testkit::call(list_suspense_items::Command {});
        let listed = list_suspense_items::handle(&ctx, &list).await.expect("lists");
        assert_eq!((listed.items[0].left, &listed.items[0].decided), (francs(150_001), &None));
        assert_eq!(in_suspense(&ctx).await, -150_001);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn what_comes_back_to_an_item_that_was_assigned_is_decided_anew() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let item = put_in_suspense(&ctx).await;
        let mut desk = json!({
            "id": "re_desk", "status": "succeeded", "amount": 60_000, "currency": "xaf",
            "payment_intent": "pi_stranger",
        });
        let told = refund_webhook("refund.created", &desk);
        receive_webhook::handle(&ctx, &told).await.expect("a part goes back");
        let to = |student: &str| {
            testkit::call(assign_suspense_item::Command {
                suspense_item: item,
                student: testkit::person(student),
                invoice: None,
                reason: "The receipt shows it.".into(),
            })
        };
        let to_ada = to("ada");
        let first = assign_suspense_item::handle(&ctx, &to_ada).await.expect("the rest is hers");
        assert_eq!(first.left, francs(0));
        desk["status"] = json!("failed");
        let told = refund_webhook("refund.failed", &desk);
        for _ in 0..2 {
            receive_webhook::handle(&ctx, &told).await.expect("the part comes back");
        }
        let list = testkit::call(list_suspense_items::Command {});
        let listed = list_suspense_items::handle(&ctx, &list).await.expect("lists");
        assert_eq!((listed.items[0].left, &listed.items[0].decided), (francs(60_000), &None));
        assert_eq!(in_suspense(&ctx).await, -60_000);
        let to_bob = to("bob");
        for _ in 0..2 {
            let second = assign_suspense_item::handle(&ctx, &to_bob).await.expect("that is his");
            assert_ne!(second.assigned, first.assigned);
        }
        assert_eq!(in_suspense(&ctx).await, 0);
        assert_eq!(unapplied_cash(&ctx, "ada").await, 100_000);
        assert_eq!(unapplied_cash(&ctx, "bob").await, 60_000);
        assert_eq!(code(handle(&ctx, &back(item)).await), "SUSPENSE_ITEM_DECIDED");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn what_is_unknown_or_assigned_does_not_go_back() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &back(nowhere)).await), "SUSPENSE_ITEM_UNKNOWN");
        let item = put_in_suspense(&ctx).await;
        let to_ada = testkit::call(assign_suspense_item::Command {
            suspense_item: item,
            student: testkit::person("ada"),
            invoice: None,
            reason: "It is hers.".into(),
        });
        assign_suspense_item::handle(&ctx, &to_ada).await.expect("assigned");
        assert_eq!(code(handle(&ctx, &back(item)).await), "SUSPENSE_ITEM_DECIDED");
    }
}
