//! Terms, the latest first.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Listing, Route};

use super::read_term;
use crate::Ctx;
use crate::store;

pub const ROUTE: Route =
    Route::list("list-terms", "/terms", Access::LoggedIn, "List the terms, the latest first");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub type Reply = Listing<read_term::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let page = ctx.table.query(&store::terms(), &call.page).await?;
    let items =
        page.records.iter().map(|term| read_term::Reply::of(&term.value, term.version)).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::super::create_term;
    use super::*;
    use crate::domain::Code;

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_repeat() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        for number in 0..7 {
            let command = create_term::Command {
                code: Code(format!("T{number}")),
                ..create_term::tests::spring()
            };
            create_term::handle(&ctx, &testkit::call(command)).await.expect("a term is made");
        }
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let call = Call { page: PageRequest { after, limit: 3 }, ..testkit::call(Command {}) };
            let reply = handle(&ctx, &call).await.expect("a page");
            assert!(reply.items.len() <= 3);
            seen.extend(reply.items.into_iter().map(|term| term.code));
            match reply.next_cursor {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        seen.sort();
        assert_eq!(seen, (0..7).map(|number| Code(format!("T{number}"))).collect::<Vec<_>>());
    }
}
