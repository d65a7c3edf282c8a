//! A sign-in with another provider ends: the browser has come back with a code, which the provider turns into its word
//! of who it is. That word opens the account of a person who has this external id, or else an address that the provider
//! has verified; an address that it has not verified opens nothing. The session is as after any log-in.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use kernel::{AccountId, Email, Locale, PersonId, PersonName, SignInId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, Failure, Route};
use table::{Actor, Deed, Stored, Transaction};

use super::log_in::Tokens;
use super::verify_email;
use crate::domain::{
    Account, AccountState, ExternalId, Identifier, Identity, PasswordHash, Provider, Refusal,
    Session, SignIn, UnknownPerson,
};
use crate::people::{self, Before};
use crate::relying_party::{Challenge, Comeback};
use crate::session_start::{self, Brought};
use crate::{Ctx, client_secrets, sign_in_store, store};

pub const ROUTE: Route = Route::call(
    "complete-sign-in",
    "/sign-ins/{sign_in}/completion",
    Access::Public,
    "Complete a sign-in with another provider",
);

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub sign_in: SignInId,
    /// What the beginning replied.
    #[schemars(length(min = 1, max = 100))]
    pub handle: String,
    /// As the browser came back with it.
    #[schemars(length(min = 1, max = 4_000))]
    pub code: String,
    #[schemars(length(min = 1, max = 100))]
    pub state: String,
    /// The same; where the provider tells who it is (RFC 9207).
    #[schemars(length(max = 200))]
    pub iss: Option<String>,
    #[schemars(length(max = 256))]
    pub device_token: Option<String>,
    #[schemars(length(min = 1, max = 100))]
    pub device_name: Option<String>,
    /// A code of the account's own second factor, where it has one and the provider tells of none.
    #[schemars(length(min = 6, max = 30))]
    pub second_factor: Option<String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Tokens, Failure> {
    let (sign_in, provider) = begun(ctx, call).await?;
    let Command { handle, code, iss, .. } = &call.command;
    let comeback = Comeback {
        code,
        issuer: iss.as_deref(),
        redirect_uri: ctx.redirect_uri(),
        challenge: &Challenge::of(handle),
        now: call.now,
    };
    let outcome = match ctx.relying_party.identity(&provider.settings, &comeback).await {
        // The code is used up by now: what others wrote meanwhile is read again, but the provider is not asked again.
        Ok(identity) => {
            shell::run_step(async || admit(ctx, call, &provider, &identity).await).await
        }
        Err(failure) => Err(failure),
    };
    if let Err(Failure::Refused(_)) = outcome {
        let mut transaction = ctx.table.transaction();
        spend(&mut transaction, sign_in, call);
        transaction.commit().await?;
    }
    outcome
}

/// The sign-in, which is good, and the provider that it was begun with.
async fn begun(ctx: &Ctx, call: &Call<Command>) -> Result<(Stored<SignIn>, Provider), Failure> {
    let Command { sign_in, handle, state, .. } = &call.command;
    let sign_in = ctx.table.get(&sign_in_store::sign_in_key(*sign_in)).await?;
    let sign_in = sign_in.ok_or(Refusal::SignInInvalid)?;
    let is_same =
        |one: &str, other: &str| verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok();
    let is_of_its_browser = is_same(&client_secrets::digest_of(handle).0, &sign_in.value.handle.0)
        && is_same(state, &Challenge::of(handle).state);
    sign_in.value.check(is_of_its_browser, call.now)?;
    let provider = ctx.table.get(&sign_in_store::provider_key(&sign_in.value.provider)).await?;
    let provider = provider.map(|provider| provider.value);
    let provider = provider.filter(Provider::is_open);
    Ok((sign_in, provider.ok_or(Refusal::ProviderUnknown)?))
}

fn spend(transaction: &mut Transaction<'_>, mut sign_in: Stored<SignIn>, call: &Call<Command>) {
    sign_in.value.spent_at = Some(call.now);
    transaction.update(&sign_in);
}

/// Whoever the provider names gets a session, where they are somebody here.
async fn admit(
    ctx: &Ctx,
    call: &Call<Command>,
    provider: &Provider,
    identity: &Identity,
) -> Result<Tokens, Failure> {
    let (sign_in, _) = begun(ctx, call).await?;
    let external = provider.settings.external_id_of(identity).checked();
    let external = external.map_err(|_| Refusal::SignInRefused)?;
    let email = provider.settings.linking_email(identity);
    let mut identifiers = vec![Identifier::external(&external)];
    identifiers.extend(email.iter().map(Identifier::email));
    let mut claims = store::claims(&ctx.table, &identifiers).await?.into_iter();
    let by_external = claims.next().and_then(|(claim, _)| claim.person);
    let by_email = claims.next().and_then(|(claim, _)| claim.person);
    let Some(person) = by_external.or(by_email) else {
        let is_welcome = provider.settings.unknown_person == UnknownPerson::Register;
        let email = email.filter(|_| is_welcome).ok_or(Refusal::SignInPersonUnknown)?;
        let name = name(identity).ok_or(Refusal::SignInPersonUnknown)?;
        let account = new_account(call, email, name, locale(identity, call));
        return admit_newcomer(ctx, call, account, None, (sign_in, external, provider, identity))
            .await;
    };
    let known = ctx.table.get(&store::person_key(person)).await?;
    let known = known.ok_or(Refusal::SignInPersonUnknown)?.value;
    if !external.may_open(&known.external_ids) {
        return Err(Refusal::SignInPersonUnknown.into());
    }
    let Some(account) = known.account else {
        let email = known.email.ok_or(Refusal::SignInPersonUnknown)?;
        let account = new_account(call, email, known.name, known.locale);
        let account = Account { state: AccountState::Invited { person }, ..account };
        let agreed = (sign_in, external, provider, identity);
        return admit_newcomer(ctx, call, account, Some(person), agreed).await;
    };
    admit_known(ctx, call, account, (sign_in, external, provider, identity)).await
}

/// What a session is started by: the sign-in, the external id, and the provider's word.
type Agreed<'a> = (Stored<SignIn>, ExternalId, &'a Provider, &'a Identity);

/// Into an account that stands.
async fn admit_known(
    ctx: &Ctx,
    call: &Call<Command>,
    account: AccountId,
    (sign_in, external, provider, identity): Agreed<'_>,
) -> Result<Tokens, Failure> {
    let standing = ctx.table.get(&store::account_key(account)).await?;
    let email = standing.ok_or(Refusal::SignInPersonUnknown)?.value.email;
    let Command { device_token, second_factor, .. } = &call.command;
    let devices = ctx.device_key().await?;
    let device = |account| devices.presented(device_token.as_deref()?, account);
    let mut found = store::login(&ctx.table, &Identifier::email(&email), device).await?;
    let mut transaction = ctx.table.transaction();
    let mut passed = provider.settings.tells_second_factor(identity);
    if !passed {
        let typed = second_factor.as_deref();
        passed = session_start::pass_second_factor(ctx, call, &mut found, typed, &mut transaction)
            .await?;
        if passed {
            found.guesses.forget(&mut transaction);
        }
    }
    let entrant = found.entrant().ok_or(Refusal::SignInPersonUnknown)?;
    spend(&mut transaction, sign_in, call);
    link(ctx, call, &mut transaction, entrant.roles.person, external).await?;
    session_start::enter(ctx, call, transaction, entrant, brought(call, passed)).await
}

fn brought(call: &Call<Command>, passed_second_factor: bool) -> Brought {
    let device_name = call.command.device_name.clone();
    Brought { device_name, passed_second_factor, new_hash: None }
}

/// Into an account that opens by this; `person` is who it must become the account of, where they are known.
async fn admit_newcomer(
    ctx: &Ctx,
    call: &Call<Command>,
    account: Account,
    person: Option<PersonId>,
    (sign_in, external, provider, identity): Agreed<'_>,
) -> Result<Tokens, Failure> {
    let id = account.id;
    let deed = call.deed(ROUTE.operation);
    let opening = verify_email::opening(ctx, &deed, (account, None), Some(external)).await?;
    if person.is_some_and(|person| person != opening.person) {
        return Err(Refusal::SignInPersonUnknown.into());
    }
    let mut transaction = opening.transaction;
    let end = ctx.table.get(&store::sessions_end_key(opening.person)).await?;
    let end = end.map(|end| end.value);
    let (_, (roles, _)) = store::person_and_roles(&ctx.table, opening.person).await?;
    spend(&mut transaction, sign_in, call);
    let session = Session {
        device: Some(call.new_id()),
        ..Session::start(call.new_id(), opening.person, id, call.now)
    };
    let brought = brought(call, provider.settings.tells_second_factor(identity));
    session_start::begin(ctx, call, transaction, session, (&roles, end.as_ref()), brought).await
}

/// Remembers the external id: the next time it leads here by itself. It is its person's own deed.
async fn link(
    ctx: &Ctx,
    call: &Call<Command>,
    transaction: &mut Transaction<'_>,
    id: PersonId,
    external: ExternalId,
) -> Result<(), Failure> {
    let (standing, roles, trail) = store::person_roles_and_trail(&ctx.table, id).await?;
    let standing = standing.ok_or(Refusal::SignInPersonUnknown)?;
    let mut person = standing.value.clone();
    person.add_external_id(external)?;
    if person != standing.value {
        let before = Before::of(Some(&standing), &roles, trail);
        let deed = Deed { actor: Actor::named(id), ..call.deed(ROUTE.operation) };
        people::write(ctx, transaction, before, person, &roles.0, &deed).await?;
    }
    Ok(())
}

/// Active from the start; its password has to be chosen by a link first.
fn new_account(call: &Call<Command>, email: Email, name: PersonName, locale: Locale) -> Account {
    Account {
        id: call.new_id(),
        email,
        name,
        locale,
        password_hash: PasswordHash(String::new()),
        verification_requested_at: call.now,
        state: AccountState::Unverified { wrong_codes: 0 },
        reset: None,
        password_chosen_by: None,
        was_used: true,
    }
}

fn name(identity: &Identity) -> Option<PersonName> {
    let part = |part: &Option<String>| {
        let part = part.as_deref().map(str::trim).filter(|part| !part.is_empty())?;
        (part.chars().count() <= 100).then(|| part.to_owned())
    };
    Some(PersonName { given: part(&identity.given_name)?, family: part(&identity.family_name)? })
}

fn locale(identity: &Identity, call: &Call<Command>) -> Locale {
    identity.locale.as_deref().map_or(call.locale, Locale::from_accept_language)
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonRegistered};
    use jiff::SignedDuration;
    use kernel::Timestamp;
    use serde_json::{Value, json};
    use shell::Role;
    use table::PageRequest;

    use super::super::set_sign_in_provider::tests::agreed;
    use super::super::{add_external_id, begin_sign_in, import_people, remove_external_id};
    use super::*;
    use crate::domain::{ExternalId, Password, ProviderSettings, SecondFactorPolicy};
    use crate::fixtures::{
        CODE, PlayedProvider, ProviderKey, REDIRECT_URI, ada, by_administrator, caller_of, code,
        code_for, ctx, enrolled, imported_ada, log_in, noted, provider_claims, second_factor_code,
        university, verified,
    };

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    /// Somebody goes to the provider and comes back.
    async fn come_back(ctx: &Ctx, settings: ProviderSettings) -> Call<Command> {
        let provider = agreed(ctx, settings).await;
        let begin = testkit::call(begin_sign_in::Command { provider });
        let begun = begin_sign_in::handle(ctx, &begin).await.expect("begun");
        let command = Command {
            sign_in: begun.sign_in,
            state: Challenge::of(&begun.handle).state,
            handle: begun.handle,
            code: CODE.into(),
            iss: None,
            device_token: None,
            device_name: Some("a browser".into()),
            second_factor: None,
        };
        Call { caller: None, ..testkit::call(command) }
    }

    /// What the provider says of Ada, whose address here is the one that she registered with.
    fn of_ada(played: &PlayedProvider, call: &Call<Command>) -> Value {
        let mut claims =
            provider_claims(&played.issuer, &Challenge::of(&call.command.handle).nonce);
        claims["email"] = ada().email.as_str().into();
        claims
    }

    async fn signed_in(
        ctx: &Ctx,
        played: &PlayedProvider,
        change: impl Fn(&mut Value),
    ) -> Result<Tokens, Failure> {
        let call = come_back(ctx, university(&played.issuer)).await;
        let mut claims = of_ada(played, &call);
        change(&mut claims);
        played.says(&claims);
        handle(ctx, &call).await
    }

    #[tokio::test]
    async fn an_account_opens_once_whatever_happens_on_the_wire() {
        let played = PlayedProvider::start().await;
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                verified(&ctx, ada()).await;
                let call = come_back(&ctx, university(&played.issuer)).await;
                played.says(&of_ada(&played, &call));
                call
            },
            async |table, call| match handle(&ctx(table), call).await {
                // It was spent, and the reply was lost: the next one is as good.
                Err(Failure::Refused(refusal)) if refusal.code() == "SIGN_IN_INVALID" => Ok(()),
                other => other.map(drop),
            },
            async |table, call| {
                let key = sign_in_store::sign_in_key(call.command.sign_in);
                let sign_in = table.get(&key).await.expect("reads").expect("begun").value;
                assert_eq!(sign_in.spent_at, Some(testkit::now()));
                let claim = Identifier::external(&ExternalId::new("idp:university", "u-1815"));
                let (claim, _) = store::claim(table, claim).await.expect("reads");
                let person = claim.holder().expect("it leads to ada").1;
                let page = table.query(&store::sessions_of(person), &PageRequest::default()).await;
                assert_eq!(page.expect("reads").records.len(), 1, "one session and no more");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_verified_address_links_and_the_external_id_leads_there_ever_after() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        let (_, person) = verified(&ctx, ada()).await;
        let tokens = signed_in(&ctx, &played, |_| ()).await.expect("signs in");
        assert_eq!(tokens.person, person);
        let caller = caller_of(&ctx, &tokens).await.expect("good");
        assert_eq!(caller.grants.len(), 1);
        let form = played.form();
        assert_eq!((form["code"].as_str(), form["redirect_uri"].as_str()), (CODE, REDIRECT_URI));
        assert_eq!(
            (form["grant_type"].as_str(), form["code_verifier"].len()),
            ("authorization_code", 43)
        );
        let renamed = |claims: &mut Value| claims["email"] = "countess@uni.example".into();
        let again = signed_in(&ctx, &played, renamed).await.expect("by the external id");
        assert_eq!(again.person, person);
        let somebody_new = |claims: &mut Value| claims["sub"] = "u-1972".into();
        let refused = signed_in(&ctx, &played, somebody_new).await;
        assert_eq!(code(refused), "SIGN_IN_PERSON_UNKNOWN", "the address is somebody new's");
        let noted = noted(&ctx.table, person, ROUTE.operation).await;
        assert_eq!(noted.len(), 1, "the link, and not what finds it: {noted:?}");
    }

    #[tokio::test]
    async fn an_id_that_an_office_added_opens_the_account_and_no_other_of_its_kind_does() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        let (_, person) = verified(&ctx, ada()).await;
        let added = ExternalId::new("idp:university", "u-1815");
        let add = add_external_id::Command { person, external_id: added.clone() };
        add_external_id::handle(&ctx, &by_administrator(add)).await.expect("adds");
        assert_eq!(signed_in(&ctx, &played, |_| ()).await.expect("signs in").person, person);
        let somebody_new = |claims: &mut Value| claims["sub"] = "u-1972".into();
        let refused = signed_in(&ctx, &played, somebody_new).await;
        assert_eq!(code(refused), "SIGN_IN_PERSON_UNKNOWN");
        let ExternalId { system, kind, value } = added;
        let remove = remove_external_id::Command { person, system, kind: Some(kind), value };
        remove_external_id::handle(&ctx, &by_administrator(remove)).await.expect("removes");
        let right = signed_in(&ctx, &played, somebody_new).await.expect("the right one");
        assert_eq!(right.person, person);
    }

    #[tokio::test]
    async fn an_address_that_is_not_verified_or_not_agreed_upon_links_nobody() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        verified(&ctx, ada()).await;
        for change in [
            (|claims| claims["email_verified"] = false.into()) as fn(&mut Value),
            |claims| claims["email_verified"] = "true".into(),
            |claims| drop(claims.as_object_mut().expect("claims").remove("email_verified")),
            |claims| claims["email"] = "ada@elsewhere.example".into(),
            |claims| claims["email"] = "nobody@uni.example".into(),
        ] {
            let refused = signed_in(&ctx, &played, change).await;
            assert_eq!(code(refused), "SIGN_IN_PERSON_UNKNOWN");
        }
        let mut settings = university(&played.issuer);
        settings.email_domains.clear();
        let call = come_back(&ctx, settings).await;
        played.says(&of_ada(&played, &call));
        assert_eq!(code(handle(&ctx, &call).await), "SIGN_IN_PERSON_UNKNOWN");
    }

    #[tokio::test]
    async fn somebody_unknown_is_registered_where_that_is_agreed() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        let mut settings = university(&played.issuer);
        settings.unknown_person = UnknownPerson::Register;
        let call = come_back(&ctx, settings).await;
        played.says(&of_ada(&played, &call));
        let tokens = handle(&ctx, &call).await.expect("registered");
        let caller = caller_of(&ctx, &tokens).await.expect("good");
        assert_eq!(
            caller.grants.iter().map(|grant| grant.role).collect::<Vec<_>>(),
            [Role::Student]
        );
        let events = testkit::published(&ctx.table).await;
        assert_eq!(events.iter().filter(|event| event.name == PersonRegistered::NAME).count(), 1);
        for guess in ["", "a long enough secret"] {
            let by_password = log_in(&ctx, ada().email.as_str(), guess).await;
            assert_eq!(code(by_password), "LOGIN_FAILED", "the account has no password");
        }
        let again = signed_in(&ctx, &played, |_| ()).await.expect("signs in");
        assert_eq!(again.person, tokens.person);
    }

    #[tokio::test]
    async fn an_imported_person_gets_an_account_with_the_roles_that_they_have() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        let rows = import_people::Command { rows: vec![imported_ada()], dry_run: false };
        import_people::handle(&ctx, &testkit::step(rows)).await.expect("imports");
        let tokens = signed_in(&ctx, &played, |_| ()).await.expect("signs in");
        assert_eq!(tokens.person, imported_ada().source.id());
        let caller = caller_of(&ctx, &tokens).await.expect("good");
        assert_eq!(
            caller.grants.iter().map(|grant| grant.role).collect::<Vec<_>>(),
            [Role::Teacher]
        );
    }

    #[tokio::test]
    async fn a_sign_in_is_good_once_for_ten_minutes_for_the_browser_that_began_it() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        verified(&ctx, ada()).await;
        let call = come_back(&ctx, university(&played.issuer)).await;
        played.says(&of_ada(&played, &call));
        let other = come_back(&ctx, university(&played.issuer)).await.command;
        let with = |change: &dyn Fn(&mut Command)| {
            let mut wrong = call.clone();
            change(&mut wrong.command);
            wrong
        };
        for wrong in [
            with(&|command| command.handle.clone_from(&other.handle)),
            with(&|command| command.state.clone_from(&other.state)),
            with(&|command| command.state = String::new()),
            with(&|command| command.sign_in = other.sign_in),
            with(&|command| command.sign_in = kernel::Id::derived_from("nothing")),
            Call { now: after(600), ..call.clone() },
        ] {
            assert_eq!(code(handle(&ctx, &wrong).await), "SIGN_IN_INVALID");
        }
        assert!(played.form().is_empty(), "the provider was not asked");
        handle(&ctx, &call).await.expect("signs in");
        assert_eq!(code(handle(&ctx, &call).await), "SIGN_IN_INVALID");
    }

    #[tokio::test]
    async fn what_the_provider_does_not_confirm_spends_the_sign_in() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        verified(&ctx, ada()).await;
        let refused = async |change: &dyn Fn(&mut Call<Command>, &PlayedProvider)| {
            let mut call = come_back(&ctx, university(&played.issuer)).await;
            played.says(&of_ada(&played, &call));
            change(&mut call, &played);
            assert_eq!(code(handle(&ctx, &call).await), "SIGN_IN_REFUSED");
            assert_eq!(code(handle(&ctx, &call).await), "SIGN_IN_INVALID", "it is spent");
        };
        refused(&|call, _| call.command.code = "another code".into()).await;
        refused(&|call, _| call.command.iss = Some("https://evil.example".into())).await;
        refused(&|_, played| played.gives("a.b.c")).await;
        refused(&|call, played| {
            let mut claims = of_ada(played, call);
            claims["nonce"] = "of another sign-in".into();
            played.says(&claims);
        })
        .await;
        refused(&|call, played| {
            played.gives(&ProviderKey::ed25519("strange").signed(&of_ada(played, call)));
        })
        .await;
    }

    #[tokio::test]
    async fn keys_are_kept_and_asked_for_once_more_where_one_is_new() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        verified(&ctx, ada()).await;
        for _ in 0..3 {
            signed_in(&ctx, &played, |_| ()).await.expect("signs in");
        }
        assert_eq!(played.keys_read(), 1);
        played.signs_with(ProviderKey::es256("two"));
        let mut call = come_back(&ctx, university(&played.issuer)).await;
        played.says(&of_ada(&played, &call));
        call.now = after(31);
        handle(&ctx, &call).await.expect("signs in by the new key");
        assert_eq!(played.keys_read(), 2);
        for number in 0..5 {
            let mut call = come_back(&ctx, university(&played.issuer)).await;
            let key = ProviderKey::ed25519(&format!("made up {number}"));
            played.gives(&key.signed(&of_ada(&played, &call)));
            call.now = after(32);
            assert_eq!(code(handle(&ctx, &call).await), "SIGN_IN_REFUSED");
        }
        assert_eq!(played.keys_read(), 2, "made-up names make us ask no more often");
    }

    #[tokio::test]
    async fn a_provider_that_describes_another_issuer_is_not_believed() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        played.describes("https://evil.example");
        let provider = agreed(&ctx, university(&played.issuer)).await;
        let begin = testkit::call(begin_sign_in::Command { provider });
        let failed = begin_sign_in::handle(&ctx, &begin).await;
        assert!(matches!(failed, Err(Failure::Fault(fault)) if fault.retryable));
    }

    #[tokio::test]
    async fn the_accounts_own_second_factor_is_asked_for_where_the_provider_tells_of_none() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { policy: SecondFactorPolicy::RequiredOfStaff.into(), ..ctx(&test.table) };
        let played = PlayedProvider::start().await;
        let (account, person) = verified(&ctx, ada()).await;
        enrolled(&ctx, person).await;
        let refused = signed_in(&ctx, &played, |_| ()).await;
        assert_eq!(code(refused), "SECOND_FACTOR_NEEDED");
        let told = |claims: &mut Value| claims["amr"] = json!(["pwd", "otp"]);
        signed_in(&ctx, &played, told).await.expect("the provider tells of one");
        let mut call = come_back(&ctx, university(&played.issuer)).await;
        played.says(&of_ada(&played, &call));
        call.now = after(60);
        call.command.second_factor = Some("000000".into());
        assert_eq!(code(handle(&ctx, &call).await), "SECOND_FACTOR_WRONG");
        let mut call = come_back(&ctx, university(&played.issuer)).await;
        played.says(&of_ada(&played, &call));
        call.now = after(60);
        call.command.second_factor = Some(second_factor_code(&ctx, account, call.now).await);
        handle(&ctx, &call).await.expect("the code is right");
    }

    #[tokio::test]
    async fn an_address_that_was_registered_and_never_proven_opens_nothing_for_who_registered_it() {
        let test = testkit::TestTable::new().await;
        let (ctx, played) = (ctx(&test.table), PlayedProvider::start().await);
        let thief = Password("mine is another".into());
        let registered = super::super::register_account::Command { password: thief, ..ada() };
        let account = crate::fixtures::registered(&ctx, registered).await;
        let mut settings = university(&played.issuer);
        settings.unknown_person = UnknownPerson::Register;
        let call = come_back(&ctx, settings).await;
        played.says(&of_ada(&played, &call));
        handle(&ctx, &call).await.expect("the owner is registered");
        let refused = log_in(&ctx, ada().email.as_str(), "mine is another").await;
        assert_eq!(code(refused), "EMAIL_NOT_VERIFIED");
        let code_in_mail = code_for(&ctx, account).await;
        let prove = verify_email::Command { account, code: code_in_mail };
        let too_late = verify_email::handle(&ctx, &testkit::call(prove)).await;
        assert_eq!(code(too_late), "EMAIL_TAKEN");
    }
}
