//! The staff end every session of somebody, with a reason: the registrar those of students, an administrator anybody's.
//! Whoever is logged in as them anywhere has to log in again, and no device is known any more.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::domain::check_resetter;
use crate::{Ctx, audit, store};

pub const ROUTE: Route = Route::act(
    "end-sessions-of-person",
    "/people/{person}/sessions/end",
    Access::Roles(&[
        Allow { role: Role::Registrar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "End every session of somebody",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
    /// What is known or feared, such as a telephone that was stolen.
    #[schemars(length(min = 1, max = 500), regex(pattern = r"\S"))]
    pub reason: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let Command { person, reason } = &call.command;
    let found = store::acted_upon(&ctx.table, *person).await?;
    check_resetter(&call.caller().grants, &found.roles.0, call.now)?;
    let mut transaction = ctx.table.transaction();
    let end = found.end_sessions(&mut transaction, call.now);
    let noted = audit::ended_sessions(&end).because(reason);
    found.trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &());
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::super::assign_role;
    use super::*;
    use crate::fixtures::{
        ada_logged_in, by_administrator, by_staff, caller_of, code, ctx, log_in, trail_of,
    };

    fn stolen(person: PersonId) -> Command {
        Command { person, reason: "Her telephone was stolen.".into() }
    }

    #[tokio::test]
    async fn every_session_of_somebody_ends_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ada = ada_logged_in(&ctx(table)).await;
                (by_staff(Role::Registrar, stolen(ada.person)), ada)
            },
            async |table, (call, _)| {
                shell::http::carry_out(&ctx(table), &handle, call).await.map(drop)
            },
            async |table, (call, before)| {
                let ctx = ctx(table);
                assert_eq!(code(caller_of(&ctx, before).await), "SESSION_ENDED");
                let again = log_in(&ctx, "ada@matricula.example", "a long enough secret").await;
                caller_of(&ctx, &again.expect("logs in")).await.expect("a new session stands");
                let entries = trail_of(table, call.command.person).await.into_iter();
                let noted: Vec<_> =
                    entries.filter(|entry| entry.operation == ROUTE.operation).collect();
                assert_eq!(noted.len(), 1);
                assert_eq!(noted[0].actor.as_str(), call.person().to_string());
                assert_eq!(noted[0].reason.as_deref(), Some("Her telephone was stolen."));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_registrar_ends_the_sessions_of_students_and_an_administrator_anybodys() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = ada_logged_in(&ctx).await;
        let (email, department, valid_from, valid_to) = (None, None, None, None);
        let (person, role) = (Some(ada.person), Role::Bursar);
        let assign = assign_role::Command { person, email, role, department, valid_from, valid_to };
        assign_role::handle(&ctx, &by_administrator(assign)).await.expect("assigned");
        let by_registrar = by_staff(Role::Registrar, stolen(ada.person));
        assert_eq!(code(handle(&ctx, &by_registrar).await), "NOT_A_STUDENT");
        caller_of(&ctx, &ada).await.expect("nothing has ended");
        handle(&ctx, &by_administrator(stolen(ada.person))).await.expect("ends");
        assert_eq!(code(caller_of(&ctx, &ada).await), "SESSION_ENDED");
        let nobody = by_administrator(stolen(testkit::person("nobody")));
        assert_eq!(code(handle(&ctx, &nobody).await), "PERSON_UNKNOWN");
    }
}
