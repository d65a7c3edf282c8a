//! Event: the catalog offers a section, or offers it otherwise. Its courses are looked at, and whoever teaches it now
//! or no longer does.

use std::collections::BTreeSet;

use events::SectionOffered;
use kernel::PersonId;
use shell::{Delivery, Failure};
use table::Stored;

use super::{chosen, course_in, has_courses, mark};
use crate::Ctx;
use crate::domain::{Closure, Kind, Registrations, Section, Site, WorkId};
use crate::store;
use crate::sync::entity_of;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let section = Section::of(delivery.event::<SectionOffered>()?);
    let (section_key, closure_key) =
        (store::section_key(section.section), store::closure_key(section.section));
    let keys = vec![(&section_key).into(), (&closure_key).into()];
    let mut records = ctx.table.get_batch(keys).await?;
    let known: Option<Stored<Section>> = records.take(&section_key)?;
    let closure: Option<Stored<Closure>> = records.take(&closure_key)?;
    let last_closure = closure.as_ref().map(|closure| &closure.value);
    let sites = store::all_sites(&ctx.table).await?;
    let sites = chosen(&sites, has_courses);
    let newer =
        known.as_ref().filter(|known| known.value.section_version >= section.section_version);
    if let Some(newer) = newer {
        // This one may have told teachers already before the newer one was taken in.
        let (taught, version) = (newer.value.taught(last_closure), Some(newer.version));
        return learn_teachers(ctx, delivery, &taught, version, &section.teachers, &sites).await;
    }
    let read_version = known.as_ref().map(|known| known.version);
    let mut people = section.teachers.clone();
    people.extend(known.into_iter().flat_map(|known| known.value.teachers));
    let taught = section.taught(last_closure);
    learn_teachers(ctx, delivery, &taught, read_version, &people, &sites).await?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&section, read_version);
    transaction.check(&closure_key, closure.map(|closure| closure.version));
    delivery.mark_seen(&mut transaction);
    mark(ctx, &mut transaction, delivery, &course_in(&sites, section.section)).await?;
    Ok(transaction.commit().await?)
}

/// These people teach `section`, or do not, as it says. Each in a transaction of its own, while the section stands as
/// it was read: it is written last, so that a repetition finds who is left.
pub(super) async fn learn_teachers(
    ctx: &Ctx,
    delivery: &Delivery,
    section: &Section,
    read_version: Option<u64>,
    people: &BTreeSet<PersonId>,
    sites: &[&Site],
) -> Result<(), Failure> {
    for person in people.union(&section.teachers) {
        learn_teaching(ctx, delivery, section, read_version, *person, sites).await?;
    }
    Ok(())
}

async fn learn_teaching(
    ctx: &Ctx,
    delivery: &Delivery,
    section: &Section,
    section_version: Option<u64>,
    person: PersonId,
    sites: &[&Site],
) -> Result<(), Failure> {
    let known = ctx.table.get(&store::registrations_key(section.section, person)).await?;
    let read_version = known.as_ref().map(|known| known.version);
    let none = || Registrations::none(section.section, person);
    let mut registrations = known.map_or_else(none, |known| known.value);
    let teaches = section.teachers.contains(&person);
    if registrations.teaches == teaches {
        return Ok(());
    }
    registrations.teaches = teaches;
    let mut ids = Vec::new();
    for site in sites {
        let id = |kind, entity| WorkId { site: site.code.clone(), kind, entity };
        ids.push(id(Kind::Enrolment, entity_of(section.section, person)));
        ids.push(id(Kind::User, person.to_string()));
    }
    let mut transaction = ctx.table.transaction();
    transaction.put(&registrations, read_version);
    transaction.check(&store::section_key(section.section), section_version);
    mark(ctx, &mut transaction, delivery, &ids).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, marked};

    fn taught(version: u64, teachers: &[&str]) -> Delivery {
        let mut offered = fixtures::offered("a", version);
        let teachers: Vec<String> =
            teachers.iter().map(|name| testkit::person(name).to_string()).collect();
        offered.envelope.data["teachers"] = teachers.into();
        offered
    }

    #[tokio::test]
    async fn teachers_are_marked_when_they_come_and_go_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                handle(&ctx, &taught(1, &["ada", "bob"])).await.expect("taken in");
            },
            async |table, ()| handle(&fixtures::ctx(table), &taught(2, &["bob", "cleo"])).await,
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                assert_eq!(marked(&ctx, "academics").await.len(), 7, "a course and three people");
                for (name, teaches) in [("ada", false), ("bob", true), ("cleo", true)] {
                    let person = testkit::person(name);
                    let key = store::registrations_key(fixtures::section("a"), person);
                    let known = table.get(&key).await.expect("reads").expect("is there");
                    assert_eq!(known.value.teaches, teaches, "{name}");
                }
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_teacher_is_enrolled_as_such_and_keeps_nothing_of_it_afterwards() {
        let world = crate::fixtures::World::start().await;
        for name in ["ada", "bob"] {
            fixtures::deliver_person(&world.ctx, name).await;
        }
        let roles = |world: &fixtures::World| {
            let all = world.site.enrolments().into_iter();
            let of = |name: &str| {
                let person = testkit::person(name).to_string();
                let mut of = all.clone().filter(|one| one["user"] == person.as_str());
                of.next().map(|one| (one["roles"].to_string(), one["suspended"] == true))
            };
            (of("ada"), of("bob"))
        };
        let teacher = || Some(("[3]".to_owned(), false));
        handle(&world.ctx, &taught(1, &["ada"])).await.expect("taken in");
        world.run().await;
        assert_eq!(roles(&world), (teacher(), None));
        handle(&world.ctx, &taught(2, &["bob"])).await.expect("taken in");
        world.run_after(100).await;
        assert_eq!(roles(&world), (Some(("[5]".to_owned(), true)), teacher()));
    }

    #[tokio::test]
    async fn news_of_teachers_that_a_newer_event_overtook_on_the_way_leave_nothing_behind() {
        let test = testkit::TestTable::new().await;
        let ctx = fixtures::ctx(&test.table);
        fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
        handle(&ctx, &taught(1, &["ada"])).await.expect("taken in");
        let overtaken = taught(2, &["bob"]);
        let section = Section::of(overtaken.event::<SectionOffered>().expect("an event"));
        let known = ctx.table.get(&store::section_key(section.section)).await.expect("reads");
        let known = known.expect("is there");
        let version = Some(known.version);
        // It told of its teachers; the section itself was not written when the newer one came.
        let before = &known.value.teachers;
        learn_teachers(&ctx, &overtaken, &section, version, before, &[]).await.expect("told");
        handle(&ctx, &taught(3, &["ada"])).await.expect("taken in");
        let cleo = BTreeSet::from([testkit::person("cleo")]);
        let section = Section { teachers: cleo, ..section };
        let late = learn_teachers(&ctx, &overtaken, &section, version, before, &[]).await;
        assert!(late.is_err(), "the section is another one now");
        handle(&ctx, &overtaken).await.expect("asked again");
        for (name, teaches) in [("ada", true), ("bob", false)] {
            let key = store::registrations_key(section.section, testkit::person(name));
            let known = ctx.table.get(&key).await.expect("reads").expect("is there");
            assert_eq!(known.value.teaches, teaches, "{name}");
        }
    }

    #[tokio::test]
    async fn an_offered_section_is_marked_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
            },
            async |table, ()| handle(&fixtures::ctx(table), &fixtures::offered("a", 2)).await,
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                handle(&ctx, &fixtures::offered("a", 1)).await.expect("late news");
                let section = fixtures::section("a").to_string();
                assert_eq!(marked(&ctx, "academics").await, [format!("course {section}")]);
            },
        )
        .await;
    }
}
