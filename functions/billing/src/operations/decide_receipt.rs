//! The bursar has found the money of a receipt, and books it as the student's payment; or has not, and says why.
//! Decided once: the same word again changes nothing. A rejected reference may be handed in anew.

use events::{ReceiptMatched, ReceiptRejected};
use kernel::{Date, Id, Money, PaymentId, PersonId, ReceiptId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::{Stored, Transaction};

use super::BURSAR;
use crate::Ctx;
use crate::counter::{self, Counted};
use crate::domain::{Decided, Receipt, ReceiptState, Refusal};
use crate::store::{self, Cause, HandedIn};

pub const ROUTE: Route = Route::act(
    "decide-receipt",
    "/receipts/{receipt}/decision",
    BURSAR,
    "Book the money of a receipt, or reject it",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub receipt: ReceiptId,
    /// Who handed it in.
    pub student: PersonId,
    pub decision: Decision,
    /// Shown to the student.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// The money is here.
    Match {
        /// So much, where it is not what the student says.
        amount: Option<Money>,
        /// On this day, where it is not the one that the student says.
        received_on: Option<Date>,
    },
    Reject,
}

pub type Reply = Receipt;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { receipt, student, decision, reason } = call.command.clone();
    let receipt = ctx.table.get(&store::receipt_key(student, receipt)).await?;
    let mut receipt = receipt.ok_or(Refusal::ReceiptUnknown)?;
    let decided = Decided { by: call.person(), at: call.now, reason };
    let payment = PaymentId::derived_from(&receipt.value.id.to_string());
    let status = match decision {
        Decision::Match { .. } => ReceiptState::Matched { payment },
        Decision::Reject => ReceiptState::Rejected,
    };
    if !receipt.value.decide(status, decided)? {
        return Ok(receipt.value);
    }
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    transaction.update(&receipt);
    match decision {
        Decision::Match { amount, received_on } => {
            let found = (amount, received_on);
            book(ctx, &mut transaction, (&receipt, payment), found, cause).await?;
        }
        Decision::Reject => reject(ctx, &mut transaction, &receipt, cause).await?,
    }
    call.keep_reply(&mut transaction, &receipt.value);
    transaction.commit().await?;
    Ok(receipt.value)
}

async fn book(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    (Stored { value: receipt, version }, payment): (&Stored<Receipt>, PaymentId),
    (amount, received_on): (Option<Money>, Option<Date>),
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let counted = Counted {
        id: payment,
        student: receipt.student,
        amount: amount.unwrap_or(receipt.amount),
        channel: receipt.channel,
        bank: receipt.bank.clone(),
        reference: receipt.reference.clone(),
        invoice: receipt.invoice,
        received_on: Some(received_on.unwrap_or(receipt.paid_on)),
        period: None,
        only: Vec::new(),
    };
    let amount = counter::take(ctx, transaction, counted, cause).await?.amount;
    let (receipt, student) = (receipt.id, receipt.student);
    let event = ReceiptMatched { receipt, student, payment, amount };
    transaction.event(event, version + 1, cause.now, cause.correlation_id);
    Ok(())
}

async fn reject(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    Stored { value: receipt, version }: &Stored<Receipt>,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let handed_in = store::handed_in_key(&HandedIn::of(receipt).reference);
    if let Some(handed_in) = ctx.table.get(&handed_in).await? {
        transaction.delete(&handed_in);
    }
    let reason = receipt.decided.as_ref().map(|decided| decided.reason.clone());
    let event = ReceiptRejected {
        receipt: receipt.id,
        student: receipt.student,
        reason: reason.unwrap_or_default(),
    };
    transaction.event(event, version + 1, cause.now, cause.correlation_id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{Event, PaymentSucceeded};
    use shell::Scope;

    use super::super::list_receipts;
    use super::super::submit_receipt::{self, tests::receipt};
    use super::*;
    use crate::domain::{Account, InvoiceState};
    use crate::fixtures::{
        account, charge, check_ledger, code, count, ctx, francs, invoice, unapplied_cash,
    };

    async fn hand_in(ctx: &Ctx, reference: &str) -> ReceiptId {
        let call = receipt(reference, 150_000);
        submit_receipt::handle(ctx, &call).await.expect("handed in").id
    }

    fn decide(receipt: ReceiptId, decision: Decision) -> Call<Command> {
        let (student, reason) = (testkit::person("ada"), "The statement shows it.".to_owned());
        testkit::call(Command { receipt, student, decision, reason })
    }

    const AS_SAID: Decision = Decision::Match { amount: None, received_on: None };

    async fn waiting(ctx: &Ctx) -> usize {
        let staff = Call {
            reach: vec![(Scope::All, None)],
            ..testkit::call(list_receipts::Command { student: None })
        };
        list_receipts::handle(ctx, &staff).await.expect("lists").items.len()
    }

    #[tokio::test]
    async fn what_is_found_pays_what_is_owed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let charged = charge(&ctx, "ada", "one").await;
                (decide(hand_in(&ctx, "TX 77").await, AS_SAID), charged)
            },
            async |table, (call, _)| handle(&ctx(table), call).await.map(drop),
            async |table, (call, charged)| {
                let ctx = ctx(table);
                handle(&ctx, call).await.expect("a double click is harmless");
                assert_eq!(invoice(&ctx, charged).await.state(), InvoiceState::Paid);
                let books = account(&ctx, "ada").await;
                assert_eq!(books.balance(Account::Bank), francs(150_000));
                assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
                assert_eq!(count(&ctx, ReceiptMatched::NAME).await, 1);
                assert_eq!(waiting(&ctx).await, 0);
                let other = handle(&ctx, &decide(call.command.receipt, Decision::Reject)).await;
                assert_eq!(code(other), "RECEIPT_DECIDED");
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn two_bursars_at_once_book_the_money_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let receipt = hand_in(&ctx, "TX 77").await;
        let keyless = || Call { idempotency_key: None, ..decide(receipt, AS_SAID) };
        let (one, other) = (keyless(), keyless());
        let work = async |call| shell::run_step(async || handle(&ctx, call).await).await;
        let (one, other) = tokio::join!(work(&one), work(&other));
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(unapplied_cash(&ctx, "ada").await, 150_000);
        assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn a_rejected_receipt_books_nothing_and_its_reference_may_be_handed_in_anew() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = hand_in(&ctx, "TX 77").await;
        assert_eq!(waiting(&ctx).await, 1);
        for _ in 0..2 {
            let rejected = handle(&ctx, &decide(first, Decision::Reject)).await.expect("rejected");
            assert_eq!(rejected.status, ReceiptState::Rejected);
        }
        assert_eq!(count(&ctx, ReceiptRejected::NAME).await, 1);
        assert_eq!(unapplied_cash(&ctx, "ada").await, 0);
        let second = hand_in(&ctx, "TX 77").await;
        let less = Decision::Match { amount: Some(francs(140_000)), received_on: None };
        handle(&ctx, &decide(second, less)).await.expect("what the statement shows counts");
        assert_eq!(unapplied_cash(&ctx, "ada").await, 140_000);
        let own = testkit::call(list_receipts::Command { student: None });
        let own = list_receipts::handle(&ctx, &own).await.expect("lists").items;
        assert_eq!(own.len(), 2, "the student sees what became of both");
        let nowhere = kernel::Id::derived_from("nowhere");
        let unknown = handle(&ctx, &decide(nowhere, Decision::Reject)).await;
        assert_eq!(code(unknown), "RECEIPT_UNKNOWN");
    }
}
