//! Event: the catalog links sections, or links them otherwise. The groups of their courses are looked at.

use std::collections::BTreeSet;

use events::RegistrationGroupChanged;
use kernel::SectionId;
use shell::{Delivery, Failure};

use super::{chosen, groups_in, has_groups, mark};
use crate::Ctx;
use crate::domain::{LinkedSections, Links};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let told = LinkedSections::of(delivery.event::<RegistrationGroupChanged>()?);
    let known = ctx.table.get(&store::linked_sections_key(told.group)).await?;
    if known.as_ref().is_some_and(|known| known.value.group_version >= told.group_version) {
        return Ok(());
    }
    let before = known.as_ref().map(|known| known.value.sections.clone()).unwrap_or_default();
    let touched: BTreeSet<SectionId> = before.union(&told.sections).copied().collect();
    let keys = touched.iter().map(|section| (&store::links_key(*section)).into());
    let mut links = ctx.table.get_batch(keys.collect()).await?;
    let mut transaction = ctx.table.transaction();
    for section in &touched {
        let links = links.take(&store::links_key(*section))?;
        let read_version = links.as_ref().map(|links| links.version);
        let mut links = links.map_or_else(|| Links::none(*section), |links| links.value);
        links.learn(&told);
        transaction.put(&links, read_version);
    }
    transaction.put(&told, known.map(|known| known.version));
    delivery.mark_seen(&mut transaction);
    let sites = store::all_sites(&ctx.table).await?;
    let ids = groups_in(&chosen(&sites, has_groups), &touched);
    mark(ctx, &mut transaction, delivery, &ids).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::GroupRule;
    use crate::fixtures::{self, World, linked, marked};

    async fn with_groups() -> World {
        let world = World::start().await;
        world.change_settings(|settings| settings.groups = GroupRule::LinkedSections).await;
        world
    }

    async fn learn(world: &World, group: &str, sections: &[&str]) {
        let told = linked(group, 1, sections);
        handle(&world.ctx, &told).await.expect("taken in");
    }

    /// Members of the group of one section in the course of another, by name.
    fn members(world: &World, course: &str, group: &str) -> Option<Vec<&'static str>> {
        let course = fixtures::section(course).to_string();
        let group = fixtures::section(group).to_string();
        let found = world.site.groups();
        let found = found.iter().find(|one| one["course"] == course && one["idnumber"] == group)?;
        let inside: Vec<String> =
            serde_json::from_value(found["members"].clone()).expect("id numbers");
        let is_inside = |name: &&str| inside.contains(&testkit::person(name).to_string());
        Some(["ada", "bob", "cleo"].into_iter().filter(is_inside).collect())
    }

    #[tokio::test]
    async fn linked_sections_are_marked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                let mut settings = crate::domain::tests_settings("http://127.0.0.1:9");
                settings.groups = GroupRule::LinkedSections;
                fixtures::add(&ctx, "academics", settings).await;
                handle(&ctx, &linked("x", 1, &["a", "b"])).await.expect("taken in");
            },
            async |table, ()| handle(&fixtures::ctx(table), &linked("x", 3, &["b", "c"])).await,
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                handle(&ctx, &linked("x", 2, &["a", "c"])).await.expect("late news");
                let links = async |name| {
                    let key = store::links_key(fixtures::section(name));
                    table.get(&key).await.expect("reads").expect("is there").value.sections()
                };
                assert_eq!(links("a").await, BTreeSet::new());
                assert_eq!(links("b").await, BTreeSet::from([fixtures::section("c")]));
                let marked = marked(&ctx, "academics").await;
                let groups = marked.iter().filter(|one| one.starts_with("groups "));
                assert_eq!(groups.count(), 3);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_takes_the_lab_is_in_its_group_of_the_lecture_and_leaves_it_with_the_lab() {
        let world = with_groups().await;
        learn(&world, "one", &["a", "b"]).await;
        learn(&world, "two", &["a", "c"]).await;
        for (section, student) in [("a", "ada"), ("b", "ada"), ("a", "bob"), ("c", "bob")] {
            world.enrol(section, student).await;
        }
        world.run_after(100).await;
        world.run_after(110).await;
        assert_eq!(members(&world, "a", "b"), Some(vec!["ada"]));
        assert_eq!(members(&world, "a", "c"), Some(vec!["bob"]));
        assert_eq!(
            members(&world, "b", "a"),
            Some(vec!["ada"]),
            "the lecture is a group of the lab"
        );
        world.site.take_asked();
        assert_eq!(world.run_after(200).await.requests, 0, "in step");
        // Bob changes his lab.
        world.enrol("b", "bob").await;
        world.drop_registration("c", "bob").await;
        world.run_after(300).await;
        world.run_after(310).await;
        assert_eq!(members(&world, "a", "b"), Some(vec!["ada", "bob"]));
        assert_eq!(members(&world, "a", "c"), Some(Vec::new()));
    }

    #[tokio::test]
    async fn a_student_who_is_no_more_in_the_course_there_keeps_the_others_from_nothing_and_comes_back()
     {
        let world = with_groups().await;
        for (section, student) in [("a", "ada"), ("b", "ada"), ("a", "bob"), ("b", "bob")] {
            world.enrol(section, student).await;
        }
        world.run_after(100).await;
        let users = world.site.users();
        let bob = users.iter().find(|user| user["firstname"] == "Bob").expect("he is there");
        let courses = world.site.courses();
        let section = fixtures::section("a").to_string();
        let course = courses.iter().find(|one| one["idnumber"] == section).expect("it is there");
        let seat = json!({ "enrolments": [{ "userid": bob["id"], "courseid": course["id"] }] });
        world.site.act("enrol_manual_unenrol_users", &seat);
        learn(&world, "one", &["a", "b"]).await;
        world.run_after(200).await;
        assert_eq!(members(&world, "a", "b"), Some(vec!["ada"]));
        assert_eq!(members(&world, "b", "a"), Some(vec!["ada", "bob"]));
        // The enrolment is looked at, found missing, and made again.
        world.run_after(300).await;
        world.run_after(1_000).await;
        assert_eq!(members(&world, "a", "b"), Some(vec!["ada", "bob"]));
    }
}
