//! An invitation by the staff: an account for somebody, who opens it by the link in the mail and chooses the password.
//! An imported person with this address is the one who is invited; else they are new.

use events::InvitationSent;
use kernel::{AccountId, Email, Id, Locale, PersonId, PersonName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};
use table::{Noted, Trail};

use crate::Ctx;
use crate::domain::{Account, AccountState, Identifier, PasswordHash, Person, Refusal, Roles};
use crate::people::{self, Before};
use crate::store;

pub const ROUTE: Route = Route::create(
    "invite-person",
    "/invitations",
    Access::Roles(&[
        Allow { role: Role::Registrar, scope: Scope::All },
        Allow { role: Role::HrOfficer, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Invite somebody to open an account",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub email: Email,
    /// Of somebody who is known already, the name stays as it is.
    pub name: PersonName,
    /// The language of what we send; that of the request where it is absent.
    pub locale: Option<Locale>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub account: AccountId,
    pub person: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { email, name, locale } = &call.command;
    let (mut claim, claim_version) = store::claim(&ctx.table, Identifier::email(email)).await?;
    if claim.account.is_some() {
        return Err(Refusal::EmailTaken.into());
    }
    let id: AccountId = call.new_id();
    let person = claim.person.unwrap_or_else(|| PersonId::derived_from(&id.to_string()));
    let trail = match claim.person {
        Some(known) => ctx.table.trail(known).await?,
        None => Trail::begin(person),
    };
    let account = Account {
        id,
        email: email.clone(),
        name: name.clone(),
        locale: locale.unwrap_or(call.locale),
        password_hash: PasswordHash(String::new()),
        verification_requested_at: call.now,
        state: AccountState::Invited { person },
        reset: None,
        password_chosen_by: None,
        was_used: false,
    };
    let mut transaction = ctx.table.transaction();
    let deed = call.deed(ROUTE.operation);
    if claim.person.is_some() {
        let noted = Noted::change("profile").field("invitation", None, Some(id));
        trail.append(&mut transaction, &deed, noted);
    } else {
        let new = Person { account: None, ..Person::behind(&account) };
        let (roles, identifier) = ((Roles::none_of(new.id), None), claim.identifier.clone());
        let before = Before {
            claimed_by_caller: Some(&identifier),
            invitation: Some(id),
            ..Before::of(None, &roles, trail)
        };
        people::write(ctx, &mut transaction, before, new, &roles.0, &deed).await?;
        claim.give_to(person, None)?;
    }
    claim.pending = Some(id);
    transaction.put(&claim, claim_version);
    transaction.create(&account);
    let reply = Reply { account: id, person };
    let Account { id: account, email, name, locale, .. } = account;
    let (invited_at, invited_by) = (call.now, call.person());
    let event = InvitationSent { account, person, email, name, locale, invited_at, invited_by };
    transaction.event(event, 1, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonRegistered};

    use super::super::import_people;
    use super::*;
    use crate::fixtures::{ada, code, ctx, imported_ada, log_in, trail_of, verified};

    fn call() -> Call<Command> {
        let super::super::register_account::Command { email, name, locale, .. } = ada();
        testkit::call(Command { email, name, locale })
    }

    async fn count(ctx: &Ctx, name: &str) -> usize {
        let events = testkit::published(&ctx.table).await;
        events.iter().filter(|event| event.name == name).count()
    }

    #[tokio::test]
    async fn somebody_is_invited_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| call(),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                assert_eq!(count(&ctx, InvitationSent::NAME).await, 1);
                assert_eq!(count(&ctx, PersonRegistered::NAME).await, 1);
                let mut events = testkit::published(table).await.into_iter();
                let invited = events.find(|event| event.name == InvitationSent::NAME);
                let invited: InvitationSent =
                    serde_json::from_value(invited.expect("an event").data).expect("its type");
                let entries = trail_of(table, invited.person).await;
                let fields: Vec<_> =
                    entries[0].changes.iter().map(|change| change.field.as_str()).collect();
                let all = ["given_name", "family_name", "email", "locale", "invitation"];
                assert_eq!((entries.len(), fields), (1, all.to_vec()));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_was_imported_is_the_one_who_is_invited() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let rows = import_people::Command { rows: vec![imported_ada()], dry_run: false };
        import_people::handle(&ctx, &testkit::step(rows)).await.expect("imports");
        let reply = handle(&ctx, &call()).await.expect("invites");
        assert_eq!(reply.person, imported_ada().source.id());
        let entries = trail_of(&ctx.table, reply.person).await;
        let operations: Vec<_> = entries.iter().map(|entry| entry.operation.as_str()).collect();
        assert_eq!(operations, ["import-people", "invite-person"]);
        assert_eq!(count(&ctx, PersonRegistered::NAME).await, 1);
    }

    #[tokio::test]
    async fn who_has_an_account_is_not_invited_and_nobody_logs_in_by_an_invitation() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        handle(&ctx, &call()).await.expect("invites");
        for password in ["", "a long enough secret"] {
            let refused = log_in(&ctx, "ada@matricula.example", password).await;
            assert_eq!(code(refused), "LOGIN_FAILED");
        }
        let test = testkit::TestTable::new().await;
        let ctx = crate::fixtures::ctx(&test.table);
        verified(&ctx, ada()).await;
        assert_eq!(code(handle(&ctx, &call()).await), "EMAIL_TAKEN");
    }
}
