//! What was done to a person, a service client or a sign-in provider, the newest first; or what somebody did on a day,
//! to whomever, in the order in which they did it. That this is asked is noted as well.

use shell::{Access, Allow, Call, Failure, Listing, Role, Route, Scope, TrailEntry, TrailQuestion};

use crate::Ctx;

pub const ROUTE: Route = Route::list(
    "list-audit-entries",
    "/audit-trail",
    Access::Roles(&[Allow { role: Role::Administrator, scope: Scope::All }]),
    "List what was done to a subject, or by somebody on a day",
);

pub async fn handle(ctx: &Ctx, call: &Call<TrailQuestion>) -> Result<Listing<TrailEntry>, Failure> {
    shell::answer_trail_question(&ctx.table, call, ROUTE.operation).await
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;
    use shell::http::Door;
    use shell::{Caller, Grant};
    use tokio::time::{Duration, Instant};

    use super::super::create_service_client::{self, tests::library};
    use super::super::{assign_role, read_roles};
    use super::*;
    use crate::fixtures::{ada, by_administrator, code, ctx, noted, trail_of, verified};

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
            let actor = Some(actor.to_owned());
            let call = by_administrator(TrailQuestion { actor, day: Some(day), subject: None });
            Call { now: testkit::now() + SignedDuration::from_millis(2), ..call }
        };
        let operations = async |call: &Call<TrailQuestion>| {
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
    async fn what_was_done_to_a_client_is_told_with_the_asking_and_half_a_question_is_none() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let made = create_service_client::handle(&ctx, &by_administrator(library())).await;
        let client = made.expect("made").client.id.to_string();
        let asked = |subject: Option<&str>, actor: Option<&str>, day: Option<&str>| {
            by_administrator(TrailQuestion {
                subject: subject.map(str::to_owned),
                actor: actor.map(str::to_owned),
                day: day.map(|day| day.parse().expect("a day")),
            })
        };
        let told = handle(&ctx, &asked(Some(&client), None, None)).await.expect("reads").items;
        let told: Vec<_> = told.iter().map(|entry| entry.operation.as_str()).collect();
        assert_eq!(told, [ROUTE.operation, "create-service-client"]);
        let day = Some("2027-01-15");
        for wrong in [
            asked(None, None, None),
            asked(None, Some(&client), None),
            asked(None, None, day),
            asked(Some(&client), None, day),
        ] {
            assert_eq!(code(handle(&ctx, &wrong).await), "INVALID_INPUT");
        }
        assert_eq!(trail_of(&test.table, &client).await.len(), 2, "nothing more was noted");
        let staff = by_administrator(()).person().to_string();
        for (subject, count) in [(client.as_str(), 2), (staff.as_str(), 0)] {
            let both = asked(Some(subject), Some(&staff), day);
            let told = handle(&ctx, &both).await.expect("reads").items;
            assert_eq!(told.iter().filter(|entry| entry.chain == client).count(), count);
        }
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
            let door = Door::<TrailQuestion>::new(&ROUTE);
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
