//! The code from the mail proves the address: the account opens, and is linked to the person who was imported with that
//! address, or to a new one who is a student, where such a one is let in. Who is not is told once the code is right.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use kernel::{AccountId, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Role, Route};
use table::{Actor, Deed, Trail, Transaction};

use super::register_account::Status;
use crate::Ctx;
use crate::domain::{
    Account, AccountState, Assigned, Claim, ExternalId, Identifier, Person, Refusal, Roles, Verdict,
};
use crate::people::{self, Before};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::call(
    "verify-email",
    "/accounts/{account}/verification",
    Access::Public,
    "Prove an e-mail address",
);

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub account: AccountId,
    #[schemars(regex(pattern = r"^[0-9]{8}$"))]
    pub code: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub account: AccountId,
    pub status: Status,
    pub person: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { account, code } = &call.command;
    let mut account =
        ctx.table.get(&store::account_key(*account)).await?.ok_or(Refusal::AccountUnknown)?;
    let right = events::verification_code(
        ctx.verification_secret().await?.as_bytes(),
        account.value.id,
        account.value.verification_requested_at,
    );
    let is_right = verify_slices_are_equal(code.as_bytes(), right.as_bytes()).is_ok();
    let person = match account.value.judge_code(is_right, call.now)? {
        Verdict::ProvenBefore(person) => person,
        Verdict::Proven => {
            let account = (account.value, Some(account.version));
            let opening = opening(ctx, &call.deed(ROUTE.operation), account, None).await?;
            opening.transaction.commit().await?;
            opening.person
        }
        Verdict::Wrong => {
            let mut transaction = ctx.table.transaction();
            transaction.update(&account);
            transaction.commit().await?;
            return Err(Refusal::VerificationCodeWrong.into());
        }
    };
    Ok(Reply { account: call.command.account, status: Status::Active, person })
}

/// What opens an account, not yet carried out.
pub(super) struct Opening<'t> {
    pub person: PersonId,
    pub transaction: Transaction<'t>,
}

/// Opens an account whose address is proven, by the code, by an invitation or by another provider, whose id of the
/// person is kept. It is its person's own deed.
pub(super) async fn opening<'t>(
    ctx: &'t Ctx,
    deed: &Deed<'_>,
    (mut account, read_version): (Account, Option<u64>),
    external: Option<ExternalId>,
) -> Result<Opening<'t>, Failure> {
    let id = account.id;
    let (mut claim, claim_version) =
        store::claim(&ctx.table, Identifier::email(&account.email)).await?;
    if claim.account.is_some() {
        return Err(Refusal::EmailTaken.into());
    }
    // Who comes by themselves is a student; who is invited becomes what the staff make them.
    let is_invited = matches!(account.state, AccountState::Invited { .. });
    let comes_by_themselves = claim.person.is_none() && external.is_none() && !is_invited;
    if comes_by_themselves && !ctx.self_registration().lets_in(&account.email) {
        return Err(Refusal::RegistrationClosed.into());
    }
    let mut transaction = ctx.table.transaction();
    let Deed { at: now, correlation_id, .. } = *deed;
    let cause = Cause { now, correlation_id };
    let (standing, before_roles, trail) = if let Some(imported) = claim.person {
        let (person, roles, trail) = store::person_roles_and_trail(&ctx.table, imported).await?;
        (Some(person.ok_or(Refusal::PersonUnknown)?), roles, trail)
    } else {
        let new = Person::behind(&account).id;
        (None, (Roles::none_of(new), None), Trail::begin(new))
    };
    let known = standing.as_ref().map(|known| known.value.clone());
    let mut person = known.unwrap_or_else(|| Person::behind(&account));
    person.link(&account);
    external.map_or(Ok(()), |external| person.add_external_id(external))?;
    let mut roles = before_roles.clone();
    if roles.0.assignments.is_empty() && !is_invited {
        let assigned = roles.0.assign(Role::Student, None, None, now)?;
        if let Assigned::Now(assignment) = assigned {
            store::write_roles(&mut transaction, &roles, &[assignment], cause);
        }
    }
    let identifier = claim.identifier.clone();
    let before = Before {
        claimed_by_caller: Some(&identifier),
        ..Before::of(standing.as_ref(), &before_roles, trail)
    };
    let deed = Deed { actor: Actor::named(person.id), ..*deed };
    let person = people::write(ctx, &mut transaction, before, person, &roles.0, &deed).await?.value;
    claim.give_to(person.id, Some(id))?;
    transaction.put(&claim, claim_version);
    if let Some(number) = &person.student_number {
        let identifier = Identifier::student_number(number);
        let (person, account) = (Some(person.id), Some(id));
        // The number is the person's, whose own version this transaction checks.
        transaction.overwrite(&Claim { identifier, person, account, pending: None });
    }
    account.state = AccountState::Active { person: person.id };
    transaction.put(&account, read_version);
    Ok(Opening { person: person.id, transaction })
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonChanged, PersonRegistered, RoleAssigned};
    use kernel::Id;

    use super::super::import_people;
    use super::*;
    use crate::domain::SelfRegistration;
    use crate::fixtures::{
        ada, code, code_for, ctx, imported_ada, log_in, registered, trail_of, verified,
    };

    async fn call(ctx: &Ctx, account: AccountId) -> Call<Command> {
        testkit::call(Command { account, code: code_for(ctx, account).await })
    }

    async fn count(ctx: &Ctx, name: &str) -> usize {
        let events = testkit::published(&ctx.table).await;
        events.iter().filter(|event| event.name == name).count()
    }

    #[tokio::test]
    async fn a_person_is_registered_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let account = registered(&ctx, ada()).await;
                call(&ctx, account).await
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let ctx = ctx(table);
                assert_eq!(count(&ctx, PersonRegistered::NAME).await, 1);
                assert_eq!(count(&ctx, RoleAssigned::NAME).await, 1);
                let person = PersonId::derived_from(&call.command.account.to_string());
                let (person, roles) = store::person_and_roles(table, person).await.expect("reads");
                assert!(person.is_some());
                assert_eq!(roles.0.grants(testkit::now())[0].role, Role::Student);
                let entries = trail_of(table, roles.0.person).await;
                assert_eq!(entries.len(), 1);
                assert_eq!(entries[0].actor.as_str(), roles.0.person.to_string(), "her own deed");
                assert_eq!(entries[0].changes.last().expect("the role").field, "role");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn proving_twice_changes_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let account = registered(&ctx, ada()).await;
        let call = call(&ctx, account).await;
        let first = handle(&ctx, &call).await.expect("proven");
        assert_eq!(handle(&ctx, &call).await.expect("proven before"), first);
        let wrong = testkit::call(Command { account, code: wrong_code(&ctx, account).await });
        assert_eq!(code(handle(&ctx, &wrong).await), "VERIFICATION_CODE_WRONG");
        assert_eq!(count(&ctx, PersonRegistered::NAME).await, 1);
    }

    async fn wrong_code(ctx: &Ctx, account: AccountId) -> String {
        let right: u32 = code_for(ctx, account).await.parse().expect("digits");
        format!("{:08}", (right + 1) % 100_000_000)
    }

    #[tokio::test]
    async fn after_five_wrong_codes_the_right_one_is_no_good() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let account = registered(&ctx, ada()).await;
        let wrong = testkit::call(Command { account, code: wrong_code(&ctx, account).await });
        for _ in 0..Account::WRONG_CODES_MAX {
            assert_eq!(code(handle(&ctx, &wrong).await), "VERIFICATION_CODE_WRONG");
        }
        let right = call(&ctx, account).await;
        assert_eq!(code(handle(&ctx, &right).await), "VERIFICATION_TRIES_EXHAUSTED");
        let again = registered(&ctx, ada()).await;
        handle(&ctx, &call(&ctx, again).await).await.expect("another registration, another code");
    }

    #[tokio::test]
    async fn a_wrong_code_is_counted_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let account = registered(&ctx, ada()).await;
                testkit::call(Command { account, code: wrong_code(&ctx, account).await })
            },
            async |table, call| match handle(&ctx(table), call).await {
                Err(Failure::Refused(refusal)) if refusal.code() == "VERIFICATION_CODE_WRONG" => {
                    Ok(())
                }
                other => other.map(drop),
            },
            async |table, call| {
                let key = store::account_key(call.command.account);
                let account = table.get(&key).await.expect("reads").expect("an account").value;
                // A lost reply may count one try twice, never none.
                let AccountState::Unverified { wrong_codes } = account.state else {
                    panic!("a wrong code opened it")
                };
                assert!((1..=2).contains(&wrong_codes), "{wrong_codes}");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_code_expires_after_a_day() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let account = registered(&ctx, ada()).await;
        let mut late = call(&ctx, account).await;
        late.now += Account::CODE_VALID;
        assert_eq!(code(handle(&ctx, &late).await), "VERIFICATION_CODE_EXPIRED");
    }

    #[tokio::test]
    async fn an_account_that_nobody_registered_is_unknown() {
        let test = testkit::TestTable::new().await;
        let account = AccountId::derived_from("nobody");
        let call = testkit::call(Command { account, code: "00000000".into() });
        assert_eq!(code(handle(&ctx(&test.table), &call).await), "ACCOUNT_UNKNOWN");
    }

    #[tokio::test]
    async fn whom_no_office_knows_is_let_in_only_where_that_is_agreed() {
        let test = testkit::TestTable::new().await;
        let with = |setting: SelfRegistration| Ctx {
            self_registration: setting.into(),
            ..ctx(&test.table)
        };
        let closed = with(SelfRegistration::Nobody);
        let account = registered(&closed, ada()).await;
        let wrong = testkit::call(Command { account, code: wrong_code(&closed, account).await });
        assert_eq!(code(handle(&closed, &wrong).await), "VERIFICATION_CODE_WRONG");
        let right = call(&closed, account).await;
        assert_eq!(code(handle(&closed, &right).await), "REGISTRATION_CLOSED");
        let elsewhere = with(SelfRegistration::OfDomains(vec!["uni.example".into()]));
        assert_eq!(code(handle(&elsewhere, &right).await), "REGISTRATION_CLOSED");
        assert_eq!(count(&closed, PersonRegistered::NAME).await, 0);
        let here = with(SelfRegistration::OfDomains(vec!["matricula.example".into()]));
        handle(&here, &right).await.expect("an address of the university");
    }

    #[tokio::test]
    async fn who_was_imported_is_linked_though_nobody_is_let_in_by_themselves() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { self_registration: SelfRegistration::Nobody.into(), ..ctx(&test.table) };
        let rows = import_people::Command { rows: vec![imported_ada()], dry_run: false };
        import_people::handle(&ctx, &testkit::step(rows)).await.expect("imports");
        assert_eq!(verified(&ctx, ada()).await.1, imported_ada().source.id());
    }

    #[tokio::test]
    async fn of_two_registrations_of_one_address_one_becomes_the_account() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (first, second) = (registered(&ctx, ada()).await, registered(&ctx, ada()).await);
        handle(&ctx, &call(&ctx, first).await).await.expect("the first code is still good");
        assert_eq!(code(handle(&ctx, &call(&ctx, second).await).await), "EMAIL_TAKEN");
    }

    #[tokio::test]
    async fn an_imported_person_is_linked_and_keeps_their_name_and_roles() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let rows = import_people::Command { rows: vec![imported_ada()], dry_run: false };
        import_people::handle(&ctx, &testkit::step(rows)).await.expect("imports");
        let (account, person) = verified(&ctx, ada()).await;
        assert_eq!(person, imported_ada().source.id());
        let (stored, roles) = store::person_and_roles(&ctx.table, person).await.expect("reads");
        let stored = stored.expect("she is there").value;
        assert_eq!((stored.account, stored.name.given.as_str()), (Some(account), "Augusta Ada"));
        assert_eq!(roles.0.grants(testkit::now()).len(), 1);
        assert_eq!(roles.0.grants(testkit::now())[0].role, Role::Teacher);
        assert_eq!(count(&ctx, PersonRegistered::NAME).await, 1);
        assert_eq!(count(&ctx, PersonChanged::NAME).await, 1);
        let logged_in = log_in(&ctx, " S-1815 ", "a long enough secret").await.expect("logs in");
        assert_eq!(logged_in.person, person, "by the student number too");
    }

    #[tokio::test]
    async fn an_imported_person_is_linked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let rows = import_people::Command { rows: vec![imported_ada()], dry_run: false };
                import_people::handle(&ctx, &testkit::step(rows)).await.expect("imports");
                let account = registered(&ctx, ada()).await;
                call(&ctx, account).await
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| assert_eq!(count(&ctx(table), PersonChanged::NAME).await, 1),
        )
        .await;
    }
}
