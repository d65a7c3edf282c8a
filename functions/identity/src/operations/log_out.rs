//! The end of the caller's session: it is refreshed no more, and within a minute its access tokens open nothing.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::store;

pub const ROUTE: Route = Route::delete("log-out", "/sessions/current", Access::LoggedIn, "Log out");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let session = call.caller().session;
    let Some(mut session) = ctx.table.get(&store::session_key(session)).await? else {
        return Ok(());
    };
    if session.value.end(call.now) {
        let mut transaction = ctx.table.transaction();
        transaction.update(&session);
        transaction.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use shell::http::Door;
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::fixtures::{ada_logged_in, caller_of, ctx, log_in};

    async fn call(ctx: &Ctx) -> Call<Command> {
        let ada = ada_logged_in(ctx).await;
        let caller = caller_of(ctx, &ada).await.ok();
        Call { caller, ..testkit::call(Command {}) }
    }

    #[tokio::test]
    async fn a_session_ends_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| call(&ctx(table)).await,
            async |table, call| handle(&ctx(table), call).await,
            async |table, call| {
                let session = call.caller.as_ref().expect("a caller").session;
                let session = table.get(&store::session_key(session)).await.expect("reads");
                assert_eq!(session.expect("a session").value.ended_at, Some(call.now));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn logging_out_twice_or_of_nothing_is_harmless_and_ends_no_other_session() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = call(&ctx).await;
        let other = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
        handle(&ctx, &call).await.expect("logs out");
        handle(&ctx, &call).await.expect("logs out again");
        handle(&ctx, &testkit::call(Command {})).await.expect("there is no such session");
        let refresh_token = other.expect("logs in").refresh_token;
        let refresh = testkit::call(super::super::refresh_session::Command { refresh_token });
        super::super::refresh_session::handle(&ctx, &refresh).await.expect("the other one lives");
    }

    #[tokio::test]
    async fn there_is_nothing_to_say_about_it() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = call(&ctx).await;
        let event =
            testkit::http_event("DELETE", &[], &serde_json::Value::Null, call.caller.as_ref());
        let door = Door::<Command>::new(&ROUTE);
        let deadline = Instant::now() + Duration::from_secs(30);
        let reply = door.answer(&ctx, &handle, &event, deadline).await;
        assert_eq!((&reply["statusCode"], &reply["body"]), (&204.into(), &"".into()));
    }
}
