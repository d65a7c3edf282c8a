//! The common seats of a cross-list, or its sections, as they are to be.

use kernel::{CrossListId, SectionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::list_cross_lists::Listed;
use super::{KEEPERS, put_cross_list};
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::edit(
    "edit-cross-list",
    "/cross-lists/{cross_list}",
    KEEPERS,
    "Change the common seats of sections, or which sections share them",
);

/// What is absent stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub cross_list: CrossListId,
    #[schemars(range(max = 100_000))]
    pub capacity: Option<u32>,
    /// None of them dissolves it.
    #[schemars(length(max = 8), extend("uniqueItems" = true))]
    pub sections: Option<Vec<SectionId>>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listed, Failure> {
    let Command { cross_list, capacity, sections } = call.command.clone();
    let key = store::cross_list_key(cross_list);
    let stored = ctx.table.get(&key).await?.ok_or(Refusal::CrossListUnknown)?;
    let mut cross_list = stored.value.clone();
    cross_list.capacity = capacity.unwrap_or(cross_list.capacity);
    cross_list.sections = sections.unwrap_or(cross_list.sections);
    if cross_list == stored.value {
        return Ok(Listed { cross_list, version: stored.version });
    }
    call.check_version(stored.version)?;
    let mut transaction = ctx.table.transaction();
    put_cross_list(ctx, call, &mut transaction, &cross_list, Some(&stored)).await?;
    transaction.commit().await?;
    Ok(Listed { cross_list, version: stored.version + 1 })
}

#[cfg(test)]
mod tests {
    use super::super::{create_cross_list, list_cross_lists};
    use super::*;
    use crate::fixtures::{at_version, code, ctx, registrar};

    #[tokio::test]
    async fn seats_change_for_all_and_a_section_that_leaves_is_free() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let command = create_cross_list::tests::command(&ctx).await;
        let (term, sections) = (command.term, command.sections.clone());
        let made = create_cross_list::handle(&ctx, &registrar(command)).await.expect("made");
        let id = made.cross_list.id;
        let more = Command { cross_list: id, capacity: Some(50), sections: None };
        handle(&ctx, &at_version(1, registrar(more.clone()))).await.expect("edits");
        handle(&ctx, &at_version(1, registrar(more))).await.expect("a retry");
        let listing = async |section| {
            let section = ctx.table.get(&store::section_key(section)).await.expect("reads");
            section.expect("is there").value.cross_listing
        };
        assert_eq!(listing(sections[0]).await.map(|listing| listing.capacity), Some(50));
        let none = Command { cross_list: id, capacity: None, sections: Some(Vec::new()) };
        let old = handle(&ctx, &at_version(1, registrar(none.clone()))).await;
        assert_eq!(code(old), "PRECONDITION_FAILED");
        handle(&ctx, &at_version(2, registrar(none))).await.expect("dissolves");
        assert_eq!((listing(sections[0]).await, listing(sections[1]).await), (None, None));
        let call = registrar(list_cross_lists::Command { term });
        let listed = list_cross_lists::handle(&ctx, &call).await.expect("lists");
        assert_eq!(listed.items[0].cross_list.sections, []);
    }

    #[tokio::test]
    async fn an_edit_is_written_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let command = registrar(create_cross_list::tests::command(&ctx(table)).await);
                let made = create_cross_list::handle(&ctx(table), &command).await.expect("made");
                let cross_list = made.cross_list.id;
                let command = Command { cross_list, capacity: Some(50), sections: None };
                at_version(1, registrar(command))
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::cross_list_key(call.command.cross_list);
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 2);
            },
        )
        .await;
    }
}
