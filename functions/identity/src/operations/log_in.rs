//! A log-in by e-mail address or student number. Whoever does not know the password learns nothing: the answer, the
//! work and the growing wait are the same whether or not there is such an account, and whatever was guessed at it by
//! its other name. Nothing is answered that depends on the password, or on a code, before the guess is counted, or
//! before it is sure that nobody has guessed meanwhile; a log-in that succeeds forgets them.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};
use table::Stored;

use crate::domain::{Account, Identifier, Password, Refusal};
use crate::session_start::{self, Brought};
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
    let device = |account| devices.presented(device_token.as_deref()?, account);
    let found = store::login(&ctx.table, &Identifier::of_login(login), device).await?;
    found.guesses.check_wait(call.now)?;
    let hash = |account: Option<&Stored<Account>>| {
        account.and_then(|account| account.value.password_hash()).cloned()
    };
    // Where too many have guessed at the account by its other name, it is not looked at, which takes as long.
    let looked_at =
        found.account.as_ref().filter(|_| found.guesses.check_account(call.now).is_ok());
    if passwords::is_right(password, hash(looked_at).as_ref()) {
        return let_in(ctx, call, found).await;
    }
    // Compared whether or not there is one, so that it takes as long.
    let is_pending = passwords::is_right(password, hash(found.pending.as_ref()).as_ref());
    // Counted although it is right: anybody can register an address, and must not wipe out the wrong ones by that.
    found.guesses.count(&ctx.table, call.now).await?;
    Err(if is_pending { Refusal::EmailNotVerified } else { Refusal::LoginFailed }.into())
}

/// The password is right; where a second factor is enrolled, so must its code be.
async fn let_in(ctx: &Ctx, call: &Call<Command>, mut found: Login) -> Result<Tokens, Failure> {
    let Command { password, device_name, second_factor, .. } = &call.command;
    let mut transaction = ctx.table.transaction();
    let typed = second_factor.as_deref();
    let passed_second_factor =
        session_start::pass_second_factor(ctx, call, &mut found, typed, &mut transaction).await?;
    found.guesses.forget(&mut transaction);
    let entrant = found.entrant().ok_or(Refusal::LoginFailed)?;
    let is_outdated = passwords::is_outdated(&entrant.account.value.password_hash);
    let new_hash = is_outdated.then(|| passwords::hash(password)).transpose()?;
    let brought = Brought { device_name: device_name.clone(), passed_second_factor, new_hash };
    session_start::enter(ctx, call, transaction, entrant, brought).await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use events::{DeviceAdded, Event};
    use jiff::SignedDuration;
    use kernel::{SourceId, Timestamp};

    use super::super::{
        change_password, end_sessions, import_people, refresh_session, register_account,
    };
    use super::*;
    use crate::domain::LoginAttempts;
    use crate::fixtures::{
        SECOND_FACTOR_WORD, ada, by_bearer, caller_of, code, ctx, enrolled, imported_ada, log_in,
        log_in_with, registered, second_factor_code, verified,
    };
    use crate::second_factor_ring::SecondFactorRing;

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

    /// Ada with her student number, and Max with his.
    async fn ada_and_max(ctx: &Ctx) {
        let max = import_people::Row {
            source: SourceId("max".into()),
            email: Some("max@matricula.example".into()),
            student_number: Some("S-1858".into()),
            ..imported_ada()
        };
        let rows = vec![imported_ada(), import_people::Row { row: 2, ..max }];
        let rows = import_people::Command { rows, dry_run: false };
        import_people::handle(ctx, &testkit::step(rows)).await.expect("imports");
        verified(ctx, ada()).await;
        let email = "max@matricula.example".parse().expect("an address");
        verified(ctx, register_account::Command { email, ..ada() }).await;
    }

    #[tokio::test]
    async fn guesses_at_an_address_do_not_tell_whose_number_it_is_nor_the_other_way_round() {
        const NUMBERS: [&str; 3] = ["S-1815", "S-1858", "S-0000"];
        const ADDRESSES: [&str; 3] = [ADA, "max@matricula.example", "nobody@matricula.example"];
        for (guessed_at, others) in [(ADA, NUMBERS), ("S-1815", ADDRESSES)] {
            let test = testkit::TestTable::new().await;
            let ctx = ctx(&test.table);
            ada_and_max(&ctx).await;
            // The guesser has registered her address too, and knows that password.
            let mine = Password("mine is another".into());
            registered(&ctx, register_account::Command { password: mine, ..ada() }).await;
            for _ in 0..4 {
                assert_eq!(code(log_in(&ctx, guessed_at, "wrong").await), "LOGIN_FAILED");
            }
            assert_eq!(code(log_in(&ctx, guessed_at, "wrong").await), "TOO_MANY_ATTEMPTS");
            let mut seen = Vec::new();
            for other in others {
                drop(test.engine.take_calls());
                let answers = [
                    code(log_in(&ctx, other, "wrong").await),
                    code(log_in(&ctx, other, "wrong").await),
                ];
                assert_eq!(answers, ["LOGIN_FAILED"; 2], "{guessed_at}, {other}");
                seen.push(test.engine.take_calls());
            }
            assert_eq!(seen, vec![seen[0].clone(); 3]);
            if guessed_at != ADA {
                let own = log_in(&ctx, ADA, "mine is another").await;
                assert_eq!(code(own), "EMAIL_NOT_VERIFIED", "as if nobody had guessed");
            }
        }
    }

    #[tokio::test]
    async fn guesses_by_both_names_of_an_account_are_counted_together() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        ada_and_max(&ctx).await;
        for name in [ADA, "S-1815", ADA, "S-1815"] {
            assert_eq!(code(log_in(&ctx, name, "wrong").await), "LOGIN_FAILED");
        }
        for name in [ADA, "S-1815"] {
            let right = handle(&ctx, &call(name, SECRET, after(1))).await;
            assert_eq!(code(right), "LOGIN_FAILED", "it is not looked at");
        }
        handle(&ctx, &call("S-1858", SECRET, after(1))).await.expect("nobody guessed at Max");
        handle(&ctx, &call("S-1815", SECRET, after(2))).await.expect("the wait is over");
        handle(&ctx, &call(ADA, SECRET, after(2))).await.expect("and forgotten");
    }

    #[tokio::test]
    async fn a_day_of_guesses_by_two_names_is_worth_no_more_than_by_one() {
        const GUESSES: i64 = 2_500;
        const PAUSE_S: i64 = 32;
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        ada_and_max(&ctx).await;
        for guess in 0..GUESSES {
            let name = if guess % 2 == 0 { ADA } else { "S-1815" };
            let wild = call(name, "a wild guess", after(guess * PAUSE_S));
            handle(&ctx, &wild).await.expect_err("it is wrong");
        }
        let login = store::login(&ctx.table, &Identifier::of_login(ADA), |_| None).await;
        let of_account = login.expect("reads").guesses.of_account.expect("no device is known");
        let looked_at = of_account.standing.expect("counted").value.failed;
        assert!(looked_at > 50 && looked_at <= LoginAttempts::BUDGET, "{looked_at}");
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
        for _ in 0..2 {
            assert_eq!(code(log_in(&ctx, ADA, "a wrong password").await), "LOGIN_FAILED");
            assert_eq!(code(log_in(&ctx, ADA, "mine is another").await), "EMAIL_NOT_VERIFIED");
        }
        assert_eq!(code(log_in(&ctx, ADA, "mine is another").await), "TOO_MANY_ATTEMPTS");
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
                for guesses in [Some(login.guesses.told), login.guesses.of_account] {
                    let standing = guesses.and_then(|guesses| guesses.standing);
                    assert!((1..=2).contains(&standing.expect("counted").value.failed));
                }
            },
        )
        .await;
    }

    #[tokio::test]
    async fn guesses_made_at_the_same_time_are_all_counted() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let calls = vec![call(ADA, "a wrong password", testkit::now()); 4];
        for result in at_once(&ctx, &calls).await {
            assert_eq!(code(result), "LOGIN_FAILED");
        }
        assert_eq!(counted(&ctx).await, 4);
    }

    /// What becomes of calls that are all under way before the first one is answered.
    async fn at_once(ctx: &Ctx, calls: &[Call<Command>]) -> Vec<Result<Tokens, Failure>> {
        let local = tokio::task::LocalSet::new();
        let mut running = tokio::task::JoinSet::new();
        for call in calls {
            let (ctx, call) = (ctx.clone(), call.clone());
            let run = async move { shell::run_step(async || handle(&ctx, &call).await).await };
            running.spawn_local_on(run, &local);
        }
        local.run_until(running.join_all()).await
    }

    async fn counted(ctx: &Ctx) -> u32 {
        let login = store::login(&ctx.table, &Identifier::of_login(ADA), |_| None).await;
        login.expect("reads").guesses.told.standing.map_or(0, |standing| standing.value.failed)
    }

    /// Of these guesses at once, none is answered for nothing: a wrong one was counted before, and a right one is told
    /// only where no other was counted meanwhile. How many were told that the password is right.
    async fn no_more_is_told_than_counted(
        ctx: &Ctx,
        told: &str,
        is_counted: bool,
        calls: &[Call<Command>],
    ) -> u32 {
        let before = counted(ctx).await;
        let (mut failed, mut right) = (0, 0);
        for result in at_once(ctx, calls).await {
            match result {
                Err(Failure::Refused(refusal)) if refusal.code() == "TOO_MANY_ATTEMPTS" => {}
                // It lost every race, and was told nothing.
                Err(Failure::Conflict { .. }) => {}
                Err(Failure::Refused(refusal)) if refusal.code() == told => right += 1,
                Err(Failure::Refused(refusal)) if refusal.code() == "LOGIN_FAILED" => failed += 1,
                other => panic!("the guesser got {other:?}"),
            }
        }
        assert!(failed + right > 0);
        assert_eq!(counted(ctx).await, before + failed + if is_counted { right } else { 0 });
        assert!(counted(ctx).await <= LoginAttempts::FREE + 1, "{failed} were looked at");
        right
    }

    #[tokio::test]
    async fn guesses_at_once_learn_no_right_password_for_nothing_where_a_second_factor_is_asked_for()
     {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        enrolled(&ctx, person).await;
        let mut calls = vec![call(ADA, "a wrong password", testkit::now()); 7];
        calls.push(call(ADA, SECRET, testkit::now()));
        no_more_is_told_than_counted(&ctx, "SECOND_FACTOR_NEEDED", false, &calls).await;
        let right = vec![call(ADA, SECRET, after(60)); 3];
        for result in at_once(&ctx, &right).await {
            assert!(result.is_err());
        }
    }

    #[tokio::test]
    async fn guesses_at_once_learn_no_right_password_for_nothing_where_the_address_is_unproven() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        registered(&ctx, ada()).await;
        let mut calls = vec![call(ADA, "a wrong password", testkit::now()); 5];
        calls.extend(vec![call(ADA, SECRET, testkit::now()); 3]);
        no_more_is_told_than_counted(&ctx, "EMAIL_NOT_VERIFIED", true, &calls).await;
    }

    #[tokio::test]
    async fn who_types_the_password_and_then_the_code_owes_nothing_afterwards() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let (_, codes) = enrolled(&ctx, person).await;
        for recovery_code in &codes[..5] {
            assert_eq!(code(log_in(&ctx, ADA, SECRET).await), "SECOND_FACTOR_NEEDED");
            assert_eq!(counted(&ctx).await, 0);
            log_in_with(&ctx, recovery_code).await.expect("logs in");
            assert_eq!(counted(&ctx).await, 0);
        }
    }

    #[tokio::test]
    async fn a_stranger_who_knows_no_password_puts_no_wait_between_the_owners_password_and_code() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let (_, codes) = enrolled(&ctx, person).await;
        let with_code = |typed: &str, now| {
            let mut attempt = call(ADA, SECRET, now);
            attempt.command.second_factor = Some(typed.to_owned());
            attempt
        };
        let mut now = testkit::now();
        for (wrong, recovery_code) in [3, 4, 12, 20].into_iter().zip(&codes) {
            for _ in 0..wrong {
                let guess = handle(&ctx, &call(ADA, "a wrong password", now)).await;
                assert_eq!(code(guess), "LOGIN_FAILED");
                now += SignedDuration::from_secs(LoginAttempts::WAIT_MAX_S);
            }
            // At the very moment at which the stranger's wait is over.
            let first = handle(&ctx, &call(ADA, SECRET, now)).await;
            assert_eq!(code(first), "SECOND_FACTOR_NEEDED");
            handle(&ctx, &with_code(recovery_code, now)).await.expect("no wait has begun");
        }
    }

    #[tokio::test]
    async fn from_a_known_device_both_steps_are_open_whatever_a_stranger_does_meanwhile() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let (_, codes) = enrolled(&ctx, person).await;
        let device_token = log_in_with(&ctx, &codes[0]).await.expect("at home").device_token;
        let guess_until_it_waits = async || {
            while code(log_in(&ctx, ADA, "a wrong password").await) == "LOGIN_FAILED" {}
        };
        let mut owner = call(ADA, SECRET, testkit::now());
        owner.command.device_token = device_token;
        guess_until_it_waits().await;
        assert_eq!(code(handle(&ctx, &owner).await), "SECOND_FACTOR_NEEDED");
        guess_until_it_waits().await;
        owner.command.second_factor = Some(codes[1].clone());
        handle(&ctx, &owner).await.expect("the stranger's guesses are not hers");
    }

    #[tokio::test]
    async fn a_device_is_known_until_the_password_changes_or_all_sessions_end() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let first = log_in(&ctx, ADA, SECRET).await.expect("logs in");
        let is_known = async |token: &Option<String>| {
            let token = token.clone().expect("every log-in replies with one");
            let key = ctx.device_key().await.expect("a key");
            let device = |account| key.presented(&token, account);
            let login = store::login(&ctx.table, &Identifier::of_login(ADA), device).await;
            login.expect("reads").device.is_some()
        };
        assert!(is_known(&first.device_token).await);
        let (current_password, new_password) =
            (Password(SECRET.into()), Password("n, and more of it".into()));
        let change = change_password::Command { current_password, new_password };
        change_password::handle(&ctx, &by_bearer(&ctx, &first, change).await)
            .await
            .expect("changes");
        assert!(!is_known(&first.device_token).await, "a hoarded token is worth nothing");
        let refresh = refresh_session::Command { refresh_token: first.refresh_token.clone() };
        let refreshed = refresh_session::handle(&ctx, &testkit::call(refresh)).await;
        let refreshed = refreshed.expect("this session was kept");
        assert!(is_known(&refreshed.device_token).await, "and so is its device");
        let end = by_bearer(&ctx, &refreshed, end_sessions::Command {}).await;
        end_sessions::handle(&ctx, &end).await.expect("ends");
        assert!(!is_known(&refreshed.device_token).await);
    }

    #[tokio::test]
    async fn a_new_word_of_the_secret_voids_no_second_factor() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (account, person) = verified(&ctx, ada()).await;
        let (_, codes) = enrolled(&ctx, person).await;
        let with_words = |words: &str| {
            let second_factors = std::sync::Arc::new(SecondFactorRing::given(words));
            Ctx { second_factors, ..ctx.clone() }
        };
        let new_word = "the-second-factors-from-now-on";
        let both = with_words(&format!("{new_word} {SECOND_FACTOR_WORD}"));
        log_in_with(&both, &codes[0]).await.expect("the old word still opens");
        let only_new = with_words(new_word);
        log_in_with(&only_new, &codes[1]).await.expect("it was sealed anew");
        let typed = second_factor_code(&only_new, account, after(60)).await;
        assert_eq!(typed.len(), 6);
    }

    #[tokio::test]
    async fn ten_thousand_guesses_from_everywhere_get_nowhere_and_do_not_keep_the_owner_out() {
        const GUESSES: i64 = 10_000;
        // All of them on one day, so that none is forgotten meanwhile.
        const PAUSE_S: i64 = 8;
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let device_token = log_in(&ctx, ADA, SECRET).await.expect("at home").device_token;
        let owner = async |now| {
            let mut owner = call(ADA, SECRET, now);
            owner.command.device_token.clone_from(&device_token);
            handle(&ctx, &owner).await.expect("the owner is let in from a known device");
        };
        let stranger = async |number: i64, password: &str, now| {
            let mut attempt = call(ADA, password, now);
            // The guesser sends whatever may make a device known.
            attempt.command.device_token = Some(format!("dev_{number:032x}.0.AAAA"));
            code(handle(&ctx, &attempt).await)
        };
        let mut looked_at = 0;
        for guess in 0..GUESSES {
            let now = after(guess * PAUSE_S);
            match stranger(guess, "a wild guess", now).await {
                "LOGIN_FAILED" => looked_at += 1,
                "TOO_MANY_ATTEMPTS" => {}
                other => panic!("the guesser got {other} at guess {guess}"),
            }
            if guess % 2_500 == 0 {
                owner(now).await;
            }
        }
        assert!(looked_at <= LoginAttempts::BUDGET, "{looked_at} guesses were looked at");
        let now = after(GUESSES * PAUSE_S);
        assert_eq!(stranger(GUESSES, SECRET, now).await, "TOO_MANY_ATTEMPTS", "though it is right");
        owner(now).await;
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
