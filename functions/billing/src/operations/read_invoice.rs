//! One invoice, with what is still open of it.

use kernel::{BundleId, ChargeId, Date, InvoiceId, Money, PaymentId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{Credit, Invoice, InvoiceLine, InvoiceState, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-invoice", "/invoices/{invoice}", OWN_OR_STAFF, "Read an invoice")
        .for_clients(ClientScope::BillingRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub invoice: InvoiceId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: InvoiceId,
    pub version: u64,
    pub number: String,
    pub state: InvoiceState,
    pub student: PersonId,
    /// The bundle's, where the invoice is of one.
    pub charge: Option<ChargeId>,
    pub bundle: Option<BundleId>,
    pub term_code: String,
    pub issued_at: Timestamp,
    pub due: Date,
    pub lines: Vec<InvoiceLine>,
    pub total: Money,
    /// By money, by credits of the bursar's office, by sponsors, and by what was given up.
    pub paid: Money,
    /// What of it was given up.
    pub written_off: Money,
    /// What of it sponsors pay by contract.
    pub sponsored: Money,
    pub credited: Money,
    /// Total less payments less credits.
    pub open: Money,
    /// What credit notes took back.
    pub credits: Vec<Credit>,
    pub payment_under_way: Option<PaymentId>,
}

impl Reply {
    pub fn of(invoice: &Invoice, version: u64) -> Self {
        let document = invoice.document().clone();
        Self {
            id: document.id,
            version,
            number: document.number,
            state: invoice.state(),
            student: document.student,
            charge: document.charge,
            bundle: document.bundle,
            term_code: document.term_code,
            issued_at: document.issued_at,
            due: document.due,
            lines: document.lines,
            total: document.total,
            paid: invoice.paid(),
            written_off: invoice.written_off(),
            sponsored: invoice.sponsored(),
            credited: invoice.credited(),
            open: invoice.open(),
            credits: invoice.credits().to_vec(),
            payment_under_way: invoice.payment_under_way(),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let invoice = ctx
        .table
        .get(&store::invoice_key(call.command.invoice))
        .await?
        .filter(|invoice| call.may_touch(invoice.value.document().student, &[]))
        .ok_or(Refusal::InvoiceUnknown)?;
    Ok(Reply::of(&invoice.value, invoice.version))
}

#[cfg(test)]
mod tests {
    use shell::Scope;

    use super::*;
    use crate::fixtures::{charge, code, ctx, francs};

    #[tokio::test]
    async fn a_student_reads_their_own_invoice_and_staff_read_any() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let invoice = charge(&ctx, "ada", "one").await.invoice;
        let reply = handle(&ctx, &testkit::call(Command { invoice })).await.expect("ada's own");
        assert_eq!((reply.number.as_str(), reply.open), ("MAT-2027-000001", francs(150_000)));
        let staff = Call { reach: vec![(Scope::All, None)], ..testkit::call(Command { invoice }) };
        assert_eq!(handle(&ctx, &staff).await.expect("any"), reply);
    }

    #[tokio::test]
    async fn another_s_invoice_is_as_unknown_as_one_that_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let invoice = charge(&ctx, "bob", "one").await.invoice;
        let others = handle(&ctx, &testkit::call(Command { invoice })).await;
        assert_eq!(code(others), "INVOICE_UNKNOWN");
        let nowhere = Command { invoice: kernel::Id::derived_from("nowhere") };
        assert_eq!(code(handle(&ctx, &testkit::call(nowhere)).await), "INVOICE_UNKNOWN");
    }
}
