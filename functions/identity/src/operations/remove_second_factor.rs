//! The end of the caller's second factor, from a session that has passed it, and of every other session: none counts as
//! one that has passed it any more. To change the app, one removes it and enrolls again.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};

use crate::domain::{Refusal, SessionsEnd};
use crate::{Ctx, store};

pub const ROUTE: Route = Route::delete(
    "remove-second-factor",
    "/me/second-factor",
    Access::LoggedIn,
    "Remove your second factor",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let session = call.caller.as_ref().expect("the route is not public").session;
    let Some(mut session) = ctx.table.get(&store::session_key(session)).await? else {
        return Err(Refusal::SecondFactorNeeded.into());
    };
    let factor = ctx.table.get(&store::second_factor_key(session.value.account)).await?;
    let Some(factor) = factor else { return Ok(()) };
    if factor.value.is_confirmed() && !session.value.passed_second_factor {
        return Err(Refusal::SecondFactorNeeded.into());
    }
    let mut transaction = ctx.table.transaction();
    transaction.delete(&factor);
    session.value.passed_second_factor = false;
    transaction.update(&session);
    let (person, kept) = (session.value.person, Some(session.value.id));
    transaction.overwrite(&SessionsEnd { person, at: call.now, kept });
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{ada_logged_in, caller_of, code, ctx, enrolled, log_in_with};

    #[tokio::test]
    async fn a_factor_is_removed_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let ada = ada_logged_in(&ctx).await;
                let (account, codes) = enrolled(&ctx, ada.person).await;
                let tokens = log_in_with(&ctx, &codes[0]).await.expect("logs in");
                let caller = caller_of(&ctx, &tokens).await.ok();
                (account, Call { caller, ..testkit::call(Command {}) })
            },
            async |table, (_, call)| handle(&ctx(table), call).await,
            async |table, (account, call)| {
                let factor = table.get(&store::second_factor_key(*account)).await.expect("reads");
                assert!(factor.is_none());
                let session = call.caller.as_ref().expect("somebody").session;
                let session = table.get(&store::session_key(session)).await.expect("reads");
                assert!(!session.expect("it stands").value.passed_second_factor);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_session_from_before_the_factor_does_not_remove_it() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let caller = caller_of(&ctx, &ada).await.ok();
        enrolled(&ctx, ada.person).await;
        let call = Call { caller, ..testkit::call(Command {}) };
        assert_eq!(code(handle(&ctx, &call).await), "SECOND_FACTOR_NEEDED");
    }
}
