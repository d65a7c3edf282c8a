//! An operator's invocation: makes the person behind a verified account an administrator, the first of whom nobody else
//! could appoint. Doing it again changes nothing.

use kernel::Email;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Role, Step};

use super::assign_role::Reply;
use crate::domain::{Assigned, Identifier, Refusal};
use crate::store::{self, Cause};
use crate::{Ctx, audit, people};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub email: Email,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let (claim, _) = store::claim(&ctx.table, Identifier::email(&step.command.email)).await?;
    let (_, person) = claim.holder().ok_or(Refusal::AccountUnknown)?;
    let (known, mut roles, trail) = store::person_roles_and_trail(&ctx.table, person).await?;
    let known = known.ok_or(Refusal::AccountUnknown)?;
    let before = roles.0.clone();
    let new = match roles.0.assign(Role::Administrator, None, None, step.now)? {
        Assigned::Before(standing) | Assigned::Redated { now: standing, .. } => {
            return Ok(Reply::of(person, &standing));
        }
        Assigned::Now(new) => new,
    };
    let reply = Reply::of(person, &new);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: step.now, correlation_id: &step.correlation_id };
    let deed = step.deed("bootstrap-administrator");
    trail.append(&mut transaction, &deed, audit::assigned(&new));
    store::write_roles(&mut transaction, &roles, &[new], cause);
    people::write_role_entries(&mut transaction, &known, &before, &roles.0);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{Event, RoleAssigned};

    use super::*;
    use crate::fixtures::{ada, code, ctx, noted, registered, trail_of, verified};

    fn step() -> Step<Command> {
        testkit::step(Command { email: ada().email })
    }

    #[tokio::test]
    async fn an_administrator_is_appointed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| verified(&ctx(table), ada()).await.1,
            async |table, _| handle(&ctx(table), &step()).await.map(drop),
            async |table, person| {
                let roles = store::roles(table, *person).await.expect("reads").0;
                let held: Vec<_> =
                    roles.grants(testkit::now()).into_iter().map(|grant| grant.role).collect();
                assert_eq!(held, [Role::Student, Role::Administrator]);
                let events = testkit::published(table).await.into_iter();
                let appointed = events.filter(|event| {
                    event.name == RoleAssigned::NAME && event.data["role"] == "administrator"
                });
                assert_eq!(appointed.count(), 1);
                let role = "role: role – → administrator";
                assert_eq!(noted(table, *person, "bootstrap-administrator").await, [role]);
                let last = trail_of(table, *person).await.pop().expect("an entry");
                assert_eq!(last.actor, table::Actor::system());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_address_that_nobody_has_proven_makes_no_administrator() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        assert_eq!(code(handle(&ctx, &step()).await), "ACCOUNT_UNKNOWN");
        registered(&ctx, ada()).await;
        assert_eq!(code(handle(&ctx, &step()).await), "ACCOUNT_UNKNOWN");
    }
}
