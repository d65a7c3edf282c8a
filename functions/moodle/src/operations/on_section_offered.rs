//! Event: the catalog offers a section, or offers it otherwise. Its courses are looked at.

use events::SectionOffered;
use shell::{Delivery, Failure};

use super::{chosen, has_courses, take_in};
use crate::Ctx;
use crate::domain::{Kind, Section, WorkId};
use crate::store;

pub async fn handle(ctx: &Ctx, delivery: &Delivery) -> Result<(), Failure> {
    let section = Section::of(delivery.event::<SectionOffered>()?);
    let known = ctx.table.get(&store::section_key(section.section)).await?;
    let is_outdated =
        known.as_ref().is_some_and(|known| known.value.section_version >= section.section_version);
    if is_outdated {
        return Ok(());
    }
    let sites = store::all_sites(&ctx.table).await?;
    let id = |site: &crate::domain::Site| WorkId {
        site: site.code.clone(),
        kind: Kind::Course,
        entity: section.section.to_string(),
    };
    let ids: Vec<WorkId> = chosen(&sites, has_courses).into_iter().map(id).collect();
    take_in(ctx, delivery, &section, known.map(|known| known.version), &ids).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, marked};

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
