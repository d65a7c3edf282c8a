//! A new cross-list: sections under several codes that are one class and share its seats.

use kernel::{SectionId, TermId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::list_cross_lists::Listed;
use super::{KEEPERS, put_cross_list};
use crate::Ctx;
use crate::domain::{Code, CrossList, Refusal};
use crate::store;

pub const ROUTE: Route =
    Route::create("create-cross-list", "/cross-lists", KEEPERS, "Let sections share their seats");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    pub term: TermId,
    /// Seats of all its sections together.
    #[schemars(range(max = 100_000))]
    pub capacity: u32,
    #[schemars(length(min = 2, max = 8), extend("uniqueItems" = true))]
    pub sections: Vec<SectionId>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listed, Failure> {
    let Command { code, term, capacity, sections } = call.command.clone();
    let cross_list = CrossList { id: call.new_id(), code, term, capacity, sections };
    let mut transaction = ctx.table.transaction();
    let claim = put_cross_list(ctx, call, &mut transaction, &cross_list, None).await?;
    let reply = Listed { cross_list, version: 1 };
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, claim, Refusal::CrossListCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use events::{Event, SectionOffered};
    use kernel::{Meeting, Room};

    use super::*;
    use crate::fixtures::{self, code, ctx, monday, registrar};

    pub async fn command(ctx: &Ctx) -> Command {
        let term = fixtures::term(ctx, |_| ()).await;
        let a = fixtures::section(ctx, &term, "A", |_| ()).await.section.id;
        let b = fixtures::section(ctx, &term, "B", |_| ()).await.section.id;
        let code = Code("X1".into());
        Command { code, term: term.term.id, capacity: 40, sections: vec![a, b] }
    }

    #[tokio::test]
    async fn its_sections_say_so_and_registration_is_told() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let command = command(&ctx).await;
        let made = handle(&ctx, &registrar(command.clone())).await.expect("a cross-list");
        let told = testkit::published(&test.table).await;
        let listed: Vec<SectionOffered> = told
            .iter()
            .filter(|event| event.name == SectionOffered::NAME)
            .map(|event| serde_json::from_value(event.data.clone()).expect("reads"))
            .filter(|offer: &SectionOffered| offer.cross_listing.is_some())
            .collect();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|offer| offer.cross_listing == Some(made.cross_list.listing())));
        let second = Command { code: Code("X2".into()), ..command };
        let second = handle(&ctx, &registrar(second)).await;
        assert_eq!(code(second), "SECTION_CROSS_LISTED");
    }

    #[tokio::test]
    async fn sections_of_one_class_may_share_their_room() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let command = command(&ctx).await;
        handle(&ctx, &registrar(command.clone())).await.expect("a cross-list");
        let room = Room { building: "North".into(), name: "12".into() };
        let meetings = vec![Meeting { room: Some(room), ..monday("09:00", "10:00") }];
        for section in command.sections {
            let edit = serde_json::json!({
                "section": section, "meetings": meetings, "override_reason": "The class has a room.",
            });
            let edit = serde_json::from_value(edit).expect("a command");
            let call = fixtures::at_version(2, registrar(edit));
            super::super::edit_section::handle(&ctx, &call).await.expect("both get the room");
        }
    }

    #[tokio::test]
    async fn a_cross_list_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| registrar(command(&ctx(table)).await),
            // Through the shell: the sections are on the list by then, and the first reply is what counts.
            async |table, call| shell::http::carry_out(&ctx(table), &handle, call).await.map(drop),
            async |table, call| {
                for section in &call.command.sections {
                    let section = table.get(&store::section_key(*section)).await.expect("reads");
                    assert_eq!(section.expect("is there").version, 2);
                }
            },
        )
        .await;
    }
}
