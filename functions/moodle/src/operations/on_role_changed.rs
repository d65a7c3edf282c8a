//! Event: somebody holds a role now, or no longer does. Where it belongs into a site, so do they; whoever belongs
//! nowhere any more is suspended there by the worker.

use events::{Event, RoleAssigned, RoleEnded};
use shell::{Delivery, Failure, Role};

use super::{chosen, take_in, user_in};
use crate::Ctx;
use crate::domain::{HeldRole, HeldRoles};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let ends = delivery.envelope.name == RoleEnded::NAME;
    let (person, assignment, role, department) = if ends {
        let RoleEnded { person, assignment, role, department, .. } = delivery.event()?;
        (person, assignment, role, department)
    } else {
        let RoleAssigned { person, assignment, role, department, .. } = delivery.event()?;
        (person, assignment, role, department)
    };
    let Some(role) = Role::ALL.into_iter().find(|known| known.name() == role) else {
        // A role that came later than this context means nothing to any site.
        return Ok(());
    };
    let known = ctx.table.get(&store::held_roles_key(person)).await?;
    let read_version = known.as_ref().map(|known| known.version);
    let mut held = known.map_or_else(|| HeldRoles::none(person), |known| known.value);
    let changed = if ends {
        held.end(assignment)
    } else {
        held.assign(assignment, HeldRole { role, department })
    };
    if !changed {
        return Ok(());
    }
    let sites = store::all_sites(&ctx.table).await?;
    let ids = user_in(&chosen(&sites, |site| site.settings.people.contains(&role)), person);
    take_in(ctx, delivery, &held, read_version, &ids).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, marked};

    #[tokio::test]
    async fn a_role_marks_where_it_belongs_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                let bursar = fixtures::role("ada", Role::Bursar, None);
                handle(&ctx, &bursar).await.expect("taken in");
                assert_eq!(marked(&ctx, "academics").await, Vec::<String>::new());
            },
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                handle(&ctx, &fixtures::role("ada", Role::Teacher, Some("MATH"))).await
            },
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                let ada = testkit::person("ada").to_string();
                assert_eq!(marked(&ctx, "academics").await, [format!("user {ada}")]);
                let key = store::held_roles_key(testkit::person("ada"));
                let held = ctx.table.get(&key).await.expect("reads").expect("is there");
                assert_eq!(held.value.roles.len(), 2);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_ended_role_marks_once_more_and_stays_ended_in_whatever_order_the_events_come() {
        for reversed in [false, true] {
            let test = testkit::TestTable::new().await;
            let ctx = fixtures::ctx(&test.table);
            fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
            let assigned = fixtures::role("ada", Role::Teacher, Some("MATH"));
            let mut events = [assigned, fixtures::role_ended("ada", Role::Teacher, Some("MATH"))];
            if reversed {
                events.reverse();
            }
            for event in &events {
                handle(&ctx, event).await.expect("taken in");
            }
            let key = store::held_roles_key(testkit::person("ada"));
            let held = ctx.table.get(&key).await.expect("reads").expect("is there").value;
            assert_eq!(held.roles.len(), 0);
            let ada = testkit::person("ada").to_string();
            assert_eq!(marked(&ctx, "academics").await, [format!("user {ada}")]);
        }
    }
}
