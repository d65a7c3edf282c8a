//! The providers that anybody may sign in with: what the buttons beside the log-in say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Listing, Route};

use crate::domain::ProviderCode;
use crate::{Ctx, sign_in_store};

pub const ROUTE: Route = Route::list(
    "list-sign-in-providers",
    "/sign-in-providers",
    Access::Public,
    "List the providers to sign in with",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub provider: ProviderCode,
    pub title: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    let page = ctx.table.query(&sign_in_store::providers(), &call.page).await?;
    let open = page.records.into_iter().filter(|provider| provider.value.is_open());
    let items =
        open.map(|stored| Item { provider: stored.value.code, title: stored.value.settings.title });
    Ok(Listing { items: items.collect(), next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use super::super::set_sign_in_provider::tests::agreed;
    use super::*;
    use crate::fixtures::{ctx, university};

    #[tokio::test]
    async fn providers_are_listed_by_their_titles_as_long_as_they_are_active() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let mut settings = university("https://idp.example");
        let provider = agreed(&ctx, settings.clone()).await;
        let list = async || {
            let call = Call { caller: None, ..testkit::call(Command {}) };
            handle(&ctx, &call).await.expect("lists").items
        };
        assert_eq!(list().await, [Item { provider, title: settings.title.clone() }]);
        settings.is_active = false;
        agreed(&ctx, settings).await;
        assert_eq!(list().await, []);
    }
}
