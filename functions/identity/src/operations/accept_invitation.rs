//! The link of an invitation proves the address: the account opens with the password that its person chooses. The link
//! is good once. Whoever sends it again learns nothing of that password; who lost the reply asks with the same key.

use events::LinkPurpose;
use kernel::{AccountId, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use super::verify_email;
use crate::domain::{Password, Refusal, check_password};
use crate::{Ctx, passwords, store};

pub const ROUTE: Route = Route::act(
    "accept-invitation",
    "/accounts/{account}/invitation",
    Access::Public,
    "Open an account by an invitation",
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub account: AccountId,
    pub person: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { account, token, password } = &call.command;
    let found = ctx.table.get(&store::account_key(*account)).await?;
    let mut found = found.ok_or(Refusal::InvitationInvalid)?;
    let invited_at = found.value.verification_requested_at;
    let is_right = ctx.is_link(token, LinkPurpose::AcceptInvitation, *account, invited_at).await?;
    found.value.follow_invitation(is_right, call.now)?;
    let invited = found.value.invited().ok_or(Refusal::InvitationInvalid)?;
    let person = ctx.table.get(&store::person_key(invited)).await?.ok_or(Refusal::PersonUnknown)?;
    check_password(password, person.value.chooser(&found.value))?;
    found.value.password_hash = passwords::hash(password)?;
    let found = (found.value, Some(found.version));
    let opening = verify_email::opening(ctx, &call.deed(ROUTE.operation), found, None).await?;
    let reply = Reply { account: *account, person: opening.person };
    let mut transaction = opening.transaction;
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::super::{invite_person, register_account};
    use super::*;
    use crate::fixtures::{ada, code, ctx, link_to, log_in, registered};

    const SECRET: &str = "a long enough secret";

    async fn invited(ctx: &Ctx) -> Call<Command> {
        let register_account::Command { email, name, locale, .. } = ada();
        let command = invite_person::Command { email, name, locale };
        let reply = invite_person::handle(ctx, &testkit::call(command)).await.expect("invites");
        let account = reply.account;
        let token = link_to(ctx, LinkPurpose::AcceptInvitation, account, testkit::now()).await;
        let command = Command { account, token, password: Password(SECRET.into()) };
        Call { caller: None, ..testkit::call(command) }
    }

    #[tokio::test]
    async fn an_invitation_is_accepted_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| invited(&ctx(table)).await,
            async |table, call| shell::http::carry_out(&ctx(table), &handle, call).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                let tokens = log_in(&ctx, "ada@matricula.example", SECRET).await;
                let person = tokens.expect("logs in").person;
                let roles = store::roles(table, person).await.expect("reads").0;
                assert!(roles.assignments.is_empty(), "who is invited is no student by that");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_invitation_is_good_once_and_for_two_weeks() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = invited(&ctx).await;
        let mut late = call.clone();
        late.now += SignedDuration::from_hours(14 * 24);
        assert_eq!(code(handle(&ctx, &late).await), "INVITATION_EXPIRED");
        let mut forged = call.clone();
        forged.command.token = "0".repeat(64);
        assert_eq!(code(handle(&ctx, &forged).await), "INVITATION_INVALID");
        handle(&ctx, &call).await.expect("it is good");
        for guess in ["the secret of a thief", SECRET] {
            let mut thief = invited_again(&call);
            thief.command.password = Password(guess.into());
            let again = shell::http::carry_out(&ctx, &handle, &thief).await;
            assert_eq!(code(again), "INVITATION_INVALID", "right or wrong, it is not told");
        }
    }

    /// The same link under another key.
    fn invited_again(call: &Call<Command>) -> Call<Command> {
        Call { caller: None, ..testkit::call(call.command.clone()) }
    }

    #[tokio::test]
    async fn an_account_that_somebody_registered_is_not_opened_by_an_invitation() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let account = registered(&ctx, ada()).await;
        let token = link_to(&ctx, LinkPurpose::AcceptInvitation, account, testkit::now()).await;
        let command = Command { account, token, password: Password(SECRET.into()) };
        let refused = handle(&ctx, &testkit::call(command)).await;
        assert_eq!(code(refused), "INVITATION_INVALID");
    }
}
