//! Event: somebody holds a role now. Where it belongs into a site, so do they.

use std::collections::BTreeMap;

use events::RoleAssigned;
use shell::{Delivery, Failure, Role};

use super::{chosen, take_in, user_in};
use crate::Ctx;
use crate::domain::{HeldRole, HeldRoles};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let RoleAssigned { assignment, person, role, department, .. } = delivery.event()?;
    let Some(role) = Role::ALL.into_iter().find(|known| known.name() == role) else {
        // A role that came later than this context means nothing to any site.
        return Ok(());
    };
    let known = ctx.table.get(&store::held_roles_key(person)).await?;
    let read_version = known.as_ref().map(|known| known.version);
    let mut held = known.map_or(HeldRoles { person, roles: BTreeMap::new() }, |known| known.value);
    held.roles.insert(assignment, HeldRole { role, department });
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
}
