//! Money that came without the provider: notes over the counter, or a bank transfer. A bank's reference is taken once;
//! who brings it again is told which payment it stands for.

use kernel::{Date, Id, InvoiceId, Money, PaymentId, PersonId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::BURSAR;
use super::read_payment::Reply;
use crate::Ctx;
use crate::counter::{self, Counted};
use crate::domain::{ChargeCode, CounterChannel, PostingPeriod};
use crate::store::Cause;

pub const ROUTE: Route = Route::create(
    "record-payment",
    "/counter-payments",
    BURSAR,
    "Record money that came over the counter or to the bank",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
    /// More than nothing.
    pub amount: Money,
    pub channel: CounterChannel,
    /// The bank, or the counter, that gave the reference.
    #[schemars(length(min = 1, max = 40))]
    pub bank: String,
    /// Of the receipt, or of the transfer: each of one bank is taken once, also where a student has handed it in.
    #[schemars(length(min = 1, max = 60))]
    pub reference: String,
    /// What it pays first; absent, it pays what is due longest.
    pub invoice: Option<InvoiceId>,
    /// When it came, if not today.
    pub received_on: Option<Date>,
    /// The posting period that must take it; absent, it is booked by its date, or in the open period where that of its
    /// date is closed.
    pub period: Option<PostingPeriod>,
    /// It pays for charges of these codes only; for all where there are none.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub only: Vec<ChargeCode>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { student, amount, channel, bank, reference, .. } = call.command.clone();
    let Command { invoice, received_on, period, only, .. } = call.command.clone();
    let id = match &call.idempotency_key {
        Some(key) => PaymentId::derived_from(&key.scope),
        None => call.new_id(),
    };
    let counted = Counted {
        id,
        student,
        amount,
        channel,
        bank,
        reference,
        invoice,
        received_on,
        period,
        only,
    };
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let payment = counter::take(ctx, &mut transaction, counted, cause).await?;
    let reply = Reply::of(&payment);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{ChargeSettled, Event, PaymentSucceeded};

    use super::super::close_posting_period;
    use super::*;
    use crate::domain::{Account, InvoiceState};
    use crate::fixtures::{
        account, charge, check_ledger, code, count, ctx, francs, invoice, journal, unapplied_cash,
    };

    fn command(minor: i64, reference: &str) -> Command {
        Command {
            student: testkit::person("ada"),
            amount: francs(minor),
            channel: CounterChannel::BankTransfer,
            bank: "Afriland".into(),
            reference: reference.into(),
            invoice: None,
            received_on: None,
            period: None,
            only: Vec::new(),
        }
    }

    #[tokio::test]
    async fn money_of_a_closed_period_goes_into_the_open_one_unless_that_period_is_named() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let period: PostingPeriod = "2026-12".parse().expect("a period");
        let close = testkit::call(close_posting_period::Command { period });
        close_posting_period::handle(&ctx, &close).await.expect("closed");
        let received_on = Some("2026-12-30".parse().expect("a date"));
        let late = Command { received_on, ..command(500, "R1") };
        handle(&ctx, &testkit::call(late.clone())).await.expect("taken");
        let entry = journal(&ctx).await.remove(0);
        assert_eq!(entry.posting_period().to_string(), "2027-01");
        assert_eq!(Some(entry.effective_date()), received_on);
        let named = Command { period: Some(period), reference: "R2".into(), ..late.clone() };
        let result = handle(&ctx, &testkit::call(named.clone())).await;
        assert_eq!(code(result), "POSTING_PERIOD_CLOSED");
        let period = Some("2027-02".parse().expect("a period"));
        let result = handle(&ctx, &testkit::call(Command { period, ..named })).await;
        assert_eq!(code(result), "POSTING_PERIOD_TO_COME");
        let received_on = Some("2027-01-16".parse().expect("a date"));
        let early = Command { received_on, reference: "R3".into(), ..late };
        assert_eq!(code(handle(&ctx, &testkit::call(early)).await), "DATE_IN_FUTURE");
    }

    #[tokio::test]
    async fn a_transfer_pays_what_is_due_and_the_rest_is_the_student_s_whatever_happens() {
        testkit::under_every_fault(
            async |table| {
                let charge = charge(&ctx(table), "ada", "one").await;
                (testkit::call(command(160_000, "77")), charge)
            },
            async |table, (call, _)| match handle(&ctx(table), call).await {
                // The shell finds the first reply under the key; here the reference finds it.
                Err(Failure::Refused(refusal)) if refusal.code() == "REFERENCE_TAKEN" => Ok(()),
                other => other.map(drop),
            },
            async |table, (_, charge)| {
                let ctx = ctx(table);
                assert_eq!(invoice(&ctx, charge).await.state(), InvoiceState::Paid);
                assert_eq!(unapplied_cash(&ctx, "ada").await, 10_000);
                assert_eq!(check_ledger(&ctx).await, 2);
                assert_eq!(count(&ctx, PaymentSucceeded::NAME).await, 1);
                assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1);
                assert_eq!(account(&ctx, "ada").await.balance(Account::Bank), francs(160_000));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_same_reference_is_refused_with_the_payment_that_it_stands_for() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = handle(&ctx, &testkit::call(command(500, "TX-77"))).await.expect("taken");
        let again = handle(&ctx, &testkit::call(command(500, " tx 77 "))).await;
        let Err(Failure::Refused(refusal)) = again else { panic!("taken twice") };
        assert_eq!(refusal.code(), "REFERENCE_TAKEN");
        assert_eq!(refusal.arguments(), [("payment", first.id.to_string())]);
    }

    #[tokio::test]
    async fn two_cashiers_at_once_lose_no_money() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let charge = charge(&ctx, "ada", "one").await;
        let calls: Vec<_> =
            (0..6).map(|at| testkit::call(command(30_000, &format!("R{at}")))).collect();
        let work = calls.iter().map(async |call| {
            shell::run_step(async || handle(&ctx, call).await).await.expect("taken")
        });
        futures_util::future::join_all(work).await;
        assert_eq!(invoice(&ctx, &charge).await.state(), InvoiceState::Paid);
        assert_eq!(unapplied_cash(&ctx, "ada").await, 30_000);
        assert_eq!(check_ledger(&ctx).await, 7);
    }

    #[tokio::test]
    async fn nothing_less_than_nothing_another_s_invoice_and_another_currency_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for minor in [0, -1] {
            let result = handle(&ctx, &testkit::call(command(minor, "R"))).await;
            assert_eq!(code(result), "AMOUNT_NOT_POSITIVE");
        }
        let others = charge(&ctx, "bob", "one").await.invoice;
        let named = |command| Command { invoice: Some(others), ..command };
        let result = handle(&ctx, &testkit::call(named(command(5, "R")))).await;
        assert_eq!(code(result), "INVOICE_UNKNOWN");
        let euros = Money::new(5, "EUR".parse().expect("a currency"));
        let bobs =
            Command { student: testkit::person("bob"), amount: euros, ..named(command(5, "R")) };
        assert_eq!(code(handle(&ctx, &testkit::call(bobs)).await), "CURRENCIES_DIFFER");
        let huge = 1_000_000_000_000_000_000;
        handle(&ctx, &testkit::call(command(huge, "R1"))).await.expect("10^18 fits");
        for at in 2..=9 {
            handle(&ctx, &testkit::call(command(huge, &format!("R{at}")))).await.expect("fits");
        }
        let result = handle(&ctx, &testkit::call(command(huge, "R10"))).await;
        assert_eq!(code(result), "AMOUNT_TOO_LARGE");
        check_ledger(&ctx).await;
    }
}
