//! Schedule: roles that have begun or ended by their dates are told of. They have counted from their dates on, and no
//! longer: this is for those who keep a projection. What one run has no time for, and what fails, the next one finds.

use kernel::PersonId;
use shell::{Failure, Tick};
use table::{Actor, Deed};

use crate::domain::{ByDate, RoleDate};
use crate::store::{self, Cause};
use crate::{Ctx, audit, due};

/// Dates of one person, of which each has an entry in the audit trail, and so a transaction, of its own.
const DATES_MAX: usize = 64;

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<due::Reply, Failure> {
    let is_due = |date: &RoleDate| date.at <= tick.now;
    let tell = async |date: RoleDate| {
        for _ in 0..DATES_MAX {
            if !tell_one(ctx, date.person, tick).await? {
                break;
            }
        }
        Ok(())
    };
    due::work_off(ctx, &store::role_dates(), is_due, tell).await
}

/// Tells of one role of the person's that has begun or ended; false where there is none. The write of their roles takes
/// the date off the schedule.
async fn tell_one(ctx: &Ctx, person: PersonId, tick: &Tick) -> Result<bool, Failure> {
    let (_, mut roles, trail) = store::person_roles_and_trail(&ctx.table, person).await?;
    let Some(by_date) = roles.0.take_date(tick.now) else { return Ok(false) };
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let mut transaction = ctx.table.transaction();
    let (begun, noted) = match by_date {
        ByDate::Begun(role) => {
            let noted = audit::begun(&role);
            (Some(role), noted)
        }
        ByDate::Ended(role) => {
            store::tell_end(&mut transaction, person, &role, None, cause);
            (None, audit::ended(&role))
        }
    };
    store::write_roles(&mut transaction, &roles, begun.as_slice(), cause);
    let deed = Deed {
        actor: Actor::system(),
        operation: "begin-and-end-roles",
        at: tick.now,
        correlation_id: &tick.correlation_id,
    };
    trail.append(&mut transaction, &deed, noted);
    transaction.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use events::{Event, RoleAssigned, RoleEnded};
    use jiff::SignedDuration;
    use kernel::Timestamp;
    use serde_json::{Value, json};
    use shell::Role;
    use table::{PageRequest, Table};

    use super::super::{assign_role, end_role};
    use super::*;
    use crate::due::Reply;
    use crate::fixtures::{ada, by_administrator, ctx, noted, verified};

    fn at(hours: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_hours(hours)
    }

    fn tick(hours: i64) -> Tick {
        Tick { now: at(hours), correlation_id: "test".into() }
    }

    async fn for_a_time(ctx: &Ctx, person: PersonId, role: Role) -> assign_role::Reply {
        let (email, department) = (None, None);
        let (valid_from, valid_to) = (Some(at(1)), Some(at(3)));
        let person = Some(person);
        let command =
            assign_role::Command { person, email, role, department, valid_from, valid_to };
        assign_role::handle(ctx, &by_administrator(command)).await.expect("assigned")
    }

    /// What the others were told of roles of the staff.
    async fn told(table: &Table) -> Vec<(String, Value)> {
        let events = testkit::published(table).await.into_iter();
        let events = events.filter(|event| {
            [RoleAssigned::NAME, RoleEnded::NAME].contains(&event.name.as_str())
                && event.data["role"] != "student"
        });
        events.map(|event| (event.id, event.data)).collect()
    }

    async fn left(table: &Table) -> Vec<Timestamp> {
        let dates = table.query(&store::role_dates(), &PageRequest::default()).await;
        dates.expect("reads").records.into_iter().map(|date| date.value.at).collect()
    }

    #[tokio::test]
    async fn a_role_is_told_of_on_its_dates_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let (_, person) = verified(&ctx, ada()).await;
                for_a_time(&ctx, person, Role::Bursar).await
            },
            async |table, _| {
                let ctx = ctx(table);
                for hours in [0, 1, 3] {
                    let reply = handle(&ctx, &tick(hours)).await?;
                    // What failed is found by the next run.
                    if reply.failed > 0 {
                        return Err(Failure::Conflict { with_twin: false });
                    }
                }
                Ok(())
            },
            async |table, role| {
                let told = told(table).await;
                let id = role.id;
                let ids: Vec<_> = told.iter().map(|(id, _)| id.clone()).collect();
                let assigned = |version| format!("identity.role.assigned:{id}:{version}");
                let ended = format!("identity.role.ended:{id}:1");
                let all = [assigned(1), assigned(2), ended];
                assert!(all.iter().all(|one| ids.contains(one)) && ids.len() == 3, "{ids:?}");
                let end = told.iter().find(|(id, _)| *id == all[2]).expect("it ended");
                assert_eq!((&end.1["ended_at"], &end.1["ended_by"]), (&json!(at(3)), &Value::Null));
                assert_eq!(left(table).await, []);
                let noted = noted(table, role.person, "begin-and-end-roles").await;
                let begun = format!("role: begun_at – → {}", at(1));
                let ended = format!("role: role bursar → –, valid_to – → {}", at(3));
                assert_eq!(noted, [begun, ended]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn all_dates_of_a_person_are_told_of_in_one_run_and_those_of_an_ended_role_never() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        for role in [Role::Bursar, Role::Registrar] {
            for_a_time(&ctx, person, role).await;
        }
        let ended = for_a_time(&ctx, person, Role::HrOfficer).await;
        let end = end_role::Command { person, assignment: ended.id };
        end_role::handle(&ctx, &by_administrator(end)).await.expect("ends");
        assert_eq!(told(&test.table).await.len(), 4);
        assert_eq!(handle(&ctx, &tick(1)).await.expect("tells"), Reply { done: 1, failed: 0 });
        assert_eq!((told(&test.table).await.len(), left(&test.table).await), (6, vec![at(3)]));
        handle(&ctx, &tick(9)).await.expect("tells");
        assert_eq!((told(&test.table).await.len(), left(&test.table).await), (8, vec![]));
        assert_eq!(handle(&ctx, &tick(9)).await.expect("again"), Reply::default());
    }
}
