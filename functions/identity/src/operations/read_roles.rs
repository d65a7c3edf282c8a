//! The roles of a person: held, to come, and over. There are few enough for one page.

use kernel::{PersonId, RoleAssignmentId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, ClientScope, Failure, Role, Route, Scope};
use table::Noted;

use crate::Ctx;
use crate::domain::{Refusal, RoleAssignment};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-roles",
    "/people/{person}/roles",
    Access::Roles(&[
        Allow { role: Role::Registrar, scope: Scope::All },
        Allow { role: Role::HrOfficer, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Read the roles of a person",
)
.for_clients(ClientScope::IdentityRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub person: PersonId,
    pub roles: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub id: RoleAssignmentId,
    pub role: Role,
    pub department: Option<String>,
    pub valid_from: Option<Timestamp>,
    pub valid_to: Option<Timestamp>,
    pub assigned_at: Timestamp,
    /// Null where no person did it.
    pub assigned_by: Option<PersonId>,
    /// Whether the person holds it at this moment.
    pub is_held: bool,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let person = call.command.person;
    let (known, (roles, _), trail) = store::person_roles_and_trail(&ctx.table, person).await?;
    known.ok_or(Refusal::PersonUnknown)?;
    if call.caller.as_ref().is_none_or(|caller| caller.person != person) {
        let noted = Noted::read("roles");
        shell::note_read(&ctx.table, call, trail, ROUTE.operation, noted).await?;
    }
    let item = |assignment: RoleAssignment| {
        let RoleAssignment { id, role, department, assigned_at, assigned_by, validity, .. } =
            assignment;
        let is_held = validity.is_at(call.now);
        let (valid_from, valid_to) = (validity.valid_from, validity.valid_to);
        Item { id, role, department, valid_from, valid_to, assigned_at, assigned_by, is_held }
    };
    Ok(Reply { person, roles: roles.assignments.into_iter().map(item).collect() })
}

#[cfg(test)]
mod tests {
    use kernel::Id;
    use serde_json::{Value, json};
    use shell::ServiceClient;
    use shell::http::Door;
    use tokio::time::{Duration, Instant};

    use super::super::{assign_role, end_role};
    use super::*;
    use crate::fixtures::{ada, as_person, by_administrator, code, ctx, noted, trail_of, verified};

    #[tokio::test]
    async fn a_service_client_enters_with_the_scope_of_the_route_and_with_no_other() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let person = verified(&ctx, ada()).await.1.to_string();
        let asked = async |route: &Route, scopes: Vec<ClientScope>| {
            let client = ServiceClient { id: Id::derived_from("library"), scopes };
            let mut event = testkit::http_event("GET", &[("person", &person)], &Value::Null, None);
            let client = json!({ "client": json!(client).to_string() });
            event["requestContext"]["authorizer"] = json!({ "lambda": client });
            let deadline = Instant::now() + Duration::from_secs(30);
            let reply = Door::<Command>::new(route).answer(&ctx, &handle, &event, deadline).await;
            reply["statusCode"].as_u64()
        };
        assert_eq!(asked(&ROUTE, vec![ClientScope::IdentityRead]).await, Some(200));
        assert_eq!(asked(&ROUTE, vec![ClientScope::CatalogRead]).await, Some(403));
        let for_people = Route { client_scope: None, ..ROUTE };
        assert_eq!(asked(&for_people, ClientScope::ALL.to_vec()).await, Some(403));
    }

    #[tokio::test]
    async fn what_is_held_and_what_is_over_is_listed_in_one_call_and_the_reading_is_noted() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let (email, department, valid_from, valid_to) = (None, None, None, None);
        let (role, named) = (Role::Registrar, Some(person));
        let command =
            assign_role::Command { person: named, email, role, department, valid_from, valid_to };
        let reply = assign_role::handle(&ctx, &by_administrator(command)).await.expect("assigned");
        let end = by_administrator(end_role::Command { person, assignment: reply.id });
        end_role::handle(&ctx, &end).await.expect("ends");
        drop(test.engine.take_calls());
        let listed = handle(&ctx, &by_administrator(Command { person })).await.expect("reads");
        let calls = test.engine.take_calls();
        assert_eq!((calls["BatchGetItem"], calls["TransactWriteItems"], calls.len()), (1, 1, 2));
        assert_eq!(noted(&ctx.table, person, ROUTE.operation).await, ["roles: "]);
        let held: Vec<_> = listed.roles.iter().map(|item| (item.role, item.is_held)).collect();
        assert_eq!(held, [(Role::Student, true), (Role::Registrar, false)]);
        let nobody = by_administrator(Command { person: testkit::person("nobody") });
        assert_eq!(code(handle(&ctx, &nobody).await), "PERSON_UNKNOWN");
        assert!(trail_of(&ctx.table, nobody.command.person).await.is_empty());
        let own = handle(&ctx, &as_person(person, Command { person })).await.expect("reads");
        assert_eq!(own.roles.len(), 2);
        assert_eq!(noted(&ctx.table, person, ROUTE.operation).await.len(), 1, "her own are hers");
    }

    #[tokio::test]
    async fn nothing_is_read_that_is_not_noted_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| verified(&ctx(table), ada()).await.1,
            async |table, person| {
                let call = by_administrator(Command { person: *person });
                handle(&ctx(table), &call).await.map(drop)
            },
            async |table, person| {
                assert!(!noted(table, *person, ROUTE.operation).await.is_empty());
            },
        )
        .await;
    }
}
