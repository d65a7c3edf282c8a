//! New tokens for a refresh token, which is used up by it. One that was used before, but for a moment ago, is in the
//! hands of two: its session ends, and its person is told.

use events::RefreshTokenReused;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use super::log_in::Tokens;
use crate::domain::{Refreshed, Refusal, Session, SessionsEnd};
use crate::{Ctx, audit, store};

pub const ROUTE: Route =
    Route::call("refresh-session", "/sessions/refresh", Access::Public, "Refresh a session");

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(min = 1, max = 256))]
    pub refresh_token: String,
}

/// Why such a session ended, as the audit trail has it.
const REUSED: &str = "a refresh token came back after it was used";

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Tokens, Failure> {
    let (session, generation) = ctx.refresh_key().await?.presented(&call.command.refresh_token)?;
    let mut session =
        ctx.table.get(&store::session_key(session)).await?.ok_or(Refusal::RefreshTokenInvalid)?;
    let end = ctx.table.get(&store::sessions_end_key(session.value.person)).await?;
    let end = end.map(|end| end.value);
    let refreshed = session.value.refresh(generation, end.as_ref(), call.now)?;
    if refreshed != Refreshed::Repeated {
        let mut transaction = ctx.table.transaction();
        transaction.update(&session);
        if refreshed == Refreshed::Reused {
            let Session { id, person, .. } = session.value;
            let event = RefreshTokenReused { session: id, person, reused_at: call.now };
            transaction.event(event, 1, call.now, &call.correlation_id);
            let trail = ctx.table.trail(person).await?;
            let noted = audit::ended_session(&session.value).because(REUSED);
            trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
        }
        transaction.commit().await?;
    }
    if refreshed == Refreshed::Reused {
        return Err(Refusal::RefreshTokenInvalid.into());
    }
    let tokens = ctx.tokens(&session.value, call.now).await?;
    let Session { account, device, .. } = session.value;
    let Some(device) = device else { return Ok(tokens) };
    // Its token went bad if the password was changed from here; the device is as good as the session is.
    let ends = SessionsEnd::count(end.as_ref());
    let device_token = Some(ctx.device_key().await?.token(account, device, ends));
    Ok(Tokens { device_token, ..tokens })
}

#[cfg(test)]
mod tests {
    use events::Event;
    use jiff::SignedDuration;
    use kernel::Timestamp;

    use super::super::log_out;
    use super::*;
    use crate::fixtures::{ada_logged_in, caller_of, code, ctx, trail_of};

    fn call(refresh_token: &str, now: Timestamp) -> Call<Command> {
        let command = Command { refresh_token: refresh_token.to_owned() };
        Call { now, caller: None, ..testkit::call(command) }
    }

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_token_gets_one_successor_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ada = ada_logged_in(&ctx(table)).await;
                call(&ada.refresh_token, after(60))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let ctx = ctx(table);
                let again = handle(&ctx, call).await.expect("the grace is not over");
                let key = ctx.refresh_key().await.expect("a key");
                let (session, generation) = key.presented(&again.refresh_token).expect("good");
                assert_eq!(generation, 2);
                let stored = table.get(&store::session_key(session)).await.expect("reads");
                assert_eq!(stored.expect("a session").value.ended_at, None);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn two_uses_at_the_same_time_get_the_same_successor() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let refresh = async || {
            let call = call(&ada.refresh_token, after(60));
            shell::run_step(async || handle(&ctx, &call).await).await.expect("refreshes")
        };
        let (one, other) = tokio::join!(refresh(), refresh());
        assert_eq!(one.refresh_token, other.refresh_token);
    }

    #[tokio::test]
    async fn a_token_used_again_after_the_grace_ends_the_session() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let next = handle(&ctx, &call(&ada.refresh_token, after(0))).await.expect("refreshes");
        let stolen = handle(&ctx, &call(&ada.refresh_token, after(11))).await;
        assert_eq!(code(stolen), "REFRESH_TOKEN_INVALID");
        let ended = handle(&ctx, &call(&next.refresh_token, after(12))).await;
        assert_eq!(code(ended), "REFRESH_TOKEN_INVALID");
    }

    #[tokio::test]
    async fn the_end_of_a_reused_session_is_written_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let ada = ada_logged_in(&ctx).await;
                let next = handle(&ctx, &call(&ada.refresh_token, after(0))).await;
                (call(&ada.refresh_token, after(11)), next.expect("refreshes"))
            },
            async |table, (call, _)| match handle(&ctx(table), call).await {
                Err(Failure::Refused(refusal)) if refusal.code() == "REFRESH_TOKEN_INVALID" => {
                    Ok(())
                }
                other => other.map(drop),
            },
            async |table, (_, next)| {
                let ended = handle(&ctx(table), &call(&next.refresh_token, after(12))).await;
                assert_eq!(code(ended), "REFRESH_TOKEN_INVALID");
                let events = testkit::published(table).await.into_iter();
                let told = events.filter(|event| event.name == RefreshTokenReused::NAME);
                assert_eq!(told.count(), 1, "the person is told once");
                let entry = trail_of(table, next.person).await.pop().expect("an entry");
                assert_eq!((entry.reason.as_deref(), entry.sequence), (Some(REUSED), 2));
                assert_eq!(entry.changes[0].field, "ended_at");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nothing_is_refreshed_after_the_log_out_or_when_it_is_too_late() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let late = after(14 * 86_400);
        let too_late = handle(&ctx, &call(&ada.refresh_token, late)).await;
        assert_eq!(code(too_late), "REFRESH_TOKEN_INVALID");
        let caller = caller_of(&ctx, &ada).await.ok();
        let out = Call { caller, ..testkit::call(log_out::Command {}) };
        log_out::handle(&ctx, &out).await.expect("logs out");
        let refused = handle(&ctx, &call(&ada.refresh_token, after(1))).await;
        assert_eq!(code(refused), "REFRESH_TOKEN_INVALID");
        assert_eq!(code(handle(&ctx, &call("ses_1.1.x", after(1))).await), "REFRESH_TOKEN_INVALID");
    }

    #[tokio::test]
    async fn the_tokens_of_a_reused_session_open_nothing_any_more() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let next = handle(&ctx, &call(&ada.refresh_token, after(0))).await.expect("refreshes");
        caller_of(&ctx, &next).await.expect("it is good");
        handle(&ctx, &call(&ada.refresh_token, after(11))).await.expect_err("reused");
        assert_eq!(code(caller_of(&ctx, &next).await), "SESSION_ENDED");
    }
}
