//! A student puts sections aside for a term: nothing is judged and no seat is held. What is submitted and goes through
//! leaves the cart by itself; what fails stays, with its codes.

use kernel::{SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::submit;
use crate::Ctx;
use crate::domain::{KeptCart, KeptItem};
use crate::store;

pub const ROUTE: Route =
    Route::replace("set-cart", "/carts/{term}", submit::ACCESS, "Put sections aside for a term");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// In the order of preference.
    #[schemars(length(max = 15), extend("uniqueItems" = true))]
    pub sections: Vec<SectionId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reply {
    pub term: TermId,
    /// 0 where there is none.
    pub version: u64,
    pub items: Vec<KeptItem>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, sections } = &call.command;
    let stored = ctx.table.get(&store::kept_cart_key(call.person(), *term)).await?;
    let read = stored.as_ref().map(|stored| stored.version);
    let version = read.unwrap_or_default();
    let before =
        stored.map_or_else(|| KeptCart::empty(call.person(), *term), |stored| stored.value);
    let mut cart = before.clone();
    cart.replace(sections);
    if cart == before {
        return Ok(Reply { term: *term, version, items: cart.items });
    }
    call.check_version(version)?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&cart, read);
    transaction.commit().await?;
    Ok(Reply { term: *term, version: version + 1, items: cart.items })
}

#[cfg(test)]
mod tests {
    use testkit::TestTable;

    use super::super::read_cart;
    use super::*;
    use crate::fixtures::{by, cart, offer, section, term};

    fn keep(sections: &[SectionId]) -> Call<Command> {
        testkit::call(Command { term: term(), sections: sections.to_vec() })
    }

    async fn read(ctx: &Ctx, student: &str) -> Reply {
        let read = by(student, testkit::call(read_cart::Command { term: term() }));
        read_cart::handle(ctx, &read).await.expect("reads")
    }

    #[tokio::test]
    async fn a_cart_is_kept_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| keep(&[section("a"), section("b")]),
            async |table, call| handle(&Ctx::new(table.clone()), call).await.map(drop),
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                let kept = read(&ctx, "ada").await;
                let sections: Vec<SectionId> = kept.items.iter().map(|it| it.section).collect();
                assert_eq!((kept.version, &sections), (1, &call.command.sections));
                assert_eq!(read(&ctx, "bob").await.version, 0, "it is the student's own");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_goes_through_leaves_the_cart_and_what_fails_stays_with_its_codes() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let good = offer(&test.table, "good", |_| ()).await;
        let full = offer(&test.table, "full", |event| event.capacity = 0).await;
        let later = offer(&test.table, "later", |_| ()).await;
        handle(&ctx, &keep(&[good, full, later])).await.expect("kept");
        submit::handle(&ctx, &cart(&[good, full])).await.expect("one is held");
        let left = read(&ctx, "ada").await.items;
        let closed = KeptItem { section: full, codes: vec!["CLOSED".into()] };
        assert_eq!(left, [closed, KeptItem { section: later, codes: Vec::new() }]);
        let stale = Call { if_match: Some(1), ..keep(&[later]) };
        assert!(handle(&ctx, &stale).await.is_err(), "it has changed since it was read");
    }
}
