//! Pairs of people who may be one: the same address, or the same legal name and birth date, and nobody has said that
//! they are two. Whom a page shows is noted with whoever asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Route};
use table::PageRequest;

use super::{KEEPERS, list_people};
use crate::Ctx;
use crate::domain::{Alike, keeps, likenesses};
use crate::people::{self, Known};

pub const ROUTE: Route = Route::list(
    "list-duplicates",
    "/people/duplicates",
    KEEPERS,
    "List pairs of people who may be the same",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

/// `limit` counts likenesses: where three people have one address, they are three pairs.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Item {
    pub first: list_people::Item,
    pub second: list_people::Item,
    pub same_email: bool,
    /// Their legal names, without regard to case and accents.
    pub same_name_and_birth_date: bool,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    /// With as many people as a likeness has at most, they are read in one call.
    const LIKENESSES_MAX: u32 = 6;
    let limit = if call.page.limit == 0 { LIKENESSES_MAX } else { call.page.limit };
    let page = PageRequest { limit: limit.min(LIKENESSES_MAX), after: call.page.after.clone() };
    let found = ctx.table.query(&people::duplicates(), &page).await?;
    let likenesses: Vec<Alike> = found.records.into_iter().map(|alike| alike.value).collect();
    let mut ids: Vec<_> = likenesses.iter().flat_map(|alike| alike.people.clone()).collect();
    ids.sort();
    ids.dedup();
    let mut known = people::known(&ctx.table, &ids).await?;
    known.retain(|known| keeps(&call.caller().grants, &known.roles));
    let items = likenesses.iter().flat_map(|alike| pairs(alike, &known)).map(|pair| {
        let (first, second, common) = pair;
        let (first, second) =
            (list_people::Item::of(ctx, call, first), list_people::Item::of(ctx, call, second));
        let is_alike_in = |what: &str| common.iter().any(|likeness| likeness.starts_with(what));
        Item {
            first,
            second,
            same_email: is_alike_in("EMAIL#"),
            same_name_and_birth_date: is_alike_in("NAME#"),
        }
    });
    let items: Vec<Item> = items.collect();
    let listed = items.iter().flat_map(|item| [item.first.id, item.second.id]).collect();
    people::note_listed(ctx, call, ROUTE.operation, &listed).await?;
    Ok(Listing { items, next_cursor: found.next })
}

/// Those who still look alike, each pair under the first of its likenesses alone.
fn pairs<'k>(alike: &Alike, known: &'k [Known]) -> Vec<(&'k Known, &'k Known, Vec<String>)> {
    let mut members: Vec<&Known> =
        known.iter().filter(|known| alike.people.contains(&known.person.value.id)).collect();
    members.sort_by_key(|known| known.person.value.id);
    let mut pairs = Vec::new();
    for (at, first) in members.iter().enumerate() {
        for second in &members[at + 1..] {
            let (one, other) = (&first.person.value, &second.person.value);
            let common: Vec<String> =
                likenesses(one).intersection(&likenesses(other)).cloned().collect();
            if common.first() == Some(&alike.likeness) && !one.is_distinct_from(other.id) {
                pairs.push((*first, *second, common));
            }
        }
    }
    pairs
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::PersonId;
    use shell::Role;

    use super::super::edit_person;
    use super::super::register_person;
    use super::super::register_person::tests::{command, registered};
    use super::*;
    use crate::fixtures::{by_staff, ctx};

    pub fn born(given: &str, family: &str, other_email: Option<&str>) -> register_person::Command {
        let other_email = other_email.map(|email| email.parse().expect("an address"));
        register_person::Command {
            birth_date: Some(jiff::civil::date(2001, 2, 3)),
            other_emails: other_email.into_iter().collect(),
            ..command(given, family, None)
        }
    }

    pub async fn listed(ctx: &Ctx, office: Role) -> Vec<(PersonId, PersonId, bool, bool)> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let mut call = by_staff(office, Command {});
            call.page = PageRequest { after, limit: 2 };
            let page = handle(ctx, &call).await.expect("lists");
            found.extend(page.items.iter().map(|item| {
                let (first, second) = (item.first.id, item.second.id);
                (first, second, item.same_email, item.same_name_and_birth_date)
            }));
            after = page.next_cursor;
            if after.is_none() {
                return found;
            }
        }
    }

    fn pair(one: PersonId, other: PersonId) -> (PersonId, PersonId) {
        (one.min(other), one.max(other))
    }

    #[tokio::test]
    async fn people_who_look_alike_are_listed_once_in_pairs() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = registered(&ctx, born("Zoë", "Núñez", Some("zoe@home.example"))).await;
        let second = registered(&ctx, born("ZOE", "Nunez", Some("Zoe@Home.Example"))).await;
        let third = registered(&ctx, born("Anna", "Roy", Some("zoe@home.example"))).await;
        registered(&ctx, born("Zoë", "Roy", None)).await;
        let mut found = listed(&ctx, Role::Registrar).await;
        found.sort();
        let both = |(one, other): (PersonId, PersonId), named| (one, other, true, named);
        let mut expected = [
            both(pair(first, second), true),
            both(pair(first, third), false),
            both(pair(second, third), false),
        ];
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(listed(&ctx, Role::HrOfficer).await, [], "students are the registrar's");
    }

    #[tokio::test]
    async fn who_looks_alike_no_more_is_not_listed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        registered(&ctx, born("Zoë", "Núñez", None)).await;
        let second = registered(&ctx, born("Zoë", "Nunez", None)).await;
        assert_eq!(listed(&ctx, Role::Administrator).await.len(), 1);
        let born = serde_json::json!({ "person": second, "birth_date": "2001-02-04" });
        let edit: edit_person::Command = serde_json::from_value(born).expect("a command");
        let edit = Call { if_match: Some(1), ..by_staff(Role::Registrar, edit) };
        edit_person::handle(&ctx, &edit).await.expect("edits");
        assert_eq!(listed(&ctx, Role::Administrator).await, []);
    }

    #[tokio::test]
    async fn an_address_that_everybody_has_makes_no_more_pairs_than_a_page_has_room_for() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for number in 0..12 {
            let family = format!("Roy{number}");
            registered(&ctx, born("Max", &family, Some("none@home.example"))).await;
        }
        assert_eq!(listed(&ctx, Role::Registrar).await.len(), 28, "eight people in pairs");
    }
}
