//! Sends money that nobody could place back to where it came from, through the provider. Decided once: asked again, it
//! says how far it has come; where it did not reach the payer, it may be decided anew.

use kernel::{Id, RefundId, SuspenseItemId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Stored;

use super::BURSAR;
use super::assign_suspense_item::item_of;
use super::list_suspense_items::Item;
use super::refund_payment::ask;
use crate::Ctx;
use crate::conclusion;
use crate::domain::{Decided, Origin, Refund, RefundState, Refusal, SuspenseItem};
use crate::returning::Found;
use crate::store::{self, Cause};

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
    let mut item = item_of(ctx, call.command.suspense_item).await?;
    let of = Origin::SuspenseItem(item.value.id);
    let id = match &call.idempotency_key {
        Some(key) => RefundId::derived_from(&key.scope),
        None => call.new_id(),
    };
    let mut refund = ctx.table.get(&store::refund_key(of, id)).await?;
    if refund.is_none() {
        if item.value.assigned.is_some() {
            return Err(Refusal::SuspenseItemDecided.into());
        }
        if item.value.left().minor <= 0 {
            return Ok(Reply::of(&item.value));
        }
        refund = Some(begin(ctx, call, id, &mut item).await?);
    }
    let mut transaction = ctx.table.transaction();
    let mut found = Found::Suspense(item);
    if let Some(refund) = refund.as_mut().filter(|one| one.value.state == RefundState::Initiated) {
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        ask(ctx, &mut transaction, (refund, &mut found), cause).await?;
    }
    let Found::Suspense(item) = found else { unreachable!("it is of a suspense item") };
    let reply = Reply::of(&item.value);
    call.keep_reply(&mut transaction, &reply);
    if !transaction.is_empty() {
        transaction.commit().await?;
    }
    Ok(reply)
}

/// Records that all that is left of the item is on its way back.
async fn begin(
    ctx: &Ctx,
    call: &Call<Command>,
    id: RefundId,
    item: &mut Stored<SuspenseItem>,
) -> Result<Stored<Refund>, Failure> {
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    let booking = conclusion::book_for_nobody(ctx, &mut transaction, cause).await?;
    let amount = item.value.left();
    let entry = item.value.begin_return(&id.to_string(), booking)?;
    let reason = call.command.reason.clone();
    let by = call.person();
    item.value.decided = Some(Decided { by, at: call.now, reason: reason.clone() });
    let refund = Refund {
        id,
        of: Origin::SuspenseItem(item.value.id),
        payment_ref: Some(item.value.provider_ref.clone()),
        amount,
        unplaced: 0,
        reason,
        state: RefundState::Initiated,
        provider_ref: None,
        failure_reason: None,
        refunded_by: Some(by),
        refunded_at: call.now,
        asked_at: call.now,
        concluded_at: None,
    };
    store::write_entry(&mut transaction, &entry);
    transaction.update(item);
    transaction.create(&refund);
    transaction.commit().await?;
    item.version += 1;
    Ok(Stored { value: refund, version: 1 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::assign_suspense_item::{self, tests::put_in_suspense};
    use super::super::{list_suspense_items, receive_webhook};
    use super::*;
    use crate::fixtures::{
        charge, check_ledger, code, ctx, ctx_with, francs, journal, pay, provider, refund_webhook,
        webhook,
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
