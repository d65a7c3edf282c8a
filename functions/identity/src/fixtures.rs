//! Ada, whom the tests register, verify, import and log in.

mod provider;

use std::fmt::Display;
use std::sync::Arc;

use events::LinkPurpose;
use jiff::tz::TimeZone;
use kernel::{AccountId, Id, Locale, PersonId, PersonName, SessionId, SourceId, Timestamp};
use shell::authorizer::Authorized;
use shell::{Call, Caller, Failure, Grant, Role, Scope};
use table::{AuditEntry, Table};

pub use testkit::trail_of;

pub use self::provider::{
    CODE, PROVIDER_SECRET, PlayedProvider, ProviderKey, REDIRECT_URI, provider_claims, university,
};
use crate::devices::DeviceKey;
use crate::domain::{Password, SecondFactorPolicy, SelfRegistration, Session};
use crate::key_ring::KeyRing;
use crate::key_store::key_set;
use crate::operations::log_in::Tokens;
use crate::operations::register_account::Command;
use crate::operations::{
    authorize, confirm_second_factor, enroll_second_factor, import_people, log_in,
    register_account, verify_email,
};
use crate::refresh::RefreshKey;
use crate::relying_party::RelyingParty;
use crate::second_factor_ring::SecondFactorRing;
use crate::standings::{remembered_clients, remembered_standings};
use crate::tokens::SigningKeys;
use crate::{Ctx, store};

/// Random words, as the deployment makes them.
pub const SIGNING_WORD: &str = "the-signing-keys-of-a-test";
pub const SECOND_FACTOR_WORD: &str = "the-second-factors-of-a-test";

pub fn ctx(table: &Table) -> Ctx {
    let keys = SigningKeys::of(&key_set(SIGNING_WORD).expect("a word")).expect("a key set");
    Ctx {
        table: table.clone(),
        key_ring: KeyRing::given(keys).into(),
        standings: Arc::new(remembered_standings()),
        clients: Arc::new(remembered_clients()),
        relying_party: Arc::new(RelyingParty::on_this_machine(PROVIDER_SECRET)),
        redirect_uri: Arc::<str>::from(REDIRECT_URI).into(),
        issuer: Arc::<str>::from("https://test.matricula.example").into(),
        device_key: DeviceKey::derived_from("the identity secret of a test").into(),
        second_factors: Arc::new(SecondFactorRing::given(SECOND_FACTOR_WORD)),
        policy: SecondFactorPolicy::Optional.into(),
        self_registration: SelfRegistration::Everybody.into(),
        refresh_key: RefreshKey::derived_from("the identity secret of a test").into(),
        verification_secret: Arc::<str>::from("the other one").into(),
        time_zone: TimeZone::UTC.into(),
    }
}

pub fn code<R>(result: Result<R, Failure>) -> &'static str {
    match result.map(drop) {
        Err(Failure::Refused(refusal)) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}

/// The entries that an operation has written in a chain, each as `record: field old → new, …`.
pub async fn noted(table: &Table, chain: impl Display, operation: &str) -> Vec<String> {
    let shown = |entry: AuditEntry| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".into());
        let changes = entry.changes.iter();
        let changes: Vec<_> = changes
            .map(|one| format!("{} {} → {}", one.field, value(&one.old), value(&one.new)))
            .collect();
        let record = entry.record.split('/').next().unwrap_or_default();
        format!("{record}: {}", changes.join(", "))
    };
    let entries = trail_of(table, chain).await.into_iter();
    entries.filter(|entry| entry.operation == operation).map(shown).collect()
}

/// How six runs are refused that are all under way before the first is answered.
pub async fn refused_at_once<R>(act: impl AsyncFn() -> Result<R, Failure>) -> [&'static str; 6] {
    // Boxed: six of them side by side are large.
    let run = || Box::pin(async { code(shell::run_step(async || act().await).await) });
    tokio::join!(run(), run(), run(), run(), run(), run()).into()
}

pub fn ada() -> register_account::Command {
    register_account::Command {
        email: "ada@matricula.example".parse().expect("an address"),
        password: Password("a long enough secret".into()),
        name: PersonName { given: "Ada".into(), family: "Lovelace".into() },
        locale: Some(Locale::Fr),
    }
}

/// The same person as the registrar's old system knows her.
pub fn imported_ada() -> import_people::Row {
    import_people::Row {
        row: 1,
        source: SourceId("ada-1815".into()),
        given_name: "Augusta Ada".into(),
        family_name: "Lovelace".into(),
        email: Some("Ada@Matricula.Example".into()),
        student_number: Some("S-1815".into()),
        staff_number: None,
        roles: vec![Role::Teacher],
        department: Some("MATH".into()),
        preferred_name: None,
        birth_date: None,
        pronouns: None,
        external_ids: Vec::new(),
    }
}

pub fn as_person<C>(person: PersonId, command: C) -> Call<C> {
    let call = testkit::call(command);
    let session = SessionId::derived_from(&person.to_string());
    Call { caller: Some(Caller { person, session, grants: Vec::new() }), ..call }
}

/// A call of somebody who has an account, from a session of theirs that stands.
pub async fn from_session<C>(ctx: &Ctx, person: PersonId, command: C) -> Call<C> {
    let call = as_person(person, command);
    let known = ctx.table.get(&store::person_key(person)).await.expect("reads");
    let account = known.and_then(|known| known.value.account).expect("an account");
    stand(ctx, &call, account).await;
    call
}

/// A call of somebody who holds this role, from a session of theirs that stands.
pub async fn of_staff<C>(ctx: &Ctx, role: Role, command: C) -> Call<C> {
    let call = by_staff(role, command);
    stand(ctx, &call, AccountId::derived_from("staff")).await;
    call
}

/// Has the session of the call stand, begun anew where it does not.
async fn stand<C>(ctx: &Ctx, call: &Call<C>, account: AccountId) {
    let caller = call.caller();
    let found = store::session_end_and_trail(&ctx.table, caller).await;
    let (session, end, _) = found.expect("reads");
    let end = end.map(|end| end.value);
    if session.as_ref().is_some_and(|session| session.value.stands(end.as_ref(), call.now)) {
        return;
    }
    let mut begun = Session::start(caller.session, caller.person, account, call.now);
    begun.begin_after(end.as_ref());
    let mut transaction = ctx.table.transaction();
    transaction.put(&begun, session.map(|session| session.version));
    transaction.commit().await.expect("written");
}

/// A call by whoever got these tokens.
pub async fn by_bearer<C>(ctx: &Ctx, tokens: &Tokens, command: C) -> Call<C> {
    let caller = caller_of(ctx, tokens).await.expect("the session stands");
    Call { caller: Some(caller), ..testkit::call(command) }
}

pub fn by_administrator<C>(command: C) -> Call<C> {
    by_staff(Role::Administrator, command)
}

/// A call of somebody who holds this role, on everything.
pub fn by_staff<C>(role: Role, command: C) -> Call<C> {
    let mut call = as_person(testkit::person("staff"), command);
    call.caller.as_mut().expect("a caller").grants = vec![Grant { role, department: None }];
    call.reach = vec![(Scope::All, None)];
    call
}

pub async fn registered(ctx: &Ctx, command: register_account::Command) -> AccountId {
    let reply = register_account::handle(ctx, &testkit::call(command)).await;
    reply.expect("registers").account
}

/// The code that stands in the mail.
pub async fn code_for(ctx: &Ctx, account: AccountId) -> String {
    let account = ctx.table.get(&store::account_key(account)).await.expect("reads");
    let account = account.expect("an account").value;
    let secret = ctx.verification_secret().await.expect("a secret");
    events::verification_code(secret.as_bytes(), account.id, account.verification_requested_at)
}

pub async fn verified(ctx: &Ctx, command: register_account::Command) -> (AccountId, PersonId) {
    let account = registered(ctx, command).await;
    let command = verify_email::Command { account, code: code_for(ctx, account).await };
    let reply = verify_email::handle(ctx, &testkit::call(command)).await.expect("verifies");
    (account, reply.person)
}

pub async fn log_in(ctx: &Ctx, login: &str, password: &str) -> Result<Tokens, Failure> {
    let (login, password) = (login.to_owned(), Password(password.to_owned()));
    log_in::handle(ctx, &testkit::call(credentials(login, password, None))).await
}

fn credentials(
    login: String,
    password: Password,
    second_factor: Option<String>,
) -> log_in::Command {
    let (device_token, device_name) = (None, None);
    log_in::Command { login, password, device_token, device_name, second_factor }
}

/// Ada logs in with a code of her second factor.
pub async fn log_in_with(ctx: &Ctx, code: &str) -> Result<Tokens, Failure> {
    let Command { email, password, .. } = ada();
    let credentials = credentials(email.as_str().to_owned(), password, Some(code.to_owned()));
    log_in::handle(ctx, &testkit::call(credentials)).await
}

/// Ada's second factor, confirmed; with its recovery codes.
pub async fn enrolled(ctx: &Ctx, person: PersonId) -> (AccountId, Vec<String>) {
    let enroll = enroll_second_factor::Command { password: ada().password };
    let enroll = from_session(ctx, person, enroll).await;
    enroll_second_factor::handle(ctx, &enroll).await.expect("enrolls");
    let known = ctx.table.get(&store::person_key(person)).await.expect("reads");
    let account = known.and_then(|known| known.value.account).expect("an account");
    let code = second_factor_code(ctx, account, testkit::now()).await;
    let confirm = from_session(ctx, person, confirm_second_factor::Command { code }).await;
    let reply = confirm_second_factor::handle(ctx, &confirm).await.expect("confirms");
    (account, reply.recovery_codes)
}

/// What the app shows at this moment.
pub async fn second_factor_code(ctx: &Ctx, account: AccountId, now: Timestamp) -> String {
    let factor = ctx.table.get(&store::second_factor_key(account)).await.expect("reads");
    let factor = factor.expect("it is enrolled").value;
    let opened = ctx.second_factors.opened(&factor, now).await.expect("opens");
    opened.seed.code_at(now)
}

pub async fn ada_logged_in(ctx: &Ctx) -> Tokens {
    verified(ctx, ada()).await;
    log_in(ctx, "ada@matricula.example", "a long enough secret").await.expect("logs in")
}

/// The secret part of the link that stands in the mail.
pub async fn link_to(
    ctx: &Ctx,
    purpose: LinkPurpose,
    account: AccountId,
    requested_at: Timestamp,
) -> String {
    let secret = ctx.verification_secret().await.expect("a secret");
    events::link_token(secret.as_bytes(), purpose, account, requested_at)
}

/// Who calls with these tokens, as an authorizer finds out that knows nothing yet.
pub async fn caller_of(ctx: &Ctx, tokens: &Tokens) -> Result<Caller, Failure> {
    let cold = Ctx { standings: Arc::new(remembered_standings()), ..ctx.clone() };
    Ok(in_person(authorize::handle(&cold, &tokens.access_token, testkit::now()).await?))
}

/// The person whom a token stands for.
pub fn in_person(authorized: Authorized) -> Caller {
    match authorized {
        Authorized::Person(caller) => caller,
        Authorized::Client(client) => panic!("{client:?} is no person"),
    }
}
