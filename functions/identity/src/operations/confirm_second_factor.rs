//! The first code of a second factor: from now on every log-in asks for one. The reply holds the recovery codes, and
//! the session counts as one that has passed it.

use events::SecondFactorConfirmed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::domain::Refusal;
use crate::{Ctx, audit, store};

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
    let store::OwnAccount { mut own, second_factor, guesses, .. } =
        store::own_account(&ctx.table, call.caller(), call.now).await?;
    guesses.check_wait(call.now)?;
    let mut factor = second_factor.ok_or(Refusal::SecondFactorUnknown)?;
    let opened = ctx.second_factors.opened(&factor.value, call.now).await?;
    let code = opened.seed.read(&call.command.code, call.now);
    let before = factor.value.clone();
    let is_new = match factor.value.confirm(code, call.now) {
        Ok(is_new) => is_new,
        Err(refusal) => {
            guesses.count(&ctx.table, call.now).await?;
            return Err(refusal.into());
        }
    };
    let mut transaction = ctx.table.transaction();
    // The recovery codes are shown only if no other guess was counted meanwhile.
    guesses.forget(&mut transaction);
    if is_new {
        transaction.update(&factor);
        own.check_end(&mut transaction);
        own.session.value.passed_second_factor = true;
        transaction.update(&own.session);
        let (session, person) = (own.session.value.id, call.person());
        let account = factor.value.account;
        let event = SecondFactorConfirmed { session, account, person, confirmed_at: call.now };
        let version = own.session.version + 1;
        transaction.event(event, version, call.now, &call.correlation_id);
        let noted = audit::second_factor(&before, Some(&factor.value));
        own.trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    } else {
        own.check_standing(&mut transaction);
    }
    transaction.commit().await?;
    Ok(Reply { recovery_codes: opened.seed.recovery_codes() })
}

#[cfg(test)]
mod tests {
    use events::Event;

    use super::super::{end_sessions, enroll_second_factor};
    use super::*;
    use crate::domain::Password;
    use crate::fixtures::{
        ada, code, ctx, from_session, noted, refused_at_once, second_factor_code, verified,
    };

    async fn begun(ctx: &Ctx) -> Call<Command> {
        let (account, person) = verified(ctx, ada()).await;
        let password = Password("a long enough secret".into());
        let enroll = from_session(ctx, person, enroll_second_factor::Command { password }).await;
        enroll_second_factor::handle(ctx, &enroll).await.expect("enrolls");
        let code = second_factor_code(ctx, account, testkit::now()).await;
        from_session(ctx, person, Command { code }).await
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
                let own = store::own_account(table, call.caller(), call.now).await;
                let own = own.expect("the session stands");
                assert!(own.second_factor.expect("it is there").value.is_confirmed());
                assert!(own.own.session.value.passed_second_factor);
                let told = format!("second-factor: confirmed_at – → {}", testkit::NOW);
                assert_eq!(noted(table, call.person(), ROUTE.operation).await, [told]);
                let events = testkit::published(table).await.into_iter();
                let events = events.filter(|event| event.name == SecondFactorConfirmed::NAME);
                assert_eq!(events.count(), 1, "they are told");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_wrong_code_confirms_nothing_and_codes_cannot_be_guessed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let nothing = from_session(&ctx, person, Command { code: "000000".into() }).await;
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

    #[tokio::test]
    async fn codes_guessed_at_the_same_time_are_all_counted() {
        let test = testkit::TestTable::new().await;
        let ctx = crate::fixtures::ctx(&test.table);
        let mut wrong = begun(&ctx).await;
        wrong.command.code = if wrong.command.code == "000000" { "1" } else { "000000" }.into();
        let codes = refused_at_once(async || handle(&ctx, &wrong).await).await;
        let answered = codes.iter().filter(|code| **code == "SECOND_FACTOR_WRONG").count();
        assert_eq!(answered, 4, "{codes:?}");
    }

    #[tokio::test]
    async fn a_session_that_has_ended_confirms_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = begun(&ctx).await;
        let end = from_session(&ctx, call.person(), end_sessions::Command {}).await;
        end_sessions::handle(&ctx, &end).await.expect("ends");
        assert_eq!(code(handle(&ctx, &call).await), "SESSION_ENDED");
    }
}
