//! New tokens for a refresh token, which is used up by it. One that was used before, but for a moment ago, is
//! in the hands
//! of two: its session ends.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use super::log_in::Reply;
use crate::Ctx;
use crate::domain::{Refreshed, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::call("refresh-session", "/sessions/refresh", Access::Public, "Refresh a session");

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(min = 1, max = 256))]
    pub refresh_token: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let keys = ctx.keys().await?;
    let (session, generation) = keys.presented(&call.command.refresh_token)?;
    let mut session =
        ctx.table.get(&store::session_key(session)).await?.ok_or(Refusal::RefreshTokenInvalid)?;
    let refreshed = session.value.refresh(generation, call.now)?;
    if refreshed != Refreshed::Repeated {
        let mut transaction = ctx.table.transaction();
        transaction.update(&session);
        transaction.commit().await?;
    }
    if refreshed == Refreshed::Reused {
        return Err(Refusal::RefreshTokenInvalid.into());
    }
    let (roles, _) = store::roles(&ctx.table, session.value.person).await?;
    Ok(Reply::of(keys, &session.value, &roles, call.now))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use kernel::{Email, Timestamp};
    use shell::{Caller, Role};

    use super::super::{assign_role, log_out};
    use super::*;
    use crate::fixtures::{ada_logged_in, code, ctx};

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
                let (session, generation) =
                    ctx.keys().await.expect("keys").presented(&again.refresh_token).expect("good");
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
        let caller = ctx.keys().await.expect("keys").caller(&ada.access_token, testkit::now());
        let out = Call { caller: caller.ok(), ..testkit::call(log_out::Command {}) };
        log_out::handle(&ctx, &out).await.expect("logs out");
        let refused = handle(&ctx, &call(&ada.refresh_token, after(1))).await;
        assert_eq!(code(refused), "REFRESH_TOKEN_INVALID");
        assert_eq!(code(handle(&ctx, &call("ses_1.1.x", after(1))).await), "REFRESH_TOKEN_INVALID");
    }

    #[tokio::test]
    async fn a_role_given_meanwhile_is_in_the_next_token() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let email: Email = "ada@matricula.example".parse().expect("an address");
        let role = Role::Registrar;
        let assign =
            assign_role::Command { person: None, email: Some(email), role, department: None };
        assign_role::handle(&ctx, &testkit::call(assign)).await.expect("assigned");
        let next = handle(&ctx, &call(&ada.refresh_token, after(1))).await.expect("refreshes");
        let caller: Caller =
            ctx.keys().await.expect("keys").caller(&next.access_token, after(1)).expect("good");
        let roles: Vec<_> = caller.grants.iter().map(|grant| grant.role).collect();
        assert_eq!(roles, [Role::Student, Role::Registrar]);
    }
}
