//! What a sponsor has not paid of an invoice becomes the student's to pay, with a reason, and is due later than the
//! invoice says. What the sponsor has paid stays.

use kernel::{InvoiceId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::Noted;

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Decided, Refusal, SponsorContractCode};
use crate::sponsoring;
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "return-sponsored-invoice",
    "/sponsor-contracts/{sponsor_contract}/invoices/{invoice}/return",
    BURSAR,
    "Let the student pay what a sponsor has not paid of an invoice",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub sponsor_contract: SponsorContractCode,
    pub invoice: InvoiceId,
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub invoice: InvoiceId,
    /// What the student is to pay of it from now on in the sponsor's place.
    pub returned: Money,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { sponsor_contract, invoice, reason } = call.command.clone();
    let document = ctx.table.get(&store::invoice_key(invoice)).await?;
    let document = document.ok_or(Refusal::InvoiceUnknown)?.value;
    let issued_at = document.document().issued_at;
    let row = store::sponsored_invoice_key(&sponsor_contract, issued_at, invoice);
    let row = ctx.table.get(&row).await?.ok_or(Refusal::SponsoredInvoiceUnknown)?.value;
    let returned = Money::new(row.open(), row.amount.currency);
    let decided = Decided { by: call.person(), at: call.now, reason };
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    sponsoring::give_back(ctx, &mut transaction, &row, decided, cause).await?;
    let reply = Reply { invoice, returned };
    let trail = ctx.table.trail(row.student).await?;
    let noted = Noted::change(format!("sponsored-invoice/{invoice}")).fields_of(None, &reply);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::super::set_sponsor_contract::tests::ministry;
    use super::super::sponsor_student::tests::{agree, owed, put_student_under, statement};
    use super::*;
    use crate::fixtures::{account, charge, check_ledger, code, ctx, francs};

    fn call(invoice: InvoiceId) -> Call<Command> {
        let sponsor_contract = SponsorContractCode("ministry".into());
        testkit::call(Command { sponsor_contract, invoice, reason: "They do not pay.".into() })
    }

    #[tokio::test]
    async fn what_a_sponsor_does_not_pay_is_the_student_s_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                agree(&ctx, ministry().terms).await;
                put_student_under(&ctx, "ada").await;
                call(charge(&ctx, "ada", "one").await.invoice)
            },
            async |table, call| match handle(&ctx(table), call).await {
                // The shell finds the first reply under the key; here there is nothing left.
                Err(Failure::Refused(refusal)) if refusal.code() == "NOTHING_OPEN" => Ok(()),
                other => other.map(drop),
            },
            async |table, call| {
                let ctx = ctx(table);
                assert_eq!(code(handle(&ctx, call).await), "NOTHING_OPEN");
                assert_eq!(owed(&ctx, "ada").await, (150_000, 0));
                assert_eq!(statement(&ctx).await, [(0, 0)]);
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert!(noted.iter().any(|operation| *operation == ROUTE.operation));
                charge(&ctx, "ada", "two").await;
                assert_eq!(owed(&ctx, "ada").await, (210_000, 90_000), "others stay the sponsor's");
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_returned_late_is_not_overdue_at_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        agree(&ctx, ministry().terms).await;
        put_student_under(&ctx, "ada").await;
        let charged = charge(&ctx, "ada", "one").await;
        let mut late = call(charged.invoice);
        late.now += jiff::SignedDuration::from_hours(40 * 24);
        assert_eq!(handle(&ctx, &late).await.expect("returned").returned, francs(90_000));
        let until = ctx.institution().due(late.now);
        let books = account(&ctx, "ada").await;
        assert_eq!(books.overdue(until), francs(0));
        assert_eq!(books.overdue(until.tomorrow().expect("a day")), francs(150_000));
        let nowhere = kernel::Id::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &call(nowhere)).await), "INVOICE_UNKNOWN");
        let others = charge(&ctx, "bob", "three").await.invoice;
        assert_eq!(code(handle(&ctx, &call(others)).await), "SPONSORED_INVOICE_UNKNOWN");
    }
}
