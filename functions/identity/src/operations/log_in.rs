//! A log-in by e-mail address or student number. Whoever does not know the password learns nothing: the
//! answer, the work
//! and the growing wait are the same whether or not there is such an account.

use events::DeviceAdded;
use kernel::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};
use table::{Record as _, Stored};

use crate::domain::{
    Account, Identifier, LoginAttempts, Password, Refusal, SecondFactorPolicy, Session,
};
use crate::store::{self, Login};
use crate::{Ctx, passwords};

pub const ROUTE: Route = Route::call("log-in", "/sessions", Access::Public, "Log in");

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// E-mail address or student number.
    #[schemars(length(min = 1, max = 254))]
    pub login: String,
    pub password: Password,
    /// What an earlier log-in from this device replied.
    #[schemars(length(max = 256))]
    pub device_token: Option<String>,
    /// What the list of sessions shows, such as the browser's name.
    #[schemars(length(min = 1, max = 100))]
    pub device_name: Option<String>,
    /// A code of the second factor, or a recovery code, where one is enrolled.
    #[schemars(length(min = 6, max = 30))]
    pub second_factor: Option<String>,
}

/// Tokens of a session.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Tokens {
    pub access_token: String,
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    /// Good once: the reply to its use holds the next one.
    pub refresh_token: String,
    pub person: PersonId,
    /// To be kept on the device and sent with its next log-in. It opens nothing; it keeps strangers' wrong guesses from
    /// counting against this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    /// Present where the person holds roles that count only after a second factor, which has to be enrolled first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactorState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorState {
    EnrollmentRequired,
}

/// Tokens do not reach a log.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({}, …)", self.person)
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Tokens, Failure> {
    let Command { login, password, device_token, .. } = &call.command;
    let devices = ctx.device_key().await?;
    let known_device = |account| devices.presented(device_token.as_deref()?, account);
    let found = store::login(&ctx.table, &Identifier::of_login(login), known_device).await?;
    let attempts = found.attempts.as_ref().map(|attempts| &attempts.value);
    if let Some(wait_s) = attempts.and_then(|attempts| attempts.wait_s(call.now)) {
        return Err(Refusal::TooManyAttempts { wait_s }.into());
    }
    let hash = |account: &Option<Stored<Account>>| {
        account.as_ref().and_then(|account| account.value.password_hash()).cloned()
    };
    if passwords::is_right(password, hash(&found.account).as_ref()) {
        return pass_second_factor(ctx, call, found).await;
    }
    // Compared whether or not there is one, so that it takes as long.
    if passwords::is_right(password, hash(&found.pending).as_ref()) {
        // Not a wrong password, nor one that may wipe out the wrong ones: anybody can register an address.
        return Err(Refusal::EmailNotVerified.into());
    }
    let failed = LoginAttempts::with_failure(attempts, &found.subject, call.now);
    let mut transaction = ctx.table.transaction();
    transaction.put(&failed, found.attempts.map(|attempts| attempts.version));
    transaction.commit().await?;
    Err(Refusal::LoginFailed.into())
}

/// The password is right; where a second factor is enrolled, so must its code be, and wrong ones count as wrong
/// passwords.
async fn pass_second_factor(
    ctx: &Ctx,
    call: &Call<Command>,
    mut found: Login,
) -> Result<Tokens, Failure> {
    let Some(factor) = found.second_factor.as_mut().filter(|factor| factor.value.is_confirmed())
    else {
        found.second_factor = None;
        return start_session(ctx, call, found).await;
    };
    let typed = call.command.second_factor.as_deref().ok_or(Refusal::SecondFactorNeeded)?;
    let code = ctx.second_factor_key().await?.read(&factor.value, typed, call.now);
    if let Err(refusal) = factor.value.take(code) {
        let attempts = found.attempts.as_ref().map(|attempts| &attempts.value);
        let failed = LoginAttempts::with_failure(attempts, &found.subject, call.now);
        let mut transaction = ctx.table.transaction();
        transaction.put(&failed, found.attempts.map(|attempts| attempts.version));
        transaction.commit().await?;
        return Err(refusal.into());
    }
    start_session(ctx, call, found).await
}

async fn start_session(ctx: &Ctx, call: &Call<Command>, found: Login) -> Result<Tokens, Failure> {
    let (Some(mut account), Some(roles)) = (found.account, found.roles) else {
        return Err(Refusal::LoginFailed.into());
    };
    let Command { password, device_name, .. } = &call.command;
    let mut session = Session::start(call.new_id(), roles.person, account.value.id, call.now);
    session.device_name.clone_from(device_name);
    let mut transaction = ctx.table.transaction();
    // A factor that is here has been passed.
    if let Some(factor) = &found.second_factor {
        session.passed_second_factor = true;
        transaction.update(factor);
    }
    transaction.create(&session);
    let device = found.device.unwrap_or_else(|| call.new_id());
    if found.device.is_none() && account.value.was_used {
        let Session { id: session, person, .. } = session;
        let event = DeviceAdded { device, person, session, added_at: call.now };
        transaction.event(event, 1, call.now, &call.correlation_id);
    }
    let is_outdated = passwords::is_outdated(&account.value.password_hash);
    if is_outdated {
        account.value.password_hash = passwords::hash(password)?;
    }
    if is_outdated || !account.value.was_used {
        account.value.was_used = true;
        transaction.update(&account);
    } else {
        // The password may have been changed meanwhile.
        transaction.check(&account.value.key(), Some(account.version));
    }
    // Of guesses made at the same time, each has to see the ones before it.
    match &found.attempts {
        Some(attempts) => transaction.delete(attempts),
        None => transaction.check(&store::attempts_key(&found.subject), None),
    };
    transaction.commit().await?;
    let device_token = Some(ctx.device_key().await?.token(account.value.id, device));
    let must_enroll = ctx.second_factor_policy() == SecondFactorPolicy::RequiredOfStaff
        && !session.passed_second_factor
        && roles.are_of_staff(call.now);
    let second_factor = must_enroll.then_some(SecondFactorState::EnrollmentRequired);
    Ok(Tokens { device_token, second_factor, ..ctx.tokens(&session, call.now).await? })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use events::Event;
    use jiff::SignedDuration;
    use kernel::Timestamp;

    use super::super::refresh_session;
    use super::*;
    use crate::fixtures::{
        ada, caller_of, code, ctx, enrolled, log_in, log_in_with, registered, second_factor_code,
        verified,
    };

    const ADA: &str = "ada@matricula.example";
    const SECRET: &str = "a long enough secret";

    fn call(login: &str, password: &str, now: Timestamp) -> Call<Command> {
        let password = Password(password.into());
        let login = login.into();
        let (device_token, device_name, second_factor) = (None, None, None);
        let command = Command { login, password, device_token, device_name, second_factor };
        Call { now, caller: None, ..testkit::call(command) }
    }

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    #[tokio::test]
    async fn a_session_starts_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                verified(&ctx(table), ada()).await;
                (call(ADA, SECRET, testkit::now()), RefCell::new(String::new()))
            },
            async |table, (call, token)| {
                token.replace(handle(&ctx(table), call).await?.refresh_token);
                Ok(())
            },
            async |table, (_, token)| {
                let refresh_token = token.borrow().clone();
                let refresh = testkit::call(refresh_session::Command { refresh_token });
                refresh_session::handle(&ctx(table), &refresh).await.expect("the session lives");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_address_is_read_without_regard_to_case() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let reply = log_in(&ctx, " ADA@Matricula.Example ", SECRET).await.expect("logs in");
        assert_eq!((reply.person, reply.expires_in, reply.token_type), (person, 900, "Bearer"));
        let caller = caller_of(&ctx, &reply).await.expect("the token is good");
        assert_eq!((caller.person, caller.grants.len()), (person, 1));
    }

    #[tokio::test]
    async fn an_account_that_is_not_verified_says_so_only_to_its_owner() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        registered(&ctx, ada()).await;
        assert_eq!(code(log_in(&ctx, ADA, SECRET).await), "EMAIL_NOT_VERIFIED");
        assert_eq!(code(log_in(&ctx, ADA, "another secret").await), "LOGIN_FAILED");
    }

    /// What somebody sees who guesses: the codes of their attempts, and the calls that each costs us.
    async fn guessing(login: &str) -> Vec<(&'static str, std::collections::BTreeMap<String, u64>)> {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let mut seen = Vec::new();
        for at in [0, 0, 0, 0, 0, 1, 2, 2, 6] {
            drop(test.engine.take_calls());
            let result = handle(&ctx, &call(login, "a wrong password", after(at))).await;
            seen.push((code(result), test.engine.take_calls()));
        }
        seen
    }

    #[tokio::test]
    async fn whoever_guesses_sees_the_same_whether_or_not_there_is_an_account() {
        let known = guessing(ADA).await;
        assert_eq!(known, guessing("nobody@matricula.example").await);
        assert_eq!(known, guessing("S-0000").await);
        let codes: Vec<_> = known.into_iter().map(|(code, _)| code).collect();
        let (failed, wait) = ("LOGIN_FAILED", "TOO_MANY_ATTEMPTS");
        assert_eq!(codes, [failed, failed, failed, failed, wait, wait, failed, wait, failed]);
    }

    #[tokio::test]
    async fn while_one_has_to_wait_the_right_password_does_not_help() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        for _ in 0..4 {
            log_in(&ctx, ADA, "a wrong password").await.expect_err("wrong");
        }
        let result = handle(&ctx, &call(ADA, SECRET, after(1))).await;
        let Err(Failure::Refused(refusal)) = result else { panic!("not refused: {result:?}") };
        assert_eq!((refusal.code(), refusal.status()), ("TOO_MANY_ATTEMPTS", 429));
        assert_eq!(refusal.arguments(), [("seconds", "1".to_owned())]);
        handle(&ctx, &call(ADA, SECRET, after(2))).await.expect("the wait is over");
        for _ in 0..3 {
            assert_eq!(code(log_in(&ctx, ADA, "wrong").await), "LOGIN_FAILED", "counted anew");
        }
    }

    #[tokio::test]
    async fn registering_somebodys_address_does_not_wipe_out_the_wrong_guesses() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let thief = super::super::register_account::Command {
            password: Password("mine is another".into()),
            ..ada()
        };
        registered(&ctx, thief).await;
        for _ in 0..4 {
            assert_eq!(code(log_in(&ctx, ADA, "a wrong password").await), "LOGIN_FAILED");
            let own = log_in(&ctx, ADA, "mine is another").await;
            assert!(matches!(code(own), "EMAIL_NOT_VERIFIED" | "TOO_MANY_ATTEMPTS"));
        }
        assert_eq!(code(log_in(&ctx, ADA, SECRET).await), "TOO_MANY_ATTEMPTS");
    }

    #[tokio::test]
    async fn a_wrong_password_is_counted_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                verified(&ctx(table), ada()).await;
                call(ADA, "a wrong password", testkit::now())
            },
            async |table, call| match handle(&ctx(table), call).await {
                Err(Failure::Refused(refusal)) if refusal.code() == "LOGIN_FAILED" => Ok(()),
                other => other.map(drop),
            },
            async |table, _| {
                let login =
                    store::login(table, &Identifier::of_login(ADA), |_| None).await.expect("reads");
                assert!((1..=2).contains(&login.attempts.expect("counted").value.failed));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn guesses_made_at_the_same_time_are_all_counted() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let guess = async || {
            let call = call(ADA, "a wrong password", testkit::now());
            shell::run_step(async || handle(&ctx, &call).await).await
        };
        let guesses = tokio::join!(guess(), guess(), guess(), guess());
        for result in [guesses.0, guesses.1, guesses.2, guesses.3] {
            assert_eq!(code(result), "LOGIN_FAILED");
        }
        let login =
            store::login(&ctx.table, &Identifier::of_login(ADA), |_| None).await.expect("reads");
        assert_eq!(login.attempts.expect("counted").value.failed, 4);
    }

    #[tokio::test]
    async fn a_thousand_guesses_from_everywhere_get_nowhere_and_do_not_keep_the_owner_out() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let device_token = log_in(&ctx, ADA, SECRET).await.expect("at home").device_token;
        let mut looked_at = 0;
        for guess in 0..1_000 {
            // The guesser sends whatever may make a device known; the last guess is right.
            let password = if guess == 999 { SECRET } else { "a wild guess" };
            let mut attempt = call(ADA, password, after(guess * 100));
            attempt.command.device_token = Some(format!("dev_{guess:032x}.AAAA"));
            match code(handle(&ctx, &attempt).await) {
                "LOGIN_FAILED" => looked_at += 1,
                "TOO_MANY_ATTEMPTS" => {}
                other => panic!("the guesser got {other} at guess {guess}"),
            }
            if guess % 250 == 0 {
                let mut owner = call(ADA, SECRET, after(guess * 100));
                owner.command.device_token.clone_from(&device_token);
                handle(&ctx, &owner).await.expect("the owner is let in from a known device");
            }
        }
        assert!(looked_at <= LoginAttempts::BUDGET, "{looked_at} guesses were looked at");
    }

    #[tokio::test]
    async fn a_known_device_has_a_budget_of_its_own_which_ends_too() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let device_token = log_in(&ctx, ADA, SECRET).await.expect("at home").device_token;
        let from_device = async |password: &str| {
            let mut attempt = call(ADA, password, testkit::now());
            attempt.command.device_token.clone_from(&device_token);
            handle(&ctx, &attempt).await
        };
        for _ in 0..4 {
            assert_eq!(code(from_device("a wrong password").await), "LOGIN_FAILED");
        }
        assert_eq!(code(from_device(SECRET).await), "TOO_MANY_ATTEMPTS");
        log_in(&ctx, ADA, SECRET).await.expect("the account's own budget is untouched");
    }

    #[tokio::test]
    async fn a_log_in_from_a_new_device_is_told_and_one_from_a_known_device_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let told = async || {
            let events = testkit::published(&ctx.table).await.into_iter();
            events.filter(|event| event.name == DeviceAdded::NAME).count()
        };
        let first = log_in(&ctx, ADA, SECRET).await.expect("logs in");
        assert_eq!(told().await, 0, "the very first device is no news");
        let mut again = call(ADA, SECRET, testkit::now());
        again.command.device_token.clone_from(&first.device_token);
        let second = handle(&ctx, &again).await.expect("logs in");
        assert_eq!((told().await, second.device_token), (0, first.device_token));
        log_in(&ctx, ADA, SECRET).await.expect("logs in");
        assert_eq!(told().await, 1);
    }

    #[tokio::test]
    async fn a_hash_with_parameters_of_another_time_is_made_anew_at_the_log_in() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (account, _) = verified(&ctx, ada()).await;
        let stored = async || {
            let stored = ctx.table.get(&store::account_key(account)).await.expect("reads");
            stored.expect("an account")
        };
        let mut weak = stored().await;
        weak.value.password_hash = passwords::weak_hash(&Password(SECRET.into()));
        let mut transaction = ctx.table.transaction();
        transaction.update(&weak);
        transaction.commit().await.expect("written");
        assert_eq!(code(log_in(&ctx, ADA, "a wrong password").await), "LOGIN_FAILED");
        assert!(passwords::is_outdated(&stored().await.value.password_hash));
        log_in(&ctx, ADA, SECRET).await.expect("logs in");
        assert!(!passwords::is_outdated(&stored().await.value.password_hash));
        log_in(&ctx, ADA, SECRET).await.expect("logs in again");
    }

    #[tokio::test]
    async fn an_enrolled_second_factor_is_asked_for_and_each_code_is_good_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (account, person) = verified(&ctx, ada()).await;
        let (_, recovery_codes) = enrolled(&ctx, person).await;
        assert_eq!(code(log_in(&ctx, ADA, SECRET).await), "SECOND_FACTOR_NEEDED");
        let wrong = log_in(&ctx, ADA, "a wrong password").await;
        assert_eq!(code(wrong), "LOGIN_FAILED", "nothing is told before the password is right");
        let now = after(60);
        let typed = second_factor_code(&ctx, account, now).await;
        let attempt = |typed: &str, now| {
            let mut attempt = call(ADA, SECRET, now);
            attempt.command.second_factor = Some(typed.to_owned());
            attempt
        };
        handle(&ctx, &attempt(&typed, now)).await.expect("it is good");
        let again = handle(&ctx, &attempt(&typed, now)).await;
        assert_eq!(code(again), "SECOND_FACTOR_WRONG", "somebody looked over the shoulder");
        log_in_with(&ctx, &recovery_codes[0]).await.expect("it is good");
        let again = log_in_with(&ctx, &recovery_codes[0]).await;
        assert_eq!(code(again), "SECOND_FACTOR_WRONG");
    }

    #[tokio::test]
    async fn codes_are_not_guessed_by_who_knows_the_password() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        enrolled(&ctx, person).await;
        for _ in 0..4 {
            assert_eq!(code(log_in_with(&ctx, "AAAA-AAAA").await), "SECOND_FACTOR_WRONG");
        }
        assert_eq!(code(log_in_with(&ctx, "AAAA-AAAA").await), "TOO_MANY_ATTEMPTS");
    }
}
