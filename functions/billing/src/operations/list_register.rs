//! The register of a series of documents: every number that was given, in order, with the document that bears it. Where
//! one were missing, the item behind it would say so.

use kernel::{InvoiceId, Money, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};

use super::BURSAR;
use crate::Ctx;
use crate::domain::{RegisterRow, Series};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-register",
    "/invoice-register",
    BURSAR,
    "List the numbers of invoices or credit notes with the documents that bear them",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What its numbers begin with, as in `MAT-2027`; absent, that of the invoices of this fiscal year.
    #[schemars(length(min = 1, max = 40))]
    pub series: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub number: String,
    /// The invoice that bears it, or that the credit note is for.
    pub invoice: InvoiceId,
    pub student: PersonId,
    /// Less than nothing for a credit note.
    pub total: Money,
    pub issued_at: Timestamp,
    /// Whether it follows the number before it; false where one is missing in between.
    pub is_next: bool,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let current = || Series::Invoices.prefix(ctx.institution(), call.now);
    let series = call.command.series.clone().unwrap_or_else(current);
    let page = ctx.table.query(&store::register(&series), &call.page).await?;
    let first = page.records.first().map(|row| row.value.ordinal);
    let mut before = match first.filter(|first| *first > 1) {
        Some(first) => {
            let stands = ctx.table.get(&store::register_key(&series, first - 1)).await?.is_some();
            if stands { first - 1 } else { 0 }
        }
        None => 0,
    };
    let mut items = Vec::new();
    for row in page.records {
        let RegisterRow { ordinal, invoice, student, total, issued_at, .. } = row.value;
        let is_next = ordinal == before + 1;
        let number = row.value.number();
        items.push(Item { number, invoice, student, total, issued_at, is_next });
        before = ordinal;
    }
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::*;
    use crate::fixtures::{charge, ctx, dropped, francs};
    use crate::operations::on_registration_dropped;

    async fn page(ctx: &Ctx, series: Option<&str>, page: PageRequest) -> Reply {
        let command = Command { series: series.map(ToOwned::to_owned) };
        handle(ctx, &Call { page, ..testkit::call(command) }).await.expect("lists")
    }

    #[tokio::test]
    async fn a_register_shows_every_number_and_where_one_is_missing_page_by_page() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for name in ["one", "two", "three", "four"] {
            charge(&ctx, "ada", name).await;
        }
        let first = page(&ctx, None, PageRequest { after: None, limit: 2 }).await;
        let second = page(&ctx, None, PageRequest { after: first.next_cursor, limit: 2 }).await;
        let items: Vec<Item> = first.items.into_iter().chain(second.items).collect();
        let numbers: Vec<&str> = items.iter().map(|item| item.number.as_str()).collect();
        let expected = ["MAT-2027-000001", "MAT-2027-000002", "MAT-2027-000003", "MAT-2027-000004"];
        assert_eq!(numbers, expected);
        assert!(items.iter().all(|item| item.is_next && item.total == francs(150_000)));
        let third = ctx.table.get(&store::register_key("MAT-2027", 3)).await.expect("reads");
        let mut transaction = ctx.table.transaction();
        transaction.delete(&third.expect("it was given"));
        transaction.commit().await.expect("somebody writes past the code");
        let items = page(&ctx, Some("MAT-2027"), PageRequest::default()).await.items;
        let is_next: Vec<bool> = items.iter().map(|item| item.is_next).collect();
        assert_eq!(is_next, [true, true, false]);
    }

    #[tokio::test]
    async fn credit_notes_have_a_register_of_their_own() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        let told = dropped("ada", "one", 1);
        on_registration_dropped::handle(&ctx, &told).await.expect("credited");
        let items = page(&ctx, Some("MAT-CN-2027"), PageRequest::default()).await.items;
        assert_eq!((items.len(), items[0].total), (1, francs(-100_000)));
        assert!(page(&ctx, Some("MAT-1999"), PageRequest::default()).await.items.is_empty());
    }
}
