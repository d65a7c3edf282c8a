//! Event: somebody holds a role, now or from a day on, or no longer does. Where it belongs into a site, so do they;
//! whoever belongs nowhere any more is suspended there by the worker.

use events::{Event, RoleAssigned, RoleEnded};
use shell::{Delivery, Failure, Role};

use super::{chosen, take_in, user_in};
use crate::Ctx;
use crate::domain::{HeldRole, HeldRoles};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let ends = delivery.envelope.name == RoleEnded::NAME;
    let (person, assignment, role) = if ends {
        let RoleEnded { person, assignment, role, .. } = delivery.event()?;
        (person, assignment, role)
    } else {
        let RoleAssigned { person, assignment, role, .. } = delivery.event()?;
        (person, assignment, role)
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
        let RoleAssigned { department, valid_from, valid_to, assignment_version, .. } =
            delivery.event()?;
        let told = HeldRole { role, department, valid_from, valid_to, assignment_version };
        held.assign(assignment, told)
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
    use crate::fixtures::{self, World, marked};

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

    /// What stands in the site of ada, once a minute's sweep has come and a run after it.
    async fn suspended_at(world: &World, hours: i64) -> Option<bool> {
        let now = testkit::now() + jiff::SignedDuration::from_hours(hours);
        let tick = shell::Tick { now, correlation_id: "tick".into() };
        super::super::sweep_sites::handle(&world.ctx, &tick).await.expect("sweeps");
        world.run_after(hours * 3_600).await;
        let users = world.site.users();
        users.first().map(|user| user["suspended"].as_bool().expect("a flag"))
    }

    #[tokio::test]
    async fn whoever_has_a_role_for_a_time_comes_with_its_day_and_is_suspended_the_day_after() {
        let world = World::start().await;
        fixtures::deliver_person(&world.ctx, "ada").await;
        let contract = fixtures::role_from_to("ada", Role::Teacher, Some(24), Some(48));
        handle(&world.ctx, &contract).await.expect("taken in");
        assert_eq!(suspended_at(&world, 0).await, None);
        assert_eq!(suspended_at(&world, 23).await, None, "her contract has not begun");
        assert_eq!(suspended_at(&world, 24).await, Some(false));
        assert_eq!(suspended_at(&world, 47).await, Some(false));
        assert_eq!(suspended_at(&world, 48).await, Some(true));
        assert_eq!(marked(&world.ctx, "academics").await, Vec::<String>::new());
    }
}
