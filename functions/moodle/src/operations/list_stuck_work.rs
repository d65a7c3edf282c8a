//! What a site did not take, and what has to be done about each.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route, sentence};

use super::STAFF;
use crate::Ctx;
use crate::domain::{Kind, SENTENCES, SiteCode, Trouble};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-stuck-work",
    "/moodle/sites/{site}/stuck-work",
    STAFF,
    "List what a Moodle site did not take, and why",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub kind: Kind,
    /// A section's id, a person's, or both with a `/` between them.
    pub entity: String,
    pub marked_at: Timestamp,
    pub trouble: Option<Trouble>,
    /// For whoever can mend it.
    pub sentence: String,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let site = store::site(&ctx.table, &call.command.site).await?;
    let page = ctx.table.query(&store::stuck(&site.value.code), &call.page).await?;
    let item = |work: crate::domain::Work| Item {
        kind: work.kind,
        entity: work.entity,
        marked_at: work.marked_at,
        sentence: work
            .trouble
            .as_ref()
            .map(|trouble| sentence(&SENTENCES, call.locale, &trouble.code, &[]))
            .unwrap_or_default(),
        trouble: work.trouble,
    };
    let items = page.records.into_iter().map(|work| item(work.value)).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::World;

    #[tokio::test]
    async fn a_person_whose_address_is_taken_there_is_listed_with_a_sentence_and_stops_nobody() {
        let world = World::start().await;
        let user = json!({ "users": [{
            "username": "somebody", "firstname": "x", "lastname": "y", "password": "Str0ng#Pass1",
            "email": "ADA@matricula.example",
        }] });
        world.site.act("core_user_create_users", &user);
        world.enrol("a", "ada").await;
        world.enrol("a", "bob").await;
        world.run().await;
        assert_eq!(world.enrolled(), [("a".to_owned(), "bob".to_owned(), false)]);
        let command = Command { site: SiteCode("academics".into()) };
        let listed = handle(&world.ctx, &testkit::call(command)).await.expect("a page");
        assert_eq!(listed.items.len(), 1);
        let item = &listed.items[0];
        assert_eq!(item.entity, testkit::person("ada").to_string());
        assert_eq!(item.trouble.as_ref().map(|trouble| trouble.code.as_str()), Some("EMAIL_TAKEN"));
        assert!(item.sentence.contains("ID number"), "{}", item.sentence);
    }
}
