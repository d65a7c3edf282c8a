//! What somebody did on a day, to whomever, in the order in which they did it. That this is asked is noted as well, in
//! the chain of whom it is asked of.

use kernel::Date;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Listing, Role, Route, Scope, TrailEntry};
use table::{Actor, Noted, audit_of_actor};

use crate::Ctx;

pub const ROUTE: Route = Route::list(
    "list-audit-entries",
    "/audit-trail",
    Access::Roles(&[Allow { role: Role::Administrator, scope: Scope::All }]),
    "List what somebody did on a day",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// A person or a service client by its id, or `system`.
    #[schemars(regex(pattern = r"^(system|[a-z]{3}_[0-9a-f]{32})$"))]
    pub actor: String,
    /// A day of UTC. What was done within the last moments may be missing.
    pub day: Date,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<TrailEntry>, Failure> {
    let Command { actor, day } = &call.command;
    let trail = ctx.table.trail(actor).await?;
    let mut transaction = ctx.table.transaction();
    let noted = Noted::read(format!("audit-trail/{day}"));
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    transaction.commit().await?;
    let deeds = audit_of_actor(&Actor::named(actor), day);
    Ok(ctx.table.query(&deeds, &call.page).await?.into())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;
    use shell::http::Door;
    use shell::{Caller, Grant};
    use tokio::time::{Duration, Instant};

    use super::super::{assign_role, read_roles};
    use super::*;
    use crate::fixtures::{ada, by_administrator, ctx, noted, verified};

    #[tokio::test]
    async fn what_somebody_did_on_a_day_is_listed_whomever_it_concerned() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let (email, department, valid_from, valid_to) = (None, None, None, None);
        let (role, named) = (Role::Registrar, Some(person));
        let command =
            assign_role::Command { person: named, email, role, department, valid_from, valid_to };
        assign_role::handle(&ctx, &by_administrator(command)).await.expect("assigned");
        let mut later = by_administrator(read_roles::Command { person });
        later.now = testkit::now() + SignedDuration::from_millis(1);
        read_roles::handle(&ctx, &later).await.expect("reads");
        later.now = testkit::now() + SignedDuration::from_hours(24);
        read_roles::handle(&ctx, &later).await.expect("reads on the next day");
        let staff = later.person();
        let asked = |day: &str, actor: &str| {
            let day = day.parse().expect("a day");
            let call = by_administrator(Command { actor: actor.to_owned(), day });
            Call { now: testkit::now() + SignedDuration::from_millis(2), ..call }
        };
        let operations = async |call: &Call<Command>| {
            let entries = handle(&ctx, call).await.expect("lists").items;
            entries.into_iter().map(|entry| entry.operation).collect::<Vec<_>>()
        };
        let first_day = asked("2027-01-15", &staff.to_string());
        assert_eq!(
            operations(&first_day).await,
            ["assign-role", "read-roles", ROUTE.operation],
            "the asking is noted as well, and here it is their own"
        );
        let next_day = asked("2027-01-16", &staff.to_string());
        assert_eq!(operations(&next_day).await, ["read-roles"]);
        assert!(operations(&asked("2027-01-15", "system")).await.is_empty());
        assert_eq!(noted(&ctx.table, staff, ROUTE.operation).await.len(), 2);
    }

    #[tokio::test]
    async fn nobody_but_an_administrator_reads_a_trail_and_no_other_actor_is_asked_for() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let answer = async |role: Role, actor: &str| {
            let session = testkit::call(()).caller.expect("a caller").session;
            let grants = vec![Grant { role, department: None }];
            let caller = Caller { person: testkit::person("ada"), session, grants };
            let mut event = testkit::http_event("GET", &[], &json!(null), Some(&caller));
            event["queryStringParameters"] = json!({ "actor": actor, "day": "2027-01-15" });
            let deadline = Instant::now() + Duration::from_secs(30);
            let door = Door::<Command>::new(&ROUTE);
            door.answer(&ctx, &handle, &event, deadline).await["statusCode"].as_u64()
        };
        for role in Role::ALL {
            let expected = if role == Role::Administrator { 200 } else { 403 };
            assert_eq!(answer(role, "system").await, Some(expected), "{role:?}");
        }
        for actor in ["everybody", "per_1", "system#2027", "../per"] {
            assert_eq!(answer(Role::Administrator, actor).await, Some(422), "{actor}");
        }
    }
}
