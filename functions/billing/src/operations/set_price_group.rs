//! The price of a credit in one price group, set or changed. What was charged before keeps its price.

use kernel::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};
use table::Record;

use crate::Ctx;
use crate::domain::{PriceGroup, PriceGroupCode};

pub const ROUTE: Route = Route::replace(
    "set-price-group",
    "/price-groups/{price_group}",
    Access::Roles(&[
        Allow { role: Role::Bursar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Set what a credit costs in a price group",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub price_group: PriceGroupCode,
    /// Price of one credit; not negative.
    pub per_credit: Money,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub code: PriceGroupCode,
    pub version: u64,
    pub per_credit: Money,
}

impl Reply {
    pub fn of(group: &PriceGroup, version: u64) -> Self {
        let PriceGroup { code, per_credit } = group.clone();
        Self { code, version, per_credit }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { price_group: code, per_credit } = call.command.clone();
    let group = PriceGroup { code, per_credit };
    group.check()?;
    let stored = ctx.table.get(&group.key()).await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.value == group) {
        return Ok(Reply::of(&group, stored.version));
    }
    let read_version = stored.map(|stored| stored.version);
    call.check_version(read_version.unwrap_or_default())?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&group, read_version);
    transaction.commit().await?;
    Ok(Reply::of(&group, read_version.unwrap_or_default() + 1))
}

#[cfg(test)]
mod tests {
    use super::super::list_price_groups;
    use super::*;
    use crate::fixtures::{code, ctx, francs, replaces_only_what_was_read};

    fn standard(minor: i64) -> Call<Command> {
        let price_group = PriceGroupCode("standard".into());
        testkit::call(Command { price_group, per_credit: francs(minor) })
    }

    #[tokio::test]
    async fn what_was_set_meanwhile_is_not_overwritten() {
        let prices = [20_000, 25_000].map(|minor| standard(minor).command);
        replaces_only_what_was_read(handle, prices).await;
    }

    #[tokio::test]
    async fn a_price_is_set_and_set_again_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                handle(&ctx(table), &standard(20_000)).await.expect("a first price");
                standard(25_000)
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let again = handle(&ctx(table), call).await.expect("the price stands");
                assert_eq!((again.version, again.per_credit), (2, francs(25_000)));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_negative_price_is_refused() {
        let test = testkit::TestTable::new().await;
        assert_eq!(code(handle(&ctx(&test.table), &standard(-1)).await), "PRICE_NEGATIVE");
    }

    #[tokio::test]
    async fn the_second_page_goes_on_where_the_first_ended() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for group in ["evening", "standard", "visiting"] {
            let price_group = PriceGroupCode(group.into());
            let command = Command { price_group, per_credit: francs(1) };
            handle(&ctx, &testkit::call(command)).await.expect("a price");
        }
        let page = async |after| {
            let page = table::PageRequest { after, limit: 2 };
            let call = Call { page, ..testkit::call(list_price_groups::Command {}) };
            list_price_groups::handle(&ctx, &call).await.expect("a page")
        };
        let first = page(None).await;
        let second = page(first.next_cursor).await;
        let codes = |items: Vec<Reply>| items.into_iter().map(|item| item.code.0);
        let all: Vec<String> = codes(first.items).chain(codes(second.items)).collect();
        assert_eq!(all, ["evening", "standard", "visiting"]);
        assert_eq!(second.next_cursor, None);
    }
}
