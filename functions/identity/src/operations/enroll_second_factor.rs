//! The seed of a second factor for the caller's app. It counts once a first code has confirmed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::domain::{LoginAttempts, Password, Refusal, SecondFactor};
use crate::{Ctx, passwords, second_factors, store};

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
    let subject = format!("{}#change", call.person());
    let own = store::own_account(&ctx.table, call.person(), &subject).await?;
    let standing = own.attempts.as_ref().map(|attempts| &attempts.value);
    if let Some(wait_s) = standing.and_then(|attempts| attempts.wait_s(call.now)) {
        return Err(Refusal::TooManyAttempts { wait_s }.into());
    }
    let account = &own.account.value;
    let mut transaction = ctx.table.transaction();
    if !passwords::is_right(&call.command.password, account.password_hash()) {
        let failed = LoginAttempts::with_failure(standing, &subject, call.now);
        transaction.put(&failed, own.attempts.map(|attempts| attempts.version));
        transaction.commit().await?;
        return Err(Refusal::PasswordWrong.into());
    }
    let before = own.second_factor.as_ref();
    let factor = SecondFactor::enroll(before.map(|factor| &factor.value), account.id, call.now)?;
    transaction.put(&factor, before.map(|factor| factor.version));
    transaction.commit().await?;
    let seed = ctx.second_factor_key().await?.seed(&factor);
    let address = second_factors::address(&seed, account.id);
    Ok(Reply { seed, address })
}

#[cfg(test)]
mod tests {
    use kernel::PersonId;

    use super::*;
    use crate::fixtures::{ada, as_person, code, ctx, enrolled, verified};

    fn call(person: PersonId, password: &str) -> Call<Command> {
        as_person(person, Command { password: Password(password.into()) })
    }

    #[tokio::test]
    async fn a_seed_is_given_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| verified(&ctx(table), ada()).await,
            async |table, (_, person)| {
                let reply = handle(&ctx(table), &call(*person, "a long enough secret")).await?;
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
        assert_eq!(code(handle(&ctx, &call(person, "a guess")).await), "PASSWORD_WRONG");
        enrolled(&ctx, person).await;
        let again = handle(&ctx, &call(person, "a long enough secret")).await;
        assert_eq!(code(again), "SECOND_FACTOR_ENROLLED");
    }
}
