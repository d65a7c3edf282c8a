//! Moves the due date of an invoice, with a reason. The document keeps its date; until the later one, nothing of it is
//! overdue, and the seats that it is for wait for no money.

use events::InvoiceDeferred;
use kernel::{Date, InvoiceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::BURSAR;
use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Decided, Deferral, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "defer-invoice",
    "/invoices/{invoice}/deferral",
    BURSAR,
    "Let an invoice be due later than it says",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub invoice: InvoiceId,
    /// The last day on which it can be paid in time; the latest word counts.
    pub until: Date,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub invoice: InvoiceId,
    pub deferral: Deferral,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { invoice, until, reason } = call.command.clone();
    let stored = ctx.table.get(&store::invoice_key(invoice)).await?;
    let document = stored.ok_or(Refusal::InvoiceUnknown)?.value;
    let (student, total) = (document.document().student, document.document().total);
    let wanted = Wanted { now: call.now, series: &[], invoices: &[invoice] };
    let mut books = Bookkeeping::open(ctx, student, total.currency, wanted).await?;
    let decided = Decided { by: call.person(), at: call.now, reason };
    let deferral = Deferral { until, decided };
    let (account, document) = books.account_and_invoice(invoice);
    account.defer(document, deferral.clone(), ctx.institution().date(call.now))?;
    books.follow().await?;
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    books.write(&mut transaction, &[], cause);
    let version = books.account.next_version();
    let event = InvoiceDeferred { invoice, student, until };
    transaction.event(event, version, cause.now, cause.correlation_id);
    let reply = Reply { invoice, deferral };
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{ChargeSecured, Event};

    use super::super::await_settlement;
    use super::*;
    use crate::fixtures::{
        account, charge, code, count, ctx, francs, give, invoice, wait_step, with_step_functions,
    };

    fn defer(invoice: InvoiceId, until: &str) -> Call<Command> {
        let until = until.parse().expect("a date");
        testkit::call(Command { invoice, until, reason: "The scholarship is late.".into() })
    }

    #[tokio::test]
    async fn a_due_date_is_moved_whatever_happens_on_the_wire_and_the_document_keeps_its_own() {
        testkit::under_every_fault(
            async |table| {
                let charged = charge(&ctx(table), "ada", "one").await;
                (defer(charged.invoice, "2027-03-01"), charged)
            },
            async |table, (call, _)| handle(&ctx(table), call).await.map(drop),
            async |table, (call, charged)| {
                let ctx = ctx(table);
                let books = account(&ctx, "ada").await;
                assert_eq!(books.overdue(call.command.until), francs(0));
                let day_after = call.command.until.tomorrow().expect("a day");
                assert_eq!(books.overdue(day_after), francs(150_000));
                let document = invoice(&ctx, charged).await;
                assert_eq!(document.document().due.to_string(), "2027-01-22");
                assert_eq!(count(&ctx, ChargeSecured::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_deferred_invoice_lets_its_registrations_go_on_until_the_later_date_is_past() {
        let test = testkit::TestTable::new().await;
        let sfn = testkit::StepFunctions::start().await;
        let ctx = with_step_functions(&ctx(&test.table), &sfn, &test.engine);
        let charged = charge(&ctx, "ada", "one").await;
        handle(&ctx, &defer(charged.invoice, "2027-03-01")).await.expect("deferred");
        for (days, expected) in [(0, true), (45, true), (46, false)] {
            let mut step = wait_step("one", "token");
            step.now += jiff::SignedDuration::from_hours(days * 24);
            let waits = await_settlement::handle(&ctx, &step).await.expect("answered");
            assert_eq!(waits.secured, expected, "after {days} days");
        }
        assert_eq!(sfn.calls("SendTaskSuccess").len(), 2);
    }

    #[tokio::test]
    async fn what_is_paid_in_part_stays_deferred_and_what_is_paid_is_not_deferred() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let charged = charge(&ctx, "ada", "one").await;
        let early = handle(&ctx, &defer(charged.invoice, "2027-01-21")).await;
        assert_eq!(code(early), "DEFERRAL_TOO_EARLY");
        let mut late = defer(charged.invoice, "2027-02-01");
        late.now += jiff::SignedDuration::from_hours(30 * 24);
        assert_eq!(code(handle(&ctx, &late).await), "DEFERRAL_TOO_EARLY", "it is past");
        handle(&ctx, &defer(charged.invoice, "2027-03-01")).await.expect("deferred");
        give(&ctx, "ada", 10_000).await;
        let books = account(&ctx, "ada").await;
        assert!(books.claims().iter().all(|claim| claim.due.to_string() == "2027-03-01"));
        give(&ctx, "ada", 140_000).await;
        let paid = handle(&ctx, &defer(charged.invoice, "2027-04-01")).await;
        assert_eq!(code(paid), "INVOICE_PAID");
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &defer(nowhere, "2027-04-01")).await), "INVOICE_UNKNOWN");
    }
}
