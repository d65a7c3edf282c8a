//! The mobile money provider calls when it knows what became of a payment. Nobody signs that call: whatever it says,
//! the provider itself is asked, and its answer is the truth. Twice, late, forged or of another amount, it changes
//! nothing that the answer does not.

use kernel::PaymentId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::conclusion;
use crate::domain::{Channel, Report};
use crate::mobile_money::reference_of;
use crate::provider::Answer;
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::call(
    "receive-mobile-money-callback",
    "/webhooks/mobile-money",
    Access::Public,
    "Be called by the mobile money provider, which is then asked what became of the payment",
);

/// Of all that it says, this alone is read.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Our payment's id.
    #[schemars(length(min = 1, max = 100))]
    pub external_id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub received: bool,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let taken = Reply { received: true };
    let Ok(id) = call.command.external_id.parse::<PaymentId>() else { return Ok(taken) };
    let payment = ctx.table.get(&store::payment_key(id)).await?;
    let is_asked_about = |payment: &table::Stored<crate::domain::Payment>| {
        payment.value.channel == Channel::MobileMoney && !payment.value.is_received()
    };
    if !payment.as_ref().is_some_and(is_asked_about) {
        return Ok(taken);
    }
    let provider = ctx.provider_of(Channel::MobileMoney);
    if let Answer::Report(report) = provider.look_up(&reference_of(id)).await? {
        let report = Report { payment: Some(id), ..report };
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        conclusion::conclude(ctx, &report, cause).await?;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use events::{Event, PaymentFailed, PaymentSucceeded};
    use jiff::SignedDuration;
    use kernel::Id;
    use shell::Tick;
    use testkit::{PaymentProvider, PaymentProviderSettings};

    use super::super::{
        list_suspense_items, query_pending_payments, read_payment, refund_payment, start_payment,
    };
    use super::*;
    use crate::domain::{Account, InvoiceState, PaymentState};
    use crate::fixtures::{
        account, bundle, charge, check_ledger, code, count, ctx_with, francs, invoice, mailbox,
        provider, unapplied_cash,
    };
    use crate::operations::charge::Reply as Charged;

    const PAYS: &str = "+237670000001";
    const DECLINES: &str = "+46733123451";
    const HANGS: &str = "+46733123453";
    const NEVER_ANSWERS: &str = "+46733123460";
    const TAKES_ANOTHER_AMOUNT: &str = "+46733123463";

    fn pay_by(charge: &Charged, phone: &str) -> Call<start_payment::Command> {
        testkit::call(start_payment::Command {
            invoice: charge.invoice,
            amount: None,
            payment_method: None,
            phone: Some(phone.parse().expect("a number")),
        })
    }

    async fn pay(ctx: &Ctx, charge: &Charged, phone: &str) -> read_payment::Reply {
        start_payment::handle(ctx, &pay_by(charge, phone)).await.expect("a payment starts")
    }

    fn callback(payment: PaymentId) -> Call<Command> {
        let command = Command { external_id: payment.to_string() };
        Call { caller: None, idempotency_key: None, ..testkit::call(command) }
    }

    async fn status(ctx: &Ctx, payment: PaymentId) -> PaymentState {
        let call = testkit::call(read_payment::Command { payment });
        read_payment::handle(ctx, &call).await.expect("reads").status
    }

    async fn begun(table: &table::Table, provider: &PaymentProvider) -> (PaymentId, Charged) {
        let ctx = ctx_with(table, provider);
        let charge = charge(&ctx, "ada", "one").await;
        (pay(&ctx, &charge, PAYS).await.id, charge)
    }

    #[tokio::test]
    async fn a_push_is_booked_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        testkit::under_every_fault(
            async |table| begun(table, &provider).await,
            async |table, (payment, _)| {
                handle(&ctx_with(table, &provider), &callback(*payment)).await.map(drop)
            },
            async |table, (payment, charge)| {
                let ctx = ctx_with(table, &provider);
                handle(&ctx, &callback(*payment)).await.expect("a duplicate is taken");
                assert_eq!(invoice(&ctx, charge).await.state(), InvoiceState::Paid);
                let clearing = account(&ctx, "ada").await.balance(Account::MobileMoneyClearing);
                assert_eq!(clearing, francs(150_000));
                assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
                assert_eq!(check_ledger(&ctx).await, 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_payer_who_declines_ends_the_payment_and_the_next_may_begin() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let declined = pay(&ctx, &charge, DECLINES).await;
        assert_eq!(declined.status, PaymentState::Pending, "a push is only asked for");
        assert_eq!(declined.payment_method, "+467…51");
        for _ in 0..2 {
            handle(&ctx, &callback(declined.id)).await.expect("taken");
        }
        let call = testkit::call(read_payment::Command { payment: declined.id });
        let read = read_payment::handle(&ctx, &call).await.expect("reads");
        assert_eq!(read.failure_reason.as_deref(), Some("approval_rejected"));
        assert_eq!(count(&ctx, PaymentFailed::NAME).await, 1);
        let next = pay(&ctx, &charge, PAYS).await;
        handle(&ctx, &callback(next.id)).await.expect("taken");
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
        handle(&ctx, &callback(declined.id)).await.expect("late");
        assert_eq!(check_ledger(&ctx).await, 2);
    }

    #[tokio::test]
    async fn what_is_forged_unknown_or_of_another_way_changes_nothing() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let hangs = pay(&ctx, &charge, HANGS).await.id;
        let nowhere = PaymentId::derived_from("nowhere");
        for told in [callback(hangs), callback(nowhere)] {
            handle(&ctx, &told).await.expect("taken");
        }
        let mut nonsense = callback(hangs);
        nonsense.command.external_id = "nonsense".into();
        handle(&ctx, &nonsense).await.expect("taken");
        assert_eq!(status(&ctx, hangs).await, PaymentState::Pending, "the provider says so");
        assert_eq!(check_ledger(&ctx).await, 1);
        let silent = crate::fixtures::ctx(&test.table);
        let failed = handle(&silent, &callback(hangs)).await;
        assert!(matches!(failed, Err(Failure::Fault(fault)) if fault.retryable), "it comes again");
    }

    #[tokio::test]
    async fn another_amount_than_was_asked_for_waits_for_the_bursar_and_goes_back_by_hand() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let payment = pay(&ctx, &charge, TAKES_ANOTHER_AMOUNT).await.id;
        for _ in 0..2 {
            handle(&ctx, &callback(payment)).await.expect("taken");
        }
        assert_eq!(status(&ctx, payment).await, PaymentState::Failed);
        let listed = testkit::call(list_suspense_items::Command {});
        let items = list_suspense_items::handle(&ctx, &listed).await.expect("lists").items;
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].left, francs(150_001));
        let suspense_item = items[0].id;
        let back = super::super::return_suspense_item::Command {
            suspense_item,
            reason: "Not what was asked for.".into(),
        };
        let back = testkit::call(back);
        super::super::return_suspense_item::handle(&ctx, &back).await.expect("given back");
        let entries = crate::fixtures::journal(&ctx).await;
        let lines = entries.iter().flat_map(crate::domain::JournalEntry::lines);
        let clearing = lines.filter(|line| line.account == Account::MobileMoneyClearing);
        assert_eq!(clearing.map(|line| line.amount.minor).sum::<i64>(), 0);
        assert_eq!(check_ledger(&ctx).await, 3);
    }

    #[tokio::test]
    async fn silence_is_not_failure_and_the_schedule_finds_what_was_taken() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let payment = pay(&ctx, &charge, NEVER_ANSWERS).await;
        assert_eq!(payment.status, PaymentState::Pending);
        let now = testkit::now() + SignedDuration::from_mins(2);
        let tick = Tick { now, correlation_id: "test".into() };
        query_pending_payments::handle(&ctx, &tick).await.expect("asked");
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
        assert_eq!(provider.pushes().len(), 1, "the payer is asked once");
    }

    #[tokio::test]
    async fn what_came_by_telephone_goes_back_by_hand() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let (payment, _) = begun(&test.table, &provider).await;
        let ctx = ctx_with(&test.table, &provider);
        handle(&ctx, &callback(payment)).await.expect("taken");
        let undo = testkit::step(super::super::reverse_charge::Command { bundle: bundle("one") });
        super::super::reverse_charge::handle(&ctx, &undo).await.expect("taken back");
        assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000);
        let (amount, reason) = (francs(150_000), "left".to_owned());
        let call = testkit::call(refund_payment::Command { payment, amount, reason });
        refund_payment::handle(&ctx, &call).await.expect("given back");
        let clearing = account(&ctx, "ada").await.balance(Account::MobileMoneyClearing);
        assert_eq!(clearing, francs(0));
        assert_eq!(status(&ctx, payment).await, PaymentState::Refunded);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn a_payment_names_a_card_or_a_telephone_and_never_both() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let mut both = pay_by(&charge, PAYS);
        both.command.payment_method = Some("pm_card_visa".into());
        let mut neither = pay_by(&charge, PAYS);
        neither.command.phone = None;
        for contradictory in [both, neither] {
            let refused = start_payment::handle(&ctx, &contradictory).await;
            assert_eq!(code(refused), "PAYMENT_METHOD_CONTRADICTORY");
        }
        let without = Ctx {
            mobile_money: std::sync::Arc::new(crate::mobile_money::MobileMoney::at(
                String::new(),
                "",
                std::time::Duration::from_secs(1),
            )),
            ..ctx.clone()
        };
        let refused = start_payment::handle(&without, &pay_by(&charge, PAYS)).await;
        assert_eq!(code(refused), "MOBILE_MONEY_UNAVAILABLE");
        assert_eq!(provider.pushes().len(), 0);
    }

    #[tokio::test]
    async fn what_the_provider_calls_back_by_itself_is_booked_even_when_it_calls_twice() {
        let test = testkit::TestTable::new().await;
        let (url, mut deliveries) = mailbox().await;
        let settings = PaymentProviderSettings {
            webhook_url: Some(url),
            ..PaymentProviderSettings::default()
        };
        let provider = PaymentProvider::start(settings).await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "+46733123461").await;
        for _ in 0..2 {
            let raw = deliveries.recv().await.expect("a callback comes");
            let command: Command = serde_json::from_str(&raw.body).expect("a callback");
            handle(&ctx, &testkit::call(command)).await.expect("taken");
        }
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
        assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
    }
}
