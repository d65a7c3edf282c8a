//! A new password in place of the one that the caller knows. All their other sessions end, and they are told.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use crate::domain::{Account, LoginAttempts, Password, Refusal, check_password};
use crate::store::{self, Cause};
use crate::{Ctx, passwords};

pub const ROUTE: Route =
    Route::put("change-password", "/me/password", Access::LoggedIn, "Change your own password");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub current_password: Password,
    #[schemars(length(min = 12, max = 128))]
    pub new_password: Password,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let Command { current_password, new_password } = &call.command;
    let session = call.caller.as_ref().expect("the route is not public").session;
    // Guesses from a stolen session count apart: they do not keep the owner from logging in.
    let subject = format!("{}#change", call.person());
    let own = store::own_account(&ctx.table, call.person(), &subject).await?;
    let (mut account, attempts) = (own.account, own.attempts);
    let standing = attempts.as_ref().map(|attempts| &attempts.value);
    if let Some(wait_s) = standing.and_then(|attempts| attempts.wait_s(call.now)) {
        return Err(Refusal::TooManyAttempts { wait_s }.into());
    }
    check_password(new_password, &account.value.email)?;
    let is = |password, account: &Account| passwords::is_right(password, account.password_hash());
    let mut transaction = ctx.table.transaction();
    if !is(current_password, &account.value) {
        // A change whose reply was lost comes again: it has had its effect.
        if is(new_password, &account.value) {
            return Ok(());
        }
        let failed = LoginAttempts::with_failure(standing, &subject, call.now);
        transaction.put(&failed, attempts.map(|attempts| attempts.version));
        transaction.commit().await?;
        return Err(Refusal::PasswordWrong.into());
    }
    account.value.change_password(passwords::hash(new_password)?);
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_password(&mut transaction, &account, call.person(), Some(session), cause);
    if let Some(attempts) = &attempts {
        transaction.delete(attempts);
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, PasswordChanged};
    use shell::Caller;

    use super::*;
    use crate::fixtures::{ada_logged_in, caller_of, code, ctx, log_in};

    const ADA: &str = "ada@matricula.example";
    const OLD: &str = "a long enough secret";
    const NEW: &str = "another long secret";

    fn call(caller: &Caller, current: &str, new: &str) -> Call<Command> {
        let password = |text: &str| Password(text.into());
        let command = Command { current_password: password(current), new_password: password(new) };
        Call { caller: Some(caller.clone()), ..testkit::call(command) }
    }

    async fn ada(ctx: &Ctx) -> Caller {
        let tokens = ada_logged_in(ctx).await;
        caller_of(ctx, &tokens).await.expect("good")
    }

    #[tokio::test]
    async fn a_password_changes_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| ada(&ctx(table)).await,
            async |table, caller| handle(&ctx(table), &call(caller, OLD, NEW)).await,
            async |table, _| {
                let ctx = ctx(table);
                assert_eq!(code(log_in(&ctx, ADA, OLD).await), "LOGIN_FAILED");
                log_in(&ctx, ADA, NEW).await.expect("the new one is good");
                let events = testkit::published(table).await.into_iter();
                let told = events.filter(|event| event.name == PasswordChanged::NAME).count();
                assert_eq!(told, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_other_sessions_end_and_this_one_stays() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let here = ada_logged_in(&ctx).await;
        let elsewhere = log_in(&ctx, ADA, OLD).await.expect("logs in");
        let caller = caller_of(&ctx, &here).await.expect("good");
        handle(&ctx, &call(&caller, OLD, NEW)).await.expect("changes");
        caller_of(&ctx, &here).await.expect("this one stays");
        assert_eq!(code(caller_of(&ctx, &elsewhere).await), "SESSION_ENDED");
    }

    #[tokio::test]
    async fn a_stolen_session_does_not_help_to_guess_the_password() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let caller = ada(&ctx).await;
        let guess = async || code(handle(&ctx, &call(&caller, "a wild guess", NEW)).await);
        for _ in 0..4 {
            assert_eq!(guess().await, "PASSWORD_WRONG");
        }
        assert_eq!(guess().await, "TOO_MANY_ATTEMPTS");
        log_in(&ctx, ADA, OLD).await.expect("the owner is not kept out");
    }

    #[tokio::test]
    async fn an_easy_password_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let caller = ada(&ctx).await;
        let easy = handle(&ctx, &call(&caller, OLD, "passwordpassword")).await;
        assert_eq!(code(easy), "PASSWORD_TOO_COMMON");
        assert_eq!(code(handle(&ctx, &call(&caller, OLD, ADA)).await), "PASSWORD_IS_EMAIL");
    }
}
