//! A student hands in the reference of a transfer or of a cash receipt, for the bursar to find the money. A bank's
//! reference is handed in once; who brings it again is told where it was used first.

use events::ReceiptSubmitted;
use kernel::{Date, Id, InvoiceId, Money, PersonId, ReceiptId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Record;

use super::OWN_OR_BURSAR;
use crate::Ctx;
use crate::domain::{CounterChannel, Receipt, ReceiptState, Refusal};
use crate::store::{self, HandedIn};

pub const ROUTE: Route = Route::create(
    "submit-receipt",
    "/receipts",
    OWN_OR_BURSAR,
    "Hand in the reference of a transfer or of a cash receipt",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose payment it was; the caller's own unless given.
    pub student: Option<PersonId>,
    pub channel: CounterChannel,
    /// The bank, or the counter, that gave it.
    #[schemars(length(min = 1, max = 40))]
    pub bank: String,
    #[schemars(length(min = 1, max = 60))]
    pub reference: String,
    /// More than nothing.
    pub amount: Money,
    pub paid_on: Date,
    /// What it was paid for.
    pub invoice: Option<InvoiceId>,
}

pub type Reply = Receipt;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { channel, bank, reference, amount, paid_on, invoice, .. } = call.command.clone();
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    if amount.minor <= 0 {
        return Err(Refusal::AmountNotPositive.into());
    }
    if paid_on > ctx.institution().date(call.now) {
        return Err(Refusal::DateInFuture.into());
    }
    let invoice = store::named_invoice(&ctx.table, invoice, student, amount.currency).await?;
    let receipt = Receipt {
        id: match &call.idempotency_key {
            Some(key) => ReceiptId::derived_from(&key.scope),
            None => call.new_id(),
        },
        student,
        channel,
        bank,
        reference,
        amount,
        paid_on,
        invoice,
        status: ReceiptState::Waiting,
        submitted_at: call.now,
        decided: None,
        file: None,
    };
    let handed_in = HandedIn::of(&receipt);
    let reference_key = store::provider_reference_key(&handed_in.reference);
    let handed_in_key = store::handed_in_key(&handed_in.reference);
    let receipt_key = receipt.key();
    let keys = vec![(&reference_key).into(), (&handed_in_key).into(), (&receipt_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    if let Some(standing) = batch.take(&receipt_key)? {
        return Ok(standing.value);
    }
    if let Some(taken) = batch.take(&reference_key)? {
        return Err(Refusal::ReferenceTaken { payment: taken.value.payment }.into());
    }
    if let Some(first) = batch.take(&handed_in_key)? {
        return Err(Refusal::ReceiptTaken { receipt: first.value.receipt }.into());
    }
    let mut transaction = ctx.table.transaction();
    transaction.create(&receipt);
    transaction.create(&handed_in);
    let event = ReceiptSubmitted { receipt: receipt.id, student, amount };
    transaction.event(event, 1, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &receipt);
    transaction.commit().await?;
    Ok(receipt)
}

#[cfg(test)]
pub(super) mod tests {
    use events::Event;

    use super::super::record_payment;
    use super::*;
    use crate::fixtures::{code, count, ctx, francs};

    pub fn receipt(reference: &str, minor: i64) -> Call<Command> {
        testkit::call(Command {
            student: None,
            channel: CounterChannel::BankTransfer,
            bank: "Afriland".into(),
            reference: reference.into(),
            amount: francs(minor),
            paid_on: "2027-01-14".parse().expect("a date"),
            invoice: None,
        })
    }

    #[tokio::test]
    async fn a_receipt_is_handed_in_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| receipt("TX 77", 150_000),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                assert_eq!(count(&ctx, ReceiptSubmitted::NAME).await, 1);
                let again = Call { idempotency_key: None, ..receipt(" tx  77", 150_000) };
                assert_eq!(code(handle(&ctx, &again).await), "RECEIPT_TAKEN");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_a_cashier_has_taken_is_not_handed_in_and_the_first_use_is_named() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let counted = testkit::call(record_payment::Command {
            student: testkit::person("bob"),
            amount: francs(5),
            channel: CounterChannel::BankTransfer,
            bank: "AFRILAND".into(),
            reference: "TX-77".into(),
            invoice: None,
            received_on: None,
            period: None,
            only: Vec::new(),
        });
        let first = record_payment::handle(&ctx, &counted).await.expect("counted").id;
        let Err(Failure::Refused(refused)) = handle(&ctx, &receipt("tx 77", 5)).await else {
            panic!("it is taken")
        };
        assert_eq!(refused.code(), "REFERENCE_TAKEN");
        assert_eq!(refused.arguments(), [("payment", first.to_string())]);
    }

    #[tokio::test]
    async fn nothing_another_s_and_what_is_still_to_be_paid_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        assert_eq!(code(handle(&ctx, &receipt("A", 0)).await), "AMOUNT_NOT_POSITIVE");
        let mut tomorrow = receipt("A", 1);
        tomorrow.command.paid_on = "2027-01-16".parse().expect("a date");
        assert_eq!(code(handle(&ctx, &tomorrow).await), "DATE_IN_FUTURE");
        let mut others = receipt("A", 1);
        others.command.student = Some(testkit::person("bob"));
        assert_eq!(code(handle(&ctx, &others).await), "STUDENT_UNKNOWN");
    }
}
