//! Who stands in line for a section, in the order of its line, for those who answer for it.

use kernel::SectionId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Listing, Route};

use super::APPROVERS;
use super::list_waitlist_entries::Item;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-waitlist",
    "/waitlists/{section}",
    APPROVERS,
    "List who stands in line for a section",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub section: SectionId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    let section = call.command.section;
    let stored = ctx.table.get(&store::seats_key(section)).await?;
    let within =
        |department: &String| call.may_touch(call.person(), std::slice::from_ref(department));
    stored.filter(|stored| within(&stored.value.department)).ok_or(Refusal::SectionUnknown)?;
    let page = ctx.table.query(&store::places(section), &call.page).await?;
    let places = page.records.iter().map(|stored| &stored.value);
    let keys: Vec<_> = places.map(|place| store::waitlist_entry_key(place.entry)).collect();
    let mut batch = ctx.table.get_batch(keys.iter().map(Into::into).collect()).await?;
    let mut items = Vec::new();
    for key in &keys {
        if let Some(stored) = batch.take(key)? {
            items.push(Item::of(&stored.value, stored.version, None));
        }
    }
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use events::WaitlistMode;
    use shell::Role;
    use testkit::{TestTable, person};

    use super::super::give_override::tests::staff;
    use super::super::join_waitlist::tests::{full, join};
    use super::*;
    use crate::fixtures::{code, offer};

    #[tokio::test]
    async fn the_department_sees_its_line_in_order() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Manual, 0)).await;
        for student in ["bob", "ada"] {
            join(&ctx, student, section).await;
        }
        let head = |department| {
            staff("head", Role::HeadOfDepartment, Some(department), Command { section })
        };
        let listed = handle(&ctx, &head("MATH")).await.expect("lists").items;
        let students: Vec<_> = listed.iter().map(|item| item.student).collect();
        assert_eq!(students, ["bob", "ada"].map(person));
        assert_eq!(code(handle(&ctx, &head("PHYS")).await), "SECTION_UNKNOWN");
    }
}
