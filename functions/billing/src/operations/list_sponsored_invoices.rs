//! A sponsor's statement: invoice by invoice what the sponsor pays of it, what is paid of that, and what fell back to
//! the student; the oldest first.

use kernel::{Date, InvoiceId, Money, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{Decided, SponsorContractCode, SponsoredInvoice};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-sponsored-invoices",
    "/sponsor-contracts/{sponsor_contract}/statement",
    BURSAR,
    "List what a sponsor is to pay, invoice by invoice",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub sponsor_contract: SponsorContractCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub student: PersonId,
    pub invoice: InvoiceId,
    pub invoice_number: String,
    pub term_code: String,
    pub issued_at: Timestamp,
    /// When the sponsor has to pay.
    pub due: Date,
    /// What the sponsor pays of the invoice as it stands.
    pub amount: Money,
    pub paid: Money,
    pub open: Money,
    /// That what was open fell back to the student.
    pub returned: Option<Decided>,
}

pub type Reply = Listing<Item>;

impl From<SponsoredInvoice> for Item {
    fn from(row: SponsoredInvoice) -> Self {
        let money = |minor| Money::new(minor, row.amount.currency);
        Self {
            student: row.student,
            invoice: row.invoice,
            paid: money(row.paid),
            open: money(row.open()),
            invoice_number: row.invoice_number,
            term_code: row.term_code,
            issued_at: row.issued_at,
            due: row.due,
            amount: row.amount,
            returned: row.returned,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let rows = store::sponsored_invoices(&call.command.sponsor_contract);
    let page = ctx.table.query(&rows, &call.page).await?;
    let items = page.records.into_iter().map(|row| row.value.into()).collect();
    Ok(Listing { items, next_cursor: page.next })
}
