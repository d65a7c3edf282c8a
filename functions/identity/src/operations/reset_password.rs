//! A new password by the link that was mailed. The link is good once and for an hour, and only if it is the newest and
//! the password has not been changed since. Every session ends, no device is known any more, and wrong passwords are
//! forgotten. Who sends a used link again learns nothing of the password; who lost the reply asks with the same key.

use events::LinkPurpose;
use kernel::AccountId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};
use table::{Actor, Deed, Trail};

use crate::domain::{Identifier, Password, Refusal, SessionsEnd, check_password};
use crate::store::{self, Cause};
use crate::{Ctx, audit, passwords};

pub const ROUTE: Route = Route::act(
    "reset-password",
    "/accounts/{account}/password",
    Access::Public,
    "Choose a new password by a link",
);

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub account: AccountId,
    /// From the link.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub token: String,
    #[schemars(length(min = 12, max = 128))]
    pub password: Password,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let Command { account, token, password } = &call.command;
    let key = store::account_key(*account);
    let attempts = store::attempts_key(&account.to_string());
    let mut batch = ctx.table.get_batch(vec![(&key).into(), (&attempts).into()]).await?;
    // An account that does not exist is told from a wrong link to nobody.
    let mut account = batch.take(&key)?.ok_or(Refusal::ResetLinkInvalid)?;
    let attempts = batch.take(&attempts)?;
    let person = account.value.person().ok_or(Refusal::ResetLinkInvalid)?;
    let requested_at = account.value.reset.ok_or(Refusal::ResetLinkInvalid)?.requested_at;
    let is_right =
        ctx.is_link(token, LinkPurpose::ResetPassword, account.value.id, requested_at).await?;
    account.value.follow_reset(is_right, call.now)?;
    let typed = store::subject_of_typed(&Identifier::email(&account.value.email));
    let (end, at_address) = (store::sessions_end_key(person), store::attempts_key(&typed));
    let known = store::person_key(person);
    let keys = vec![(&known).into(), (&end).into(), (&at_address).into(), Trail::key(person)];
    let mut batch = ctx.table.get_batch(keys).await?;
    let (end, trail) = (batch.take(&end)?, Trail::take(&mut batch, person)?);
    let known = batch.take(&known)?.ok_or(Refusal::PersonUnknown)?.value;
    check_password(password, known.chooser(&account.value))?;
    account.value.password_hash = passwords::hash(password)?;
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_password(&mut transaction, &account, person, cause);
    let next = SessionsEnd::of_all(end.as_ref().map(|end| &end.value), person, None, call.now);
    transaction.put(&next, end.map(|end| end.version));
    for attempts in [attempts, batch.take(&at_address)?].iter().flatten() {
        transaction.delete(attempts);
    }
    // It is its person's own deed.
    let deed = Deed { actor: Actor::named(person), ..call.deed(ROUTE.operation) };
    trail.append(&mut transaction, &deed, audit::password(account.value.id));
    call.keep_reply(&mut transaction, &());
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, PasswordChanged};
    use jiff::SignedDuration;

    use super::super::{change_password, request_password_reset};
    use super::*;
    use crate::fixtures::{ada, ada_logged_in, caller_of, code, ctx, link_to, log_in, trail_of};

    const ADA: &str = "ada@matricula.example";
    const OLD: &str = "a long enough secret";
    const NEW: &str = "another long secret";

    /// Ada has an account and has asked for a link; this is what follows it.
    async fn asked(ctx: &Ctx) -> Call<Command> {
        if log_in(ctx, ADA, OLD).await.is_err() {
            ada_logged_in(ctx).await;
        }
        let ask = request_password_reset::Command { login: ada().email.as_str().into() };
        request_password_reset::handle(ctx, &testkit::call(ask)).await.expect("asks");
        following(ctx).await
    }

    async fn following(ctx: &Ctx) -> Call<Command> {
        let claim = crate::domain::Identifier::email(&ada().email);
        let account = store::claim(&ctx.table, claim).await.expect("reads").0.account;
        let account = account.expect("an account");
        let stored = ctx.table.get(&store::account_key(account)).await.expect("reads");
        let reset = stored.expect("an account").value.reset.expect("she asked");
        let token = link_to(ctx, LinkPurpose::ResetPassword, account, reset.requested_at).await;
        let command = Command { account, token, password: Password(NEW.into()) };
        Call { caller: None, ..testkit::call(command) }
    }

    #[tokio::test]
    async fn a_password_is_replaced_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| asked(&ctx(table)).await,
            async |table, call| shell::http::carry_out(&ctx(table), &handle, call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                let person = log_in(&ctx, ADA, NEW).await.expect("the new one is good").person;
                let entry = trail_of(table, person).await.pop().expect("an entry");
                assert_eq!((entry.operation.as_str(), entry.sequence), (ROUTE.operation, 2));
                assert_eq!(entry.actor.as_str(), person.to_string(), "her own deed");
                assert_eq!(code(log_in(&ctx, ADA, OLD).await), "LOGIN_FAILED");
                let events = testkit::published(table).await.into_iter();
                let told = events.filter(|event| event.name == PasswordChanged::NAME).count();
                assert_eq!(told, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_link_used_twice_is_refused_the_second_time() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = asked(&ctx).await;
        handle(&ctx, &call).await.expect("it is good once");
        for guess in ["the secret of a thief", NEW] {
            let mut thief = Call { caller: None, ..testkit::call(call.command.clone()) };
            thief.command.password = Password(guess.into());
            let again = shell::http::carry_out(&ctx, &handle, &thief).await;
            assert_eq!(code(again), "RESET_LINK_INVALID", "right or wrong, it is not told");
        }
        shell::http::carry_out(&ctx, &handle, &call).await.expect("the same key: the same reply");
        log_in(&ctx, ADA, NEW).await.expect("hers is still hers");
    }

    #[tokio::test]
    async fn a_link_is_refused_after_the_password_was_changed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = asked(&ctx).await;
        let caller = log_in(&ctx, ADA, OLD).await.expect("she remembers it");
        let caller = caller_of(&ctx, &caller).await.ok();
        let current_password = Password(OLD.into());
        let new_password = Password("she changed it herself".into());
        let change = change_password::Command { current_password, new_password };
        let change = Call { caller, ..testkit::call(change) };
        change_password::handle(&ctx, &change).await.expect("changes");
        assert_eq!(code(handle(&ctx, &call).await), "RESET_LINK_INVALID");
    }

    #[tokio::test]
    async fn only_the_newest_link_is_good_and_only_for_an_hour() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let old = asked(&ctx).await;
        let ask = request_password_reset::Command { login: ADA.into() };
        let mut ask = testkit::call(ask);
        ask.now += SignedDuration::from_secs(1);
        request_password_reset::handle(&ctx, &ask).await.expect("asks again");
        assert_eq!(code(handle(&ctx, &old).await), "RESET_LINK_INVALID");
        let mut late = following(&ctx).await;
        late.now += SignedDuration::from_secs(3_601);
        assert_eq!(code(handle(&ctx, &late).await), "RESET_LINK_EXPIRED");
        let mut forged = late.clone();
        forged.command.token = "0".repeat(64);
        assert_eq!(code(handle(&ctx, &forged).await), "RESET_LINK_INVALID");
        let account = kernel::Id::derived_from("nobody");
        let command = Command { account, ..late.command.clone() };
        assert_eq!(code(handle(&ctx, &testkit::call(command)).await), "RESET_LINK_INVALID");
        let command = Command { password: Password("passwordpassword".into()), ..late.command };
        assert_eq!(code(handle(&ctx, &testkit::call(command)).await), "PASSWORD_TOO_COMMON");
    }

    #[tokio::test]
    async fn who_has_a_new_password_waits_no_longer_and_every_session_ends() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let before = ada_logged_in(&ctx).await;
        let call = asked(&ctx).await;
        for _ in 0..4 {
            log_in(&ctx, ADA, "a wrong password").await.expect_err("wrong");
        }
        assert_eq!(code(log_in(&ctx, ADA, OLD).await), "TOO_MANY_ATTEMPTS");
        handle(&ctx, &call).await.expect("it is good");
        assert_eq!(code(caller_of(&ctx, &before).await), "SESSION_ENDED");
        let after = log_in(&ctx, ADA, NEW).await.expect("no wait");
        caller_of(&ctx, &after).await.expect("it began after the end of the others");
    }
}
