//! The first code of a second factor: from now on every log-in asks for one. The reply holds the recovery codes, and
//! the session counts as one that has passed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::domain::{LoginAttempts, Refusal};
use crate::{Ctx, store};

pub const ROUTE: Route = Route::put(
    "confirm-second-factor",
    "/me/second-factor",
    Access::LoggedIn,
    "Confirm a second factor by its first code",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(regex(pattern = r"^[0-9]{6}$"))]
    pub code: String,
}

#[derive(Clone, Serialize, JsonSchema)]
pub struct Reply {
    /// Each is good once in place of a code. They are not shown again.
    pub recovery_codes: Vec<String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let subject = format!("{}#change", call.person());
    let own = store::own_account(&ctx.table, call.person(), &subject).await?;
    let standing = own.attempts.as_ref().map(|attempts| &attempts.value);
    if let Some(wait_s) = standing.and_then(|attempts| attempts.wait_s(call.now)) {
        return Err(Refusal::TooManyAttempts { wait_s }.into());
    }
    let mut factor = own.second_factor.ok_or(Refusal::SecondFactorUnknown)?;
    let key = ctx.second_factor_key().await?;
    let code = key.read(&factor.value, &call.command.code, call.now);
    let mut transaction = ctx.table.transaction();
    let is_new = match factor.value.confirm(code, call.now) {
        Ok(is_new) => is_new,
        Err(refusal) => {
            let failed = LoginAttempts::with_failure(standing, &subject, call.now);
            transaction.put(&failed, own.attempts.map(|attempts| attempts.version));
            transaction.commit().await?;
            return Err(refusal.into());
        }
    };
    if is_new {
        transaction.update(&factor);
        let session = call.caller.as_ref().expect("the route is not public").session;
        if let Some(mut session) = ctx.table.get(&store::session_key(session)).await? {
            session.value.passed_second_factor = true;
            transaction.update(&session);
        }
        transaction.commit().await?;
    }
    Ok(Reply { recovery_codes: key.recovery_codes(&factor.value) })
}

#[cfg(test)]
mod tests {
    use super::super::enroll_second_factor;
    use super::*;
    use crate::domain::Password;
    use crate::fixtures::{ada, as_person, code, ctx, second_factor_code, verified};

    async fn begun(ctx: &Ctx) -> Call<Command> {
        let (account, person) = verified(ctx, ada()).await;
        let password = Password("a long enough secret".into());
        let enroll = as_person(person, enroll_second_factor::Command { password });
        enroll_second_factor::handle(ctx, &enroll).await.expect("enrolls");
        as_person(person, Command { code: second_factor_code(ctx, account, testkit::now()).await })
    }

    #[tokio::test]
    async fn a_factor_is_confirmed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| begun(&ctx(table)).await,
            async |table, call| {
                let reply = handle(&ctx(table), call).await?;
                assert_eq!(reply.recovery_codes.len(), 10);
                Ok(())
            },
            async |table, call| {
                let own = store::own_account(table, call.person(), "nothing").await;
                let factor = own.ok().and_then(|own| own.second_factor).expect("it is there");
                assert!(factor.value.is_confirmed());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_wrong_code_confirms_nothing_and_codes_cannot_be_guessed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let nothing = as_person(person, Command { code: "000000".into() });
        assert_eq!(code(handle(&ctx, &nothing).await), "SECOND_FACTOR_UNKNOWN");
        let test = testkit::TestTable::new().await;
        let ctx = crate::fixtures::ctx(&test.table);
        let right = begun(&ctx).await;
        let mut wrong = right.clone();
        wrong.command.code = if right.command.code == "000000" { "1" } else { "000000" }.into();
        for _ in 0..4 {
            assert_eq!(code(handle(&ctx, &wrong).await), "SECOND_FACTOR_WRONG");
        }
        assert_eq!(code(handle(&ctx, &right).await), "TOO_MANY_ATTEMPTS");
    }
}
