//! A payment of what is open of an invoice: recorded first, then asked of the provider under the payment's own id, so
//! that a repeated command, or the schedule, asks for the same payment. What comes of it the webhook tells.

use kernel::{Id, InvoiceId, Money, PaymentId, PhoneNumber};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, RequestRefusal, Role, Route, Scope};
use table::{Stored, Transaction};

use super::read_payment::Reply;
use crate::Ctx;
use crate::conclusion;
use crate::domain::{Channel, Payment, PaymentState, Refusal, Report, Word};
use crate::provider::Answer;
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create(
    "start-payment",
    "/payments",
    Access::Roles(&[Allow { role: Role::Student, scope: Scope::Own }]),
    "Pay what is open of an invoice, or a part of it",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub invoice: InvoiceId,
    /// All that is open, unless given: an instalment is a part of it.
    pub amount: Option<Money>,
    /// The provider's name for the means of payment, made in the browser: card numbers never come here.
    #[schemars(length(min = 1, max = 255))]
    pub payment_method: Option<String>,
    /// In place of it, for mobile money: where the payer is asked.
    pub phone: Option<PhoneNumber>,
}

impl Command {
    /// By which way the money is to come, and what is shown of the means.
    fn means(&self) -> Result<(Channel, String), Refusal> {
        match (&self.payment_method, &self.phone) {
            (Some(method), None) => Ok((Channel::Card, method.clone())),
            (None, Some(phone)) => Ok((Channel::MobileMoney, phone.masked())),
            (Some(_), Some(_)) | (None, None) => Err(Refusal::PaymentMethodContradictory),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let mut payment = initiate(ctx, call).await?;
    let mut transaction = ctx.table.transaction();
    if payment.value.state == PaymentState::Initiated {
        ask(ctx, call, &mut transaction, &mut payment).await?;
    }
    let reply = Reply::of(&payment.value);
    call.keep_reply(&mut transaction, &reply);
    if !transaction.is_empty() {
        transaction.commit().await?;
    }
    Ok(reply)
}

/// The payment of this command, recorded now or by an earlier run of it.
async fn initiate(ctx: &Ctx, call: &Call<Command>) -> Result<Stored<Payment>, Failure> {
    let Command { invoice, amount, phone, .. } = &call.command;
    let (channel, payment_method) = call.command.means()?;
    if !ctx.provider_of(channel).is_available() {
        return Err(Refusal::MobileMoneyUnavailable.into());
    }
    let id = match &call.idempotency_key {
        Some(key) => PaymentId::derived_from(&key.scope),
        None => call.new_id(),
    };
    let (payment_key, invoice_key) = (store::payment_key(id), store::invoice_key(*invoice));
    let keys = vec![(&payment_key).into(), (&invoice_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    if let Some(payment) = batch.take(&payment_key)? {
        let is_same = payment.value.invoice == Some(*invoice)
            && amount.is_none_or(|amount| payment.value.amount == amount)
            && payment.value.payment_method == payment_method
            && payment.value.phone == *phone;
        return if is_same {
            Ok(payment)
        } else {
            Err(RequestRefusal::IdempotencyKeyReused.into())
        };
    }
    let mut invoice = batch
        .take(&invoice_key)?
        .filter(|invoice| call.may_touch(invoice.value.document().student, &[]))
        .ok_or(Refusal::InvoiceUnknown)?;
    let amount = invoice.value.begin_payment(id, *amount)?;
    let document = invoice.value.document();
    let payment = Payment {
        id,
        invoice: Some(document.id),
        student: document.student,
        amount,
        channel,
        payment_method,
        phone: phone.clone(),
        only: Vec::new(),
        state: PaymentState::Initiated,
        provider_ref: None,
        initiated_at: call.now,
        concluded_at: None,
        failure_reason: None,
        refunded: Money::zero(amount.currency),
        charged_back: 0,
    };
    let mut transaction = ctx.table.transaction();
    transaction.create(&payment);
    transaction.update(&invoice);
    transaction.commit().await?;
    Ok(Stored { value: payment, version: 1 })
}

/// Asks the provider and writes down what it said.
async fn ask(
    ctx: &Ctx,
    call: &Call<Command>,
    transaction: &mut Transaction<'_>,
    payment: &mut Stored<Payment>,
) -> Result<(), Failure> {
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    match ctx.provider_of(payment.value.channel).request(&payment.value).await {
        Ok(Answer::Report(Report { provider_ref, word, .. })) => {
            payment.value.note_asked(Some(&provider_ref));
            conclusion::claim_reference(transaction, provider_ref, payment.value.id);
            match word {
                Word::Failed { reason } => {
                    conclusion::fail(ctx, transaction, payment, &reason, cause).await?;
                }
                // The webhook is the truth: until it comes, the money is not ours.
                Word::Succeeded | Word::Undecided => {
                    transaction.update(payment);
                }
            }
        }
        Ok(Answer::Refused { reason }) => {
            conclusion::fail(ctx, transaction, payment, &reason, cause).await?;
        }
        Ok(Answer::Unknown) => {
            conclusion::fail(ctx, transaction, payment, "provider_unknown", cause).await?;
        }
        Err(fault) => {
            // Unknown is not failed: the schedule asks again.
            tracing::warn!(
                correlation_id = call.correlation_id,
                payment = %payment.value.id,
                error = fault.chain(),
                "it is not known what the payment provider did"
            );
            payment.value.note_asked(None);
            transaction.update(payment);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{Event, PaymentFailed};
    use table::IdempotencyKey;

    use super::super::{read_payment, receive_webhook};
    use super::*;
    use crate::fixtures::{
        charge, code, count, ctx, ctx_with, francs, invoice, pay, pay_command, provider, webhook,
    };

    #[tokio::test]
    async fn a_payment_is_asked_for_once_whatever_happens_on_the_wire() {
        let provider = provider().await;
        testkit::under_every_fault_anew(
            async |table| {
                let charge = charge(&ctx_with(table, &provider), "ada", "one").await;
                let intents = provider.intents().len();
                (testkit::call(pay_command(&charge, "pm_card_visa")), charge, intents)
            },
            async |table, (call, ..)| handle(&ctx_with(table, &provider), call).await.map(drop),
            async |table, (call, charge, intents)| {
                let invoice = invoice(&ctx(table), charge).await;
                let key = call.idempotency_key.as_ref().expect("a key");
                let payment = PaymentId::derived_from(&key.scope);
                assert_eq!(invoice.payment_under_way(), Some(payment));
                assert_eq!(provider.intents().len(), intents + 1, "the money is taken once");
                let command = read_payment::Command { payment };
                let read = read_payment::handle(&ctx(table), &testkit::call(command)).await;
                let read = read.expect("the payment stands");
                assert_eq!((read.status, read.amount), (PaymentState::Pending, francs(150_000)));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_decline_ends_the_payment_and_the_next_may_begin() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let declined = pay(&ctx, &charge, "pm_card_chargeDeclined").await;
        assert_eq!(declined.status, PaymentState::Failed);
        assert_eq!(declined.failure_reason.as_deref(), Some("card_declined"));
        receive_webhook::handle(&ctx, &webhook(&provider.intents()[0])).await.expect("late");
        assert_eq!(count(&ctx, PaymentFailed::NAME).await, 1);
        let unknown = pay(&ctx, &charge, "pm_nonsense").await;
        assert_eq!(unknown.failure_reason.as_deref(), Some("resource_missing"));
        let next = pay(&ctx, &charge, "pm_card_visa").await;
        assert_eq!(next.status, PaymentState::Pending);
    }

    #[tokio::test]
    async fn what_the_provider_did_not_answer_is_pending_and_not_failed() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx_with = ctx_with(&test.table, &provider);
        let first = charge(&ctx_with, "ada", "one").await;
        assert_eq!(pay(&ctx_with, &first, "pm_sim_timeout").await.status, PaymentState::Pending);
        let unreachable = ctx(&test.table);
        let second = charge(&unreachable, "ada", "two").await;
        assert_eq!(pay(&unreachable, &second, "pm_card_visa").await.status, PaymentState::Pending);
    }

    #[tokio::test]
    async fn an_instalment_is_paid_and_the_rest_stays_open() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let pay = async |amount| {
            let command = Command { amount, ..pay_command(&charge, "pm_card_visa") };
            handle(&ctx, &testkit::call(command)).await
        };
        assert_eq!(code(pay(Some(francs(150_001))).await), "AMOUNT_TOO_LARGE");
        assert_eq!(code(pay(Some(francs(0))).await), "AMOUNT_NOT_POSITIVE");
        let part = pay(Some(francs(90_000))).await.expect("asked for");
        assert_eq!(part.amount, francs(90_000));
        receive_webhook::handle(&ctx, &webhook(&provider.intents()[0])).await.expect("paid");
        assert_eq!(invoice(&ctx, &charge).await.open(), francs(60_000));
        assert_eq!(pay(None).await.expect("asked for").amount, francs(60_000));
    }

    #[tokio::test]
    async fn one_payment_of_an_invoice_is_under_way_at_a_time() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        pay(&ctx, &charge, "pm_card_visa").await;
        let command = || testkit::call(pay_command(&charge, "pm_card_visa"));
        assert_eq!(code(handle(&ctx, &command()).await), "PAYMENT_IN_PROGRESS");
        receive_webhook::handle(&ctx, &webhook(&provider.intents()[0])).await.expect("paid");
        assert_eq!(code(handle(&ctx, &command()).await), "INVOICE_PAID");
    }

    #[tokio::test]
    async fn a_credited_invoice_and_another_s_cannot_be_paid() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let others = charge(&ctx, "bob", "two").await;
        let call = testkit::call(pay_command(&others, "pm_card_visa"));
        assert_eq!(code(handle(&ctx, &call).await), "INVOICE_UNKNOWN");
        let own = charge(&ctx, "ada", "one").await;
        for number in [1, 2] {
            let dropped = crate::fixtures::dropped("ada", "one", number);
            super::super::on_registration_dropped::handle(&ctx, &dropped).await.expect("credited");
        }
        let call = testkit::call(pay_command(&own, "pm_card_visa"));
        assert_eq!(code(handle(&ctx, &call).await), "INVOICE_CREDITED");
    }

    #[tokio::test]
    async fn the_same_key_finds_the_same_payment_and_with_other_words_is_refused() {
        let test = testkit::TestTable::new().await;
        let provider = provider().await;
        let ctx = ctx_with(&test.table, &provider);
        let charge = charge(&ctx, "ada", "one").await;
        let key = IdempotencyKey { scope: "ada#key".into(), input_hash: "hash".into() };
        let call = |method: &str| Call {
            idempotency_key: Some(key.clone()),
            ..testkit::call(pay_command(&charge, method))
        };
        handle(&ctx, &call("pm_card_visa")).await.expect("starts");
        let again = handle(&ctx, &call("pm_card_visa")).await;
        assert!(matches!(again, Err(Failure::DoneBefore)), "{again:?}");
        assert_eq!(provider.asked(), 1);
        let other = handle(&ctx, &call("pm_sim_late")).await;
        assert_eq!(code(other), "IDEMPOTENCY_KEY_REUSED");
    }

    #[tokio::test]
    async fn another_s_payment_is_as_unknown_as_one_that_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let charge = charge(&ctx, "ada", "one").await;
        let payment = pay(&ctx, &charge, "pm_card_visa").await.id;
        let bob = Call {
            caller: Some(shell::Caller {
                person: testkit::person("bob"),
                session: Id::derived_from("bob"),
                grants: Vec::new(),
            }),
            ..testkit::call(read_payment::Command { payment })
        };
        assert_eq!(code(read_payment::handle(&ctx, &bob).await), "PAYMENT_UNKNOWN");
        let nowhere = read_payment::Command { payment: PaymentId::derived_from("nowhere") };
        let nowhere = read_payment::handle(&ctx, &testkit::call(nowhere)).await;
        assert_eq!(code(nowhere), "PAYMENT_UNKNOWN");
    }
}
