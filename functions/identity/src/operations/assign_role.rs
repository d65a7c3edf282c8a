//! A role for another person, named by id or by e-mail address. A role that they hold already, or will hold, gets the
//! dates that are told, and stays as it is where none are.

use kernel::{Email, PersonId, RoleAssignmentId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use crate::domain::{Assigned, Identifier, Refusal, RoleAssignment, Validity, check_giver};
use crate::store::{self, Cause};
use crate::{Ctx, audit, people};

pub const ROUTE: Route = Route::create(
    "assign-role",
    "/role-assignments",
    Access::Roles(&[
        Allow { role: Role::HrOfficer, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "Assign a role to a person",
);

/// Either `person` or `email`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: Option<PersonId>,
    pub email: Option<Email>,
    pub role: Role,
    /// Needed for a head of department, possible for a teacher.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[A-Z0-9][A-Z0-9.\-]*$"))]
    pub department: Option<String>,
    /// Now, where it is absent. One that has begun keeps its beginning.
    pub valid_from: Option<Timestamp>,
    /// Until somebody ends it, where it is absent. Of a role that stands already, what is absent stays as it is.
    pub valid_to: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: RoleAssignmentId,
    pub person: PersonId,
    pub role: Role,
    pub department: Option<String>,
    pub valid_from: Option<Timestamp>,
    pub valid_to: Option<Timestamp>,
}

impl Reply {
    pub(super) fn of(person: PersonId, assignment: &RoleAssignment) -> Self {
        let RoleAssignment { id, role, department, validity, .. } = assignment.clone();
        let Validity { valid_from, valid_to } = validity;
        Self { id, person, role, department, valid_from, valid_to }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { person, email, role, department, valid_from, valid_to } = call.command.clone();
    check_giver(&call.caller().grants, role)?;
    let person = match (person, email) {
        (Some(person), None) => person,
        (None, Some(email)) => {
            let (claim, _) = store::claim(&ctx.table, Identifier::email(&email)).await?;
            claim.person.ok_or(Refusal::PersonUnknown)?
        }
        _ => return Err(Refusal::PersonNotNamed.into()),
    };
    if person == call.person() {
        return Err(Refusal::OwnRole.into());
    }
    let (known, mut roles, trail) = store::person_roles_and_trail(&ctx.table, person).await?;
    let known = known.ok_or(Refusal::PersonUnknown)?;
    let before = roles.0.clone();
    let assigned = roles.0.assign_for(
        Validity { valid_from, valid_to },
        role,
        department,
        Some(call.person()),
        call.now,
    )?;
    let mut transaction = ctx.table.transaction();
    let (given, noted) = match assigned {
        Assigned::Before(standing) => (standing, None),
        Assigned::Now(new) => {
            let noted = audit::assigned(&new);
            (new, Some(noted))
        }
        Assigned::Redated { before, now } => {
            let noted = audit::redated(&before, &now);
            (now, Some(noted))
        }
    };
    let reply = Reply::of(person, &given);
    if let Some(noted) = noted {
        let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
        trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
        store::write_roles(&mut transaction, &roles, &[given], cause);
        people::write_role_entries(&mut transaction, &known, &before, &roles.0);
    }
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{Event, RoleAssigned};
    use shell::http::Door;
    use shell::{Caller, Grant};
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::fixtures::{ada, by_administrator, by_staff, code, ctx, noted, trail_of, verified};

    fn head_of_math(person: PersonId) -> Command {
        let department = Some("MATH".to_owned());
        let (email, role) = (None, Role::HeadOfDepartment);
        let (valid_from, valid_to) = (None, None);
        Command { person: Some(person), email, role, department, valid_from, valid_to }
    }

    async fn assigned(table: &table::Table) -> Vec<serde_json::Value> {
        let events = testkit::published(table).await.into_iter();
        let events = events.filter(|event| event.name == RoleAssigned::NAME);
        events.map(|event| event.data).filter(|data| data["role"] != "student").collect()
    }

    #[tokio::test]
    async fn a_role_is_assigned_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| by_administrator(head_of_math(verified(&ctx(table), ada()).await.1)),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let person = call.command.person.expect("named by id");
                let roles = store::roles(table, person).await.expect("reads").0;
                assert_eq!(roles.grants(testkit::now()).len(), 2);
                let events = assigned(table).await;
                assert_eq!(events.len(), 1);
                assert_eq!(events[0]["department"], "MATH");
                assert_eq!(events[0]["assigned_by"], call.person().to_string());
                let role = "role: role – → head_of_department, department – → MATH";
                assert_eq!(noted(table, person, ROUTE.operation).await, [role]);
                let last = trail_of(table, person).await.pop().expect("an entry");
                assert_eq!(last.actor.as_str(), call.person().to_string());
                assert_eq!((last.at, last.correlation_id.as_str()), (call.now, "test"));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_role_assigned_again_by_address_is_the_same_assignment() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let first = handle(&ctx, &by_administrator(head_of_math(person))).await.expect("assigned");
        let email = Some("ADA@matricula.example".parse().expect("an address"));
        let by_email = Command { person: None, email, ..head_of_math(person) };
        let again = handle(&ctx, &by_administrator(by_email)).await.expect("assigned before");
        assert_eq!(again, first);
        assert_eq!(noted(&ctx.table, person, ROUTE.operation).await.len(), 1);
        assert_eq!(assigned(&ctx.table).await.len(), 1);
    }

    #[tokio::test]
    async fn of_two_who_assign_at_once_both_stand_in_the_trail_one_after_the_other() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let assign = async |department: &str| {
            let department = Some(department.to_owned());
            let call = by_administrator(Command { department, ..head_of_math(person) });
            shell::http::carry_out(&ctx, &handle, &call).await.expect("assigned")
        };
        tokio::join!(assign("MATH"), assign("PHYS"));
        assert_eq!(noted(&ctx.table, person, ROUTE.operation).await.len(), 2);
        assert_eq!(trail_of(&ctx.table, person).await.len(), 3, "with her registration");
    }

    #[tokio::test]
    async fn a_role_costs_two_reads_and_one_transaction() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        drop(test.engine.take_calls());
        let email = Some(ada().email);
        let by_email = Command { person: None, email, ..head_of_math(person) };
        handle(&ctx, &by_administrator(by_email)).await.expect("assigned");
        let calls = test.engine.take_calls();
        assert_eq!((calls["TransactWriteItems"], calls.values().sum::<u64>()), (1, 3));
    }

    #[tokio::test]
    async fn a_role_for_nobody_or_beyond_its_reach_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let refused = async |command| code(handle(&ctx, &by_administrator(command)).await);
        let math = head_of_math(person);
        let nobody = Some("nobody@matricula.example".parse::<Email>().expect("an address"));
        let unknown = head_of_math(testkit::person("nobody"));
        assert_eq!(refused(unknown).await, "PERSON_UNKNOWN");
        let unknown = Command { person: None, email: nobody.clone(), ..math.clone() };
        assert_eq!(refused(unknown).await, "PERSON_UNKNOWN");
        let both = Command { email: nobody, ..math.clone() };
        assert_eq!(refused(both).await, "PERSON_NOT_NAMED");
        let neither = Command { person: None, ..math.clone() };
        assert_eq!(refused(neither).await, "PERSON_NOT_NAMED");
        let nowhere = Command { department: None, ..math.clone() };
        assert_eq!(refused(nowhere).await, "DEPARTMENT_REQUIRED");
        let bursar = Command { role: Role::Bursar, ..math };
        assert_eq!(refused(bursar).await, "DEPARTMENT_NOT_EXPECTED");
        for number in 0..31 {
            let department = Some(format!("D{number}"));
            let command = Command { department, ..head_of_math(person) };
            handle(&ctx, &by_administrator(command)).await.expect("assigned");
        }
        assert_eq!(refused(head_of_math(person)).await, "TOO_MANY_ROLES");
    }

    #[tokio::test]
    async fn a_role_is_prolonged_once_whatever_happens_on_the_wire() {
        let hour = |hours| Some(testkit::now() + jiff::SignedDuration::from_hours(hours));
        testkit::under_every_fault(
            async |table| {
                let math = head_of_math(verified(&ctx(table), ada()).await.1);
                let first = by_administrator(Command { valid_to: hour(1), ..math.clone() });
                handle(&ctx(table), &first).await.expect("assigned");
                by_administrator(Command { valid_to: hour(9), ..math })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let person = call.command.person.expect("named by id");
                let roles = store::roles(table, person).await.expect("reads").0;
                assert_eq!(roles.grants(hour(8).expect("a time")).len(), 2);
                let dates = table.query(&store::role_dates(), &table::PageRequest::default()).await;
                let dates = dates.expect("reads").records.into_iter();
                let dates: Vec<_> = dates.map(|date| Some(date.value.at)).collect();
                assert_eq!(dates, [hour(9)], "it is on the schedule for its new end alone");
                let events = assigned(table).await;
                let ends: Vec<_> = events.iter().map(|data| data["valid_to"].clone()).collect();
                assert_eq!(ends, [serde_json::json!(hour(1)), serde_json::json!(hour(9))]);
                let noted = noted(table, person, ROUTE.operation).await;
                let [old, new] = [hour(1), hour(9)].map(|at| at.expect("a time"));
                assert_eq!(noted[1..], [format!("role: valid_to {old} → {new}")]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nobody_gives_themselves_a_role_by_id_or_by_address() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let by_email = Command { person: None, email: Some(ada().email), ..head_of_math(person) };
        for role in [Role::HrOfficer, Role::Administrator] {
            for command in [head_of_math(person), by_email.clone()] {
                let mut own = by_staff(role, command);
                own.caller.as_mut().expect("a caller").person = person;
                assert_eq!(code(handle(&ctx, &own).await), "OWN_ROLE", "{role:?}");
            }
        }
        handle(&ctx, &by_staff(Role::HrOfficer, by_email)).await.expect("another one gives it");
    }

    #[tokio::test]
    async fn nobody_but_an_administrator_and_within_bounds_an_hr_officer_assigns() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nobody = testkit::person("nobody");
        let body = serde_json::json!({ "person": nobody, "role": "administrator" });
        for role in Role::ALL {
            let session = testkit::call(()).caller.expect("a caller").session;
            let grants = vec![Grant { role, department: None }];
            let caller = Caller { person: testkit::person("ada"), session, grants };
            let event = testkit::http_event("POST", &[], &body, Some(&caller));
            let deadline = Instant::now() + Duration::from_secs(30);
            let door = Door::<Command>::new(&ROUTE);
            let reply = door.answer(&ctx, &handle, &event, deadline).await;
            let expected = if role == Role::Administrator { 404 } else { 403 };
            assert_eq!(reply["statusCode"], expected, "{role:?}");
            let is_hr = reply.to_string().contains("ROLE_NOT_YOURS");
            assert_eq!(is_hr, role == Role::HrOfficer, "{role:?}: {reply}");
        }
    }
}
