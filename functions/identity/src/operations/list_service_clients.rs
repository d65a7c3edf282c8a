//! The service clients, the newest first, those that have ended among them.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::create_service_client::ADMINISTRATORS;
use super::read_service_client::Reply as Client;
use crate::{Ctx, client_store};

pub const ROUTE: Route = Route::list(
    "list-service-clients",
    "/service-clients",
    ADMINISTRATORS,
    "List the systems that may call the API",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Client>, Failure> {
    let page = ctx.table.query(&client_store::clients(), &call.page).await?;
    let uses = client_store::uses_of(&ctx.table, &page.records).await?;
    let clients = page.records.iter().zip(&uses);
    let items = clients.map(|(client, uses)| Client::of(&client.value, uses, client.version));
    Ok(Listing { items: items.collect(), next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::super::create_service_client::{self, tests::library};
    use super::*;
    use crate::fixtures::{by_administrator, ctx};

    #[tokio::test]
    async fn every_client_is_listed_page_by_page() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let mut made = Vec::new();
        for _ in 0..3 {
            let reply = create_service_client::handle(&ctx, &by_administrator(library())).await;
            made.push(reply.expect("made").client.id);
        }
        let mut call = by_administrator(Command {});
        call.page = PageRequest { after: None, limit: 2 };
        let first = handle(&ctx, &call).await.expect("lists");
        call.page.after = first.next_cursor;
        let second = handle(&ctx, &call).await.expect("lists");
        let mut listed: Vec<_> =
            first.items.iter().chain(&second.items).map(|client| client.id).collect();
        listed.sort();
        made.sort();
        assert_eq!(listed, made);
    }
}
