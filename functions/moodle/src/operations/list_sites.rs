//! The Moodle sites that Matricula keeps in step, by their short names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};
use table::Stored;

use super::STAFF;
use crate::Ctx;
use crate::domain::{Breaker, Site, SiteCode};
use crate::store;

pub const ROUTE: Route = Route::list("list-sites", "/moodle/sites", STAFF, "List the Moodle sites");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub site: SiteCode,
    pub title: String,
    pub url: String,
    pub is_active: bool,
    pub breaker: Breaker,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::sites(), &call.page).await?;
    let key = |site: &Stored<Site>| store::health_key(&site.value.code);
    let keys = page.records.iter().map(|site| (&key(site)).into()).collect();
    let mut known = store::batch(&ctx.table, keys).await?;
    let mut items = Vec::new();
    for site in page.records {
        let health = store::take(&mut known, &key(&site))?;
        let breaker = health.map_or(Breaker::Closed, |health| health.value.breaker);
        let settings = site.value.settings;
        items.push(Item {
            site: site.value.code,
            title: settings.title,
            url: settings.url,
            is_active: settings.is_active,
            breaker,
        });
    }
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[tokio::test]
    async fn the_second_page_goes_on_where_the_first_ended() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        let none = handle(&ctx, &testkit::call(Command {})).await.expect("a page");
        assert_eq!((none.items.len(), none.next_cursor), (0, None));
        for site in ["hr", "academics", "finance"] {
            fixtures::add_site(&ctx, site, "http://127.0.0.1:9").await;
        }
        let page = async |after| {
            let page = table::PageRequest { after, limit: 2 };
            let call = Call { page, ..testkit::call(Command {}) };
            handle(&ctx, &call).await.expect("a page")
        };
        let first = page(None).await;
        let second = page(first.next_cursor).await;
        let all = first.items.into_iter().chain(second.items).map(|item| item.site.0);
        assert_eq!(all.collect::<Vec<_>>(), ["academics", "finance", "hr"]);
    }
}
