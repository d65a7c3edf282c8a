//! Registration groups of a term, by course: which sections are taken together, and whether they are offered.

use std::collections::BTreeMap;

use kernel::{SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Listing, Route};
use table::PageRequest;

use crate::Ctx;
use crate::domain::{Code, GroupState, RegistrationGroup, SectionState};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-registration-groups",
    "/registration-groups",
    Access::LoggedIn,
    "List the linked sections of a term by course",
)
.for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// Only groups of this course.
    pub course_code: Option<Code>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Group {
    #[serde(flatten)]
    pub group: RegistrationGroup,
    pub version: u64,
    pub state: GroupState,
}

impl Group {
    pub fn of(group: RegistrationGroup, version: u64, sections: &[SectionState]) -> Self {
        let state = group.state(sections);
        Self { group, version, state }
    }
}

pub type Reply = Listing<Group>;

/// So many groups name at most 96 sections, which are read in one call.
const GROUPS_MAX: u32 = 16;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, course_code } = &call.command;
    let partition = store::groups(*term, course_code.as_ref());
    let limit = if call.page.limit == 0 { GROUPS_MAX } else { call.page.limit.min(GROUPS_MAX) };
    let page = PageRequest { limit, ..call.page.clone() };
    let page = ctx.table.query(&partition, &page).await?;
    let mut ids: Vec<SectionId> =
        page.records.iter().flat_map(|group| group.value.sections.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let sections = store::sections_by_id(&ctx.table, &ids).await?;
    let states: BTreeMap<SectionId, SectionState> =
        sections.iter().map(|section| (section.value.id, section.value.state)).collect();
    let items = page.records.into_iter().map(|stored| {
        let of_group = stored.value.sections.iter().filter_map(|id| states.get(id).copied());
        let of_group: Vec<SectionState> = of_group.collect();
        Group::of(stored.value, stored.version, &of_group)
    });
    Ok(Listing { items: items.collect(), next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;
    use crate::fixtures::ctx;

    #[tokio::test]
    async fn a_term_without_groups_has_an_empty_list() {
        let test = testkit::TestTable::new().await;
        let command = Command { term: TermId::derived_from("none"), course_code: None };
        let reply = handle(&ctx(&test.table), &testkit::call(command)).await.expect("lists");
        assert_eq!((reply.items, reply.next_cursor), (Vec::new(), None));
    }
}
