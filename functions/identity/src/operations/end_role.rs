//! The end of a role that a person holds: it counts no more within a minute.

use kernel::{PersonId, RoleAssignmentId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::domain::{Refusal, check_giver};
use crate::store::{self, Cause};
use crate::{Ctx, audit};

pub const ROUTE: Route = Route::delete(
    "end-role",
    "/people/{person}/roles/{assignment}",
    Access::Roles(&[
        Allow { role: Role::HrOfficer, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "End a role that a person holds",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
    pub assignment: RoleAssignmentId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let Command { person, assignment } = call.command;
    let (_, mut roles, trail) = store::person_roles_and_trail(&ctx.table, person).await?;
    let Some(ended) = roles.0.end(assignment, call.now)? else { return Ok(()) };
    check_giver(&call.caller().grants, ended.role)?;
    // The last administrator would otherwise leave nobody who can appoint another.
    if person == call.person() && ended.role == Role::Administrator {
        return Err(Refusal::OwnAdministration.into());
    }
    let mut transaction = ctx.table.transaction();
    store::put_roles(&mut transaction, &roles);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), audit::ended(&ended));
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::tell_end(&mut transaction, person, &ended, Some(call.person()), cause);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use events::{Event, RoleEnded};

    use super::super::assign_role;
    use super::*;
    use crate::fixtures::{ada, by_administrator, by_staff, code, ctx, noted, verified};

    async fn appointed(ctx: &Ctx, role: Role) -> Command {
        let (_, person) = verified(ctx, ada()).await;
        let (email, department, valid_from, valid_to) = (None, None, None, None);
        let person = Some(person);
        let command =
            assign_role::Command { person, email, role, department, valid_from, valid_to };
        let reply = assign_role::handle(ctx, &by_administrator(command)).await.expect("assigned");
        Command { person: reply.person, assignment: reply.id }
    }

    #[tokio::test]
    async fn a_role_ends_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| appointed(&ctx(table), Role::Registrar).await,
            async |table, command| handle(&ctx(table), &by_administrator(command.clone())).await,
            async |table, command| {
                let roles = store::roles(table, command.person).await.expect("reads").0;
                assert_eq!(roles.grants(testkit::now()).len(), 1, "the student's is left");
                let events = testkit::published(table).await.into_iter();
                assert_eq!(events.filter(|event| event.name == RoleEnded::NAME).count(), 1);
                let ended = format!("role: role registrar → –, valid_to – → {}", testkit::NOW);
                assert_eq!(noted(table, command.person, ROUTE.operation).await, [ended]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_ends_what_they_may_not_give_or_their_own_administration() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let command = appointed(&ctx, Role::Administrator).await;
        let hr = by_staff(Role::HrOfficer, command.clone());
        assert_eq!(code(handle(&ctx, &hr).await), "ROLE_NOT_YOURS");
        let mut own = by_administrator(command.clone());
        own.caller.as_mut().expect("a caller").person = command.person;
        assert_eq!(code(handle(&ctx, &own).await), "OWN_ADMINISTRATION");
        let assignment = kernel::Id::derived_from("nothing");
        let nothing = by_administrator(Command { assignment, ..command });
        assert_eq!(code(handle(&ctx, &nothing).await), "ROLE_UNKNOWN");
    }
}
