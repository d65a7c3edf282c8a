//! Terms, the latest first.

use events::TermState;
use kernel::TermId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, ClientScope, Failure, Listing, Route};

use super::read_term;
use crate::Ctx;
use crate::domain::Term;
use crate::store;

pub const ROUTE: Route =
    Route::list("list-terms", "/terms", Access::LoggedIn, "List the terms, the latest first")
        .for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Only terms in this state.
    pub state: Option<TermState>,
    /// Only the parts of this term.
    pub parent: Option<TermId>,
}

pub type Reply = Listing<read_term::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { state, parent } = call.command;
    let is_wanted = |term: &Term| {
        state.is_none_or(|state| term.state == state) && (parent.is_none() || term.parent == parent)
    };
    let page = store::page_of(&ctx.table, &store::terms(), &call.page, is_wanted).await?;
    let items = page.records.into_iter();
    let items =
        items.map(|term| read_term::Reply { term: term.value, version: term.version }).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::*;
    use crate::domain::Code;
    use crate::fixtures::{self, ctx};

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_repeat() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for number in 0..7 {
            fixtures::term(&ctx, |term| term.code = Code(format!("T{number}"))).await;
        }
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let call =
                Call { page: PageRequest { after, limit: 3 }, ..testkit::call(Command::default()) };
            let reply = handle(&ctx, &call).await.expect("a page");
            assert!(reply.items.len() <= 3);
            seen.extend(reply.items.into_iter().map(|reply| reply.term.code));
            match reply.next_cursor {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        seen.sort();
        assert_eq!(seen, (0..7).map(|number| Code(format!("T{number}"))).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_state_and_a_parent_can_be_asked_for() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let whole = fixtures::term(&ctx, |_| ()).await.term.id;
        fixtures::term(&ctx, |term| {
            (term.code, term.parent) = (Code("PART".into()), Some(whole));
            term.state = TermState::Draft;
        })
        .await;
        let listed = async |command: Command| {
            let reply = handle(&ctx, &testkit::call(command)).await.expect("lists");
            reply.items.into_iter().map(|reply| reply.term.code.0).collect::<Vec<_>>()
        };
        let drafts = Command { state: Some(TermState::Draft), parent: None };
        assert_eq!(listed(drafts).await, ["PART"]);
        assert_eq!(listed(Command { state: None, parent: Some(whole) }).await, ["PART"]);
    }
}
