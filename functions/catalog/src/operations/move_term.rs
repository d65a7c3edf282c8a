//! A term goes on to the next state of its planning.

use events::TermState;
use kernel::TermId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_term::Reply;
use crate::Ctx;
use crate::domain::{self, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "move-term",
    "/terms/{term}/state",
    KEEPERS,
    "Take a term on: draft, open, locked, final edits, published, closed",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    pub to: TermState,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, to } = call.command;
    let stored = ctx.table.get(&store::term_key(term)).await?.ok_or(Refusal::TermUnknown)?;
    let mut term = stored.value;
    if term.state == to {
        return Ok(Reply { term, version: stored.version });
    }
    if !domain::may_move(term.state, to) {
        return Err(Refusal::TermStateNotReachable.into());
    }
    term.state = to;
    let reply = Reply { term, version: stored.version + 1 };
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_term(&mut transaction, &reply.term, Some(stored.version), cause);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, code, ctx, registrar};

    #[tokio::test]
    async fn a_term_goes_from_draft_to_closed_step_by_step() {
        use TermState::{Closed, Draft, FinalEdits, Locked, Open, Published};
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |term| term.state = Draft).await.term.id;
        let move_to = async |to| handle(&ctx, &registrar(Command { term, to })).await;
        assert_eq!(code(move_to(Published).await), "TERM_STATE_NOT_REACHABLE");
        for to in [Open, Locked, FinalEdits, Published, Published, Closed] {
            assert_eq!(move_to(to).await.expect("it moves, or is there").term.state, to);
        }
        assert_eq!(code(move_to(Published).await), "TERM_STATE_NOT_REACHABLE");
    }

    #[tokio::test]
    async fn a_term_moves_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let term = fixtures::term(&ctx(table), |_| ()).await.term.id;
                registrar(Command { term, to: TermState::Closed })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::term_key(call.command.term);
                let term = table.get(&key).await.expect("reads").expect("is there");
                assert_eq!((term.version, term.value.state), (2, TermState::Closed));
            },
        )
        .await;
    }
}
