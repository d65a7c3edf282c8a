//! The end of all the caller's sessions, this one among them: whoever is logged in anywhere has to log in again.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::domain::SessionsEnd;

pub const ROUTE: Route =
    Route::delete("end-sessions", "/me/sessions", Access::LoggedIn, "Log out everywhere");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let mut transaction = ctx.table.transaction();
    // Two ends of everything are one: whichever comes later stands.
    transaction.overwrite(&SessionsEnd { person: call.person(), at: call.now, kept: None });
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::refresh_session;
    use super::*;
    use crate::fixtures::{ada_logged_in, as_person, caller_of, code, ctx, log_in};

    #[tokio::test]
    async fn every_session_ends_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let one = ada_logged_in(&ctx).await;
                let other = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
                [one, other.expect("logs in")]
            },
            async |table, [one, _]| handle(&ctx(table), &as_person(one.person, Command {})).await,
            async |table, sessions| {
                let ctx = ctx(table);
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
    async fn who_has_logged_out_everywhere_can_log_in_again_and_others_stay() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        handle(&ctx, &as_person(testkit::person("bob"), Command {})).await.expect("bob's end");
        caller_of(&ctx, &ada).await.expect("hers still stands");
        let mut earlier = as_person(ada.person, Command {});
        earlier.now -= jiff::SignedDuration::from_secs(1);
        handle(&ctx, &earlier).await.expect("hers end");
        caller_of(&ctx, &ada).await.expect("this one began afterwards");
    }
}
