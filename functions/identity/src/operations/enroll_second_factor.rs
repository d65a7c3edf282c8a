//! The seed of a second factor for the caller's app. It counts once a first code has confirmed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};
use table::Record as _;

use crate::domain::{Password, Refusal, SecondFactor};
use crate::second_factors::{self, FactorSeed};
use crate::{Ctx, passwords, store};

pub const ROUTE: Route = Route::call(
    "enroll-second-factor",
    "/me/second-factor",
    Access::LoggedIn,
    "Enroll a second factor",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Once more, so that a session left open is not enough.
    pub password: Password,
}

#[derive(Clone, Serialize, JsonSchema)]
pub struct Reply {
    /// In base 32, to be typed into the app.
    pub seed: String,
    /// The same as an address, to be shown as a QR code.
    pub address: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let store::OwnAccount { own, account, second_factor, guesses, .. } =
        store::own_account(&ctx.table, call.caller(), call.now).await?;
    // Said whatever the password is.
    SecondFactor::check_replaceable(second_factor.as_ref().map(|factor| &factor.value))?;
    guesses.check_wait(call.now)?;
    let id = account.value.id;
    if !passwords::is_right(&call.command.password, account.value.password_hash()) {
        guesses.count(&ctx.table, call.now).await?;
        return Err(Refusal::PasswordWrong.into());
    }
    let seed = FactorSeed::random()?;
    let sealed = ctx.second_factors.keys(call.now).await?.seal(id, &seed)?;
    let mut transaction = ctx.table.transaction();
    own.check_standing(&mut transaction);
    transaction.check(&account.value.key(), Some(account.version));
    let factor = SecondFactor::enroll(id, sealed, call.now);
    transaction.put(&factor, second_factor.map(|factor| factor.version));
    guesses.forget(&mut transaction);
    transaction.commit().await?;
    let seed = seed.for_app();
    let address = second_factors::address(&seed, id);
    Ok(Reply { seed, address })
}

#[cfg(test)]
mod tests {
    use kernel::PersonId;

    use super::super::end_sessions;
    use super::*;
    use crate::fixtures::{ada, code, ctx, enrolled, from_session, refused_at_once, verified};

    async fn call(ctx: &Ctx, person: PersonId, password: &str) -> Call<Command> {
        from_session(ctx, person, Command { password: Password(password.into()) }).await
    }

    #[tokio::test]
    async fn a_seed_is_given_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let (account, person) = verified(&ctx, ada()).await;
                (account, call(&ctx, person, "a long enough secret").await)
            },
            async |table, (_, call)| {
                let reply = handle(&ctx(table), call).await?;
                assert!(reply.address.contains(&reply.seed));
                Ok(())
            },
            async |table, (account, _)| {
                let factor = table.get(&store::second_factor_key(*account)).await.expect("reads");
                assert!(!factor.expect("it is there").value.is_confirmed());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_session_left_open_is_not_enough_and_a_confirmed_factor_is_not_replaced() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let guess = call(&ctx, person, "a guess").await;
        assert_eq!(code(handle(&ctx, &guess).await), "PASSWORD_WRONG");
        enrolled(&ctx, person).await;
        let right = call(&ctx, person, "a long enough secret").await;
        for attempt in [&right, &guess] {
            let again = handle(&ctx, attempt).await;
            assert_eq!(code(again), "SECOND_FACTOR_ENROLLED", "the password makes no difference");
        }
    }

    #[tokio::test]
    async fn guesses_made_at_the_same_time_are_all_counted() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let guess = call(&ctx, person, "a guess").await;
        let codes = refused_at_once(async || handle(&ctx, &guess).await).await;
        let answered = codes.iter().filter(|code| **code == "PASSWORD_WRONG").count();
        assert_eq!(answered, 4, "{codes:?}");
    }

    #[tokio::test]
    async fn a_session_that_has_ended_enrolls_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let call = call(&ctx, person, "a long enough secret").await;
        let end = from_session(&ctx, person, end_sessions::Command {}).await;
        end_sessions::handle(&ctx, &end).await.expect("ends");
        assert_eq!(code(handle(&ctx, &call).await), "SESSION_ENDED");
    }
}
