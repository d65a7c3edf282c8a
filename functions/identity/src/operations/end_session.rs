//! The end of one of the caller's sessions, such as that of a telephone that was lost.

use kernel::SessionId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use crate::domain::Refusal;
use crate::{Ctx, audit, store};

pub const ROUTE: Route = Route::delete(
    "end-session",
    "/me/sessions/{session}",
    Access::LoggedIn,
    "End one of your own sessions",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub session: SessionId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let session = ctx.table.get(&store::session_key(call.command.session)).await?;
    let session = session.filter(|session| session.value.person == call.person());
    let mut session = session.ok_or(Refusal::SessionUnknown)?;
    if session.value.end(call.now) {
        // What has ended itself ends no other.
        let own = store::own_session(&ctx.table, call.caller(), call.now).await?;
        let mut transaction = ctx.table.transaction();
        if session.value.id != call.caller().session {
            own.check_standing(&mut transaction);
        }
        transaction.update(&session);
        let noted = audit::ended_session(&session.value);
        own.trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{
        ada_logged_in, as_person, by_bearer, caller_of, code, ctx, log_in, noted,
    };

    #[tokio::test]
    async fn a_session_ends_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let tokens = ada_logged_in(&ctx).await;
                let session = caller_of(&ctx, &tokens).await.expect("good").session;
                let call = by_bearer(&ctx, &tokens, Command { session }).await;
                (tokens, call)
            },
            async |table, (_, call)| handle(&ctx(table), call).await,
            async |table, (tokens, call)| {
                assert_eq!(code(caller_of(&ctx(table), tokens).await), "SESSION_ENDED");
                let told = format!("session: ended_at – → {}", testkit::NOW);
                assert_eq!(noted(table, call.person(), ROUTE.operation).await, [told]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_ends_anothers_session_or_learns_that_there_is_one() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let tokens = ada_logged_in(&ctx).await;
        let session = caller_of(&ctx, &tokens).await.expect("good").session;
        let theft = as_person(testkit::person("eve"), Command { session });
        assert_eq!(code(handle(&ctx, &theft).await), "SESSION_UNKNOWN");
        let made_up = kernel::Id::derived_from("nothing");
        let nothing = as_person(tokens.person, Command { session: made_up });
        assert_eq!(code(handle(&ctx, &nothing).await), "SESSION_UNKNOWN");
        caller_of(&ctx, &tokens).await.expect("it still stands");
    }

    #[tokio::test]
    async fn a_session_that_has_ended_ends_no_other() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let lost = ada_logged_in(&ctx).await;
        let kept = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
        let kept = kept.expect("logs in");
        let session = caller_of(&ctx, &kept).await.expect("good").session;
        let stale = by_bearer(&ctx, &lost, Command { session }).await;
        let session = stale.caller().session;
        let end = by_bearer(&ctx, &kept, Command { session }).await;
        handle(&ctx, &end).await.expect("ends");
        assert_eq!(code(handle(&ctx, &stale).await), "SESSION_ENDED");
        caller_of(&ctx, &kept).await.expect("it still stands");
    }
}
