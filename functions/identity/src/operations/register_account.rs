//! A new account, open once its e-mail address is proven. Whether the address is taken shows neither in the reply nor
//! in the work, nor in what happens afterwards: every registration makes an unverified account, but no code is sent for
//! a taken address, and without one the account stays closed. So it does where too many codes were asked for.

use events::EmailVerificationRequested;
use kernel::{AccountId, Email, Id, Locale, PersonName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::domain::{
    Account, AccountState, Chooser, Claim, Identifier, MailRequests, Password, check_password,
};
use crate::{Ctx, passwords, store};

pub const ROUTE: Route =
    Route::create("register-account", "/accounts", Access::Public, "Register an account");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub email: Email,
    #[schemars(length(min = 12, max = 128))]
    pub password: Password,
    pub name: PersonName,
    /// The language of what we send; that of the request where it is absent.
    pub locale: Option<Locale>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub account: AccountId,
    pub status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Unverified,
    Active,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { email, password, name, locale } = &call.command;
    check_password(password, Chooser { email, name, student_number: None })?;
    let identifier = Identifier::email(email);
    // Apart from requests for a new password, of which an account has its own.
    let subject = format!("{}#codes", store::subject_of_typed(&identifier));
    let (claim, requests) = (store::claim_key(&identifier), store::mail_requests_key(&subject));
    let mut batch = ctx.table.get_batch(vec![(&claim).into(), (&requests).into()]).await?;
    let (claim, requests) = (batch.take(&claim)?, batch.take(&requests)?);
    let asked = MailRequests::with_one_more(
        requests.as_ref().map(|requests| &requests.value),
        &subject,
        call.now,
    );
    // A code that is not sent could still be guessed.
    let wrong_codes = if asked.is_mailed() { 0 } else { Account::WRONG_CODES_MAX };
    let account = Account {
        id: call.new_id(),
        email: email.clone(),
        name: name.clone(),
        locale: locale.unwrap_or(call.locale),
        password_hash: passwords::hash(password)?,
        verification_requested_at: call.now,
        state: AccountState::Unverified { wrong_codes },
        reset: None,
        password_chosen_by: None,
        was_used: false,
    };
    let read_version = claim.as_ref().map(|claim| claim.version);
    let mut claim = claim.map_or_else(|| Claim::of_nobody(identifier), |claim| claim.value);
    if asked.is_mailed() {
        claim.pending = Some(account.id);
    }
    let reply = Reply { account: account.id, status: Status::Unverified };
    let mut transaction = ctx.table.transaction();
    transaction.create(&account);
    transaction.put(&claim, read_version);
    transaction.put(&asked, requests.map(|requests| requests.version));
    if claim.account.is_none() && asked.is_mailed() {
        let Account { id, email, name, locale, .. } = account;
        let requested_at = call.now;
        let event = EmailVerificationRequested { account: id, email, name, locale, requested_at };
        transaction.event(event, 1, call.now, &call.correlation_id);
    } else {
        let nobodys = AccountId::derived_from(&subject);
        transaction.check(&store::account_key(nobodys), None);
    }
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonRegistered};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shell::http::Door;
    use tokio::time::{Duration, Instant};

    use super::super::verify_email;
    use super::*;
    use crate::fixtures::{ada, code, code_for, ctx, log_in, registered, verified};

    async fn requests(ctx: &Ctx) -> Vec<EmailVerificationRequested> {
        let events = testkit::published(&ctx.table).await;
        let requests =
            events.into_iter().filter(|event| event.name == EmailVerificationRequested::NAME);
        requests.map(|event| serde_json::from_value(event.data).expect("a request")).collect()
    }

    #[tokio::test]
    async fn an_account_is_registered_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::call(ada()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let requests = requests(&ctx(table)).await;
                assert_eq!(requests.len(), 1);
                let account = table.get(&store::account_key(requests[0].account)).await;
                assert!(account.expect("reads").is_some());
                let claim = store::claim(table, Identifier::email(&ada().email)).await;
                assert_eq!(claim.expect("reads").0.pending, Some(requests[0].account));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_taken_address_changes_neither_the_reply_nor_whose_it_is() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (first, _) = verified(&ctx, ada()).await;
        let thief = Command { password: Password("mine is another".into()), ..ada() };
        let second = registered(&ctx, thief.clone()).await;
        assert_ne!(first, second);
        let codes: Vec<_> = requests(&ctx).await.into_iter().map(|event| event.account).collect();
        assert_eq!(codes, [first], "no code leaves for a taken address");
        let events = testkit::published(&test.table).await;
        assert_eq!(events.iter().filter(|event| event.name == PersonRegistered::NAME).count(), 1);
        log_in(&ctx, "ada@matricula.example", "a long enough secret").await.expect("still hers");
        let theft = log_in(&ctx, "ada@matricula.example", "mine is another").await;
        assert_eq!(code(theft), "EMAIL_NOT_VERIFIED", "as for an address that is free");
    }

    #[tokio::test]
    async fn whoever_registers_an_address_costs_as_much_whether_or_not_it_is_taken() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        verified(&ctx, ada()).await;
        let email = "free@matricula.example".parse().expect("an address");
        let free = Command { email, ..ada() };
        let mut seen = Vec::new();
        // The free one three times with a code, and then without.
        for command in [&free, &free, &free, &free, &ada(), &ada(), &ada()] {
            drop((test.engine.take_calls(), test.engine.take_transaction_items()));
            let call = Call { caller: None, ..testkit::call(command.clone()) };
            let reply = handle(&ctx, &call).await.expect("the same answer");
            assert_eq!(reply.status, Status::Unverified);
            seen.push((test.engine.take_calls(), test.engine.take_transaction_items()));
        }
        assert_eq!(seen, vec![seen[0].clone(); seen.len()]);
        assert_eq!(requests(&ctx).await.len(), 1 + 3, "Ada's own, and three for the free one");
    }

    #[tokio::test]
    async fn nobodys_mailbox_is_flooded_and_no_code_is_there_to_be_guessed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let email = |text: &str| text.parse().expect("an address");
        let mut accounts = Vec::new();
        for second in 0..20 {
            let spelt =
                if second % 2 == 0 { "Ada@matricula.example" } else { "ada@MATRICULA.example" };
            let mut call = testkit::call(Command { email: email(spelt), ..ada() });
            call.now += SignedDuration::from_secs(second);
            accounts.push(handle(&ctx, &call).await.expect("the same answer").account);
        }
        assert_eq!(requests(&ctx).await.len(), 3);
        // Even the right code opens none of those for which no code was sent.
        for account in &accounts[3..] {
            let code_of_it = code_for(&ctx, *account).await;
            let prove = verify_email::Command { account: *account, code: code_of_it };
            let proven = verify_email::handle(&ctx, &testkit::call(prove)).await;
            assert_eq!(code(proven), "VERIFICATION_TRIES_EXHAUSTED");
        }
        let mut later = testkit::call(ada());
        later.now += MailRequests::PERIOD;
        handle(&ctx, &later).await.expect("the same answer");
        assert_eq!(requests(&ctx).await.len(), 4);
        let other = Command { email: email("max@matricula.example"), ..ada() };
        registered(&ctx, other).await;
        assert_eq!(requests(&ctx).await.len(), 5, "every address by itself");
        let last_with_code = accounts[2];
        let code_of_it = code_for(&ctx, last_with_code).await;
        let prove = verify_email::Command { account: last_with_code, code: code_of_it };
        verify_email::handle(&ctx, &testkit::call(prove)).await.expect("the flood voids no code");
    }

    #[tokio::test]
    async fn who_registers_again_before_proving_gets_another_code() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (first, second) = (registered(&ctx, ada()).await, registered(&ctx, ada()).await);
        assert_ne!(first, second);
        assert_eq!(requests(&ctx).await.len(), 2);
    }

    #[tokio::test]
    async fn an_easy_password_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let refused = async |password: &str| {
            let command = Command { password: Password(password.into()), ..ada() };
            code(handle(&ctx, &testkit::call(command)).await)
        };
        assert_eq!(refused("passwordpassword").await, "PASSWORD_TOO_COMMON");
        assert_eq!(refused("Ada@Matricula.example").await, "PASSWORD_IS_EMAIL");
    }

    async fn posted(ctx: &Ctx, event: &Value) -> (u64, Value) {
        let door = Door::<Command>::new(&ROUTE);
        let reply =
            door.answer(ctx, &handle, event, Instant::now() + Duration::from_secs(30)).await;
        let body = serde_json::from_str(reply["body"].as_str().expect("a body")).expect("JSON");
        (reply["statusCode"].as_u64().expect("a status"), body)
    }

    #[tokio::test]
    async fn the_same_request_twice_gets_the_same_reply_without_anybody_logged_in() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let body = json!({
            "email": "ada@matricula.example", "password": "a long enough secret",
            "name": { "given": "Ada", "family": "Lovelace" }, "locale": "fr",
        });
        let event = testkit::http_event("POST", &[], &body, None);
        let (status, first) = posted(&ctx, &event).await;
        assert_eq!((status, &first["status"]), (201, &json!("unverified")));
        assert_eq!(posted(&ctx, &event).await, (201, first));
        assert_eq!(requests(&ctx).await.len(), 1);
        assert_eq!(requests(&ctx).await[0].locale, Locale::Fr);
    }

    #[tokio::test]
    async fn a_password_that_is_too_short_or_too_long_is_refused_with_its_field() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let long = "x".repeat(129);
        for (password, error) in [("elevenchars", "TOO_SHORT"), (long.as_str(), "TOO_LONG")] {
            let body = json!({
                "email": "ada@matricula.example", "password": password,
                "name": { "given": "Ada", "family": "Lovelace" },
            });
            let event = testkit::http_event("POST", &[], &body, None);
            let (status, problem) = posted(&ctx, &event).await;
            assert_eq!(status, 422, "{problem}");
            assert_eq!(problem["errors"][0]["field"], "/password");
            assert_eq!(problem["errors"][0]["code"], error);
        }
    }
}
