//! A new password in place of the one that the caller knows. All their other sessions end, and they are told.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use crate::domain::{Password, Refusal, SessionsEnd, check_password};
use crate::store::{self, Cause};
use crate::{Ctx, audit, passwords};

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
    let (person, session) = (call.person(), call.caller().session);
    let store::OwnAccount { own, mut account, person: known, guesses, .. } =
        store::own_account(&ctx.table, call.caller(), call.now).await?;
    guesses.check_wait(call.now)?;
    check_password(new_password, known.chooser(&account.value))?;
    let hash = account.value.password_hash();
    if !passwords::is_right(current_password, hash) {
        // A change whose reply was lost comes again from where it was made: it has had its effect. From anywhere else
        // the new password would be a second guess for the price of one.
        let is_repeated = account.value.password_chosen_by == Some(session)
            && passwords::is_right(new_password, hash);
        guesses.count(&ctx.table, call.now).await?;
        return if is_repeated { Ok(()) } else { Err(Refusal::PasswordWrong.into()) };
    }
    account.value.change_password(passwords::hash(new_password)?, session);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_password(&mut transaction, &account, person, cause);
    let end = SessionsEnd::of_others(own.standing_end(), person, session, call.now);
    own.end_sessions(&mut transaction, &end);
    own.check_not_ended(&mut transaction);
    guesses.forget(&mut transaction);
    let noted = audit::password(account.value.id);
    own.trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, PasswordChanged};
    use shell::Caller;

    use super::super::end_sessions;
    use super::*;
    use crate::fixtures::{
        ada_logged_in, by_bearer, caller_of, code, ctx, log_in, noted, refused_at_once,
    };

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
            async |table, caller| {
                let ctx = ctx(table);
                let noted = noted(table, caller.person, ROUTE.operation).await;
                assert_eq!(noted, ["password: "], "that it was, and nothing of the passwords");
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
    async fn guesses_made_at_the_same_time_are_all_counted_and_each_tries_one_password() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let caller = ada(&ctx).await;
        // The owner's password stands as the new one: from a session that did not choose it, that is no news.
        let call = call(&caller, "a wild guess", OLD);
        let codes = refused_at_once(async || handle(&ctx, &call).await).await;
        let answered = codes.iter().filter(|code| **code == "PASSWORD_WRONG").count();
        assert_eq!(answered, 4, "{codes:?}");
    }

    #[tokio::test]
    async fn a_session_that_has_ended_changes_nothing_though_the_authorizer_does_not_know_yet() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let here = ada_logged_in(&ctx).await;
        let elsewhere = log_in(&ctx, ADA, OLD).await.expect("logs in");
        let stale = caller_of(&ctx, &elsewhere).await.expect("still good");
        let owner = caller_of(&ctx, &here).await.expect("good");
        handle(&ctx, &call(&owner, OLD, NEW)).await.expect("changes");
        let again = handle(&ctx, &call(&stale, NEW, "a thief's own secret")).await;
        assert_eq!(code(again), "SESSION_ENDED");
        assert_eq!(
            code(caller_of(&ctx, &elsewhere).await),
            "SESSION_ENDED",
            "it did not keep itself"
        );
        let end = by_bearer(&ctx, &here, end_sessions::Command {}).await;
        end_sessions::handle(&ctx, &end).await.expect("ends");
        let late = handle(&ctx, &call(&owner, NEW, OLD)).await;
        assert_eq!(code(late), "SESSION_ENDED");
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
