//! The end of all the caller's sessions, this one among them: whoever is logged in anywhere has to log in again.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, RequestRefusal, Route};
use table::Stored;

use crate::domain::{Session, SessionsEnd};
use crate::store::{self, OwnSession};
use crate::{Ctx, audit};

pub const ROUTE: Route =
    Route::delete("end-sessions", "/me/sessions", Access::LoggedIn, "Log out everywhere");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let caller = call.caller();
    let (session, end, trail) = store::session_end_and_trail(&ctx.table, caller).await?;
    let standing_end = end.as_ref().map(|end| &end.value);
    let stands = |session: &Stored<Session>| session.value.stands(standing_end, call.now);
    let Some(session) = session.filter(stands) else {
        // One whose reply was lost comes again: this session has ended itself with all others.
        let is_own = |end: &SessionsEnd| end.by == Some(caller.session) && end.kept.is_none();
        let is_repeated = standing_end.is_some_and(is_own);
        return if is_repeated { Ok(()) } else { Err(RequestRefusal::SessionEnded.into()) };
    };
    let next = SessionsEnd::of_all(standing_end, caller.person, Some(caller.session), call.now);
    let own = OwnSession { session, end, trail };
    let mut transaction = ctx.table.transaction();
    own.end_sessions(&mut transaction, &next);
    own.check_not_ended(&mut transaction);
    let noted = audit::ended_sessions(&next);
    own.trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::super::refresh_session;
    use super::*;
    use crate::fixtures::{ada_logged_in, by_bearer, caller_of, code, ctx, log_in, noted};

    #[tokio::test]
    async fn every_session_ends_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let one = ada_logged_in(&ctx).await;
                let other = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
                let call = by_bearer(&ctx, &one, Command {}).await;
                ([one, other.expect("logs in")], call)
            },
            async |table, (_, call)| handle(&ctx(table), call).await,
            async |table, (sessions, call)| {
                let ctx = ctx(table);
                let told = format!("sessions: ended_at – → {}", testkit::NOW);
                assert_eq!(noted(table, call.person(), ROUTE.operation).await, [told]);
                for tokens in sessions {
                    assert_eq!(code(caller_of(&ctx, tokens).await), "SESSION_ENDED");
                    let refresh_token = tokens.refresh_token.clone();
                    let refresh = testkit::call(refresh_session::Command { refresh_token });
                    let refreshed = refresh_session::handle(&ctx, &refresh).await;
                    assert_eq!(code(refreshed), "REFRESH_TOKEN_INVALID");
                }
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_has_logged_out_everywhere_can_log_in_again_at_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let end = by_bearer(&ctx, &ada, Command {}).await;
        handle(&ctx, &end).await.expect("hers end");
        let again = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
        let again = again.expect("logs in");
        caller_of(&ctx, &again).await.expect("this one began afterwards");
        handle(&ctx, &end).await.expect("the same once more, as after a lost reply");
        caller_of(&ctx, &again).await.expect("it ended nothing more");
    }

    #[tokio::test]
    async fn a_session_that_has_ended_logs_nobody_out() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let stale = by_bearer(&ctx, &ada, Command {}).await;
        let other = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
        let other = by_bearer(&ctx, &other.expect("logs in"), Command {}).await;
        handle(&ctx, &other).await.expect("all end");
        let again = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
        assert_eq!(code(handle(&ctx, &stale).await), "SESSION_ENDED");
        caller_of(&ctx, &again.expect("logs in")).await.expect("it still stands");
    }
}
