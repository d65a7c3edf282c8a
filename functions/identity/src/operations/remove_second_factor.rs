//! The end of the caller's second factor, for the password, from a session that has passed it. Every other session
//! ends, and none counts as one that has passed it any more. To change the app, one removes it and enrolls again.

use events::SecondFactorRemoved;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};
use table::Record as _;

use crate::domain::{Password, Refusal, SessionsEnd};
use crate::{Ctx, audit, passwords, store};

pub const ROUTE: Route = Route::call(
    "remove-second-factor",
    "/me/second-factor/removal",
    Access::LoggedIn,
    "Remove your second factor",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Once more, so that a session left open is not enough.
    pub password: Password,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let store::OwnAccount { mut own, account, second_factor, guesses, .. } =
        store::own_account(&ctx.table, call.caller(), call.now).await?;
    let Some(factor) = second_factor else { return Ok(()) };
    if factor.value.is_confirmed() && !own.session.value.passed_second_factor {
        return Err(Refusal::SecondFactorNeeded.into());
    }
    guesses.check_wait(call.now)?;
    if !passwords::is_right(&call.command.password, account.value.password_hash()) {
        guesses.count(&ctx.table, call.now).await?;
        return Err(Refusal::PasswordWrong.into());
    }
    let mut transaction = ctx.table.transaction();
    transaction.delete(&factor);
    transaction.check(&account.value.key(), Some(account.version));
    guesses.forget(&mut transaction);
    let (person, session) = (call.person(), own.session.value.id);
    let end = SessionsEnd::of_others(own.standing_end(), person, session, call.now);
    own.end_sessions(&mut transaction, &end);
    own.session.value.passed_second_factor = false;
    transaction.update(&own.session);
    if factor.value.is_confirmed() {
        let account = account.value.id;
        let event = SecondFactorRemoved { account, person, removed_at: call.now };
        transaction.event(event, end.ends, call.now, &call.correlation_id);
    }
    let noted = audit::second_factor(&factor.value, None);
    own.trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::super::end_sessions;
    use super::*;
    use crate::fixtures::{
        ada_logged_in, by_bearer, caller_of, code, ctx, enrolled, log_in_with, noted,
    };

    fn command(password: &str) -> Command {
        Command { password: Password(password.into()) }
    }

    const SECRET: &str = "a long enough secret";

    #[tokio::test]
    async fn a_factor_is_removed_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let ada = ada_logged_in(&ctx).await;
                let (account, codes) = enrolled(&ctx, ada.person).await;
                let tokens = log_in_with(&ctx, &codes[0]).await.expect("logs in");
                (account, by_bearer(&ctx, &tokens, command(SECRET)).await, ada)
            },
            async |table, (_, call, _)| handle(&ctx(table), call).await,
            async |table, (account, call, before)| {
                let factor = table.get(&store::second_factor_key(*account)).await.expect("reads");
                assert!(factor.is_none());
                let own = store::own_session(table, call.caller(), call.now).await;
                let own = own.expect("it stands").session.value;
                assert!(!own.passed_second_factor);
                assert_eq!(noted(table, call.person(), ROUTE.operation).await.len(), 1);
                let events = testkit::published(table).await.into_iter();
                let told = events.filter(|event| event.name == SecondFactorRemoved::NAME);
                assert_eq!(told.count(), 1, "they are told");
                assert_eq!(code(caller_of(&ctx(table), before).await), "SESSION_ENDED");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn neither_a_session_from_before_the_factor_nor_one_left_open_removes_it() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let (account, codes) = enrolled(&ctx, ada.person).await;
        let before = by_bearer(&ctx, &ada, command(SECRET)).await;
        assert_eq!(code(handle(&ctx, &before).await), "SECOND_FACTOR_NEEDED");
        let tokens = log_in_with(&ctx, &codes[0]).await.expect("logs in");
        let guess = by_bearer(&ctx, &tokens, command("a guess")).await;
        for _ in 0..4 {
            assert_eq!(code(handle(&ctx, &guess).await), "PASSWORD_WRONG");
        }
        let right = by_bearer(&ctx, &tokens, command(SECRET)).await;
        assert_eq!(code(handle(&ctx, &right).await), "TOO_MANY_ATTEMPTS");
        let factor = ctx.table.get(&store::second_factor_key(account)).await.expect("reads");
        assert!(factor.is_some());
        let end = by_bearer(&ctx, &tokens, end_sessions::Command {}).await;
        end_sessions::handle(&ctx, &end).await.expect("ends");
        assert_eq!(code(handle(&ctx, &right).await), "SESSION_ENDED");
    }
}
