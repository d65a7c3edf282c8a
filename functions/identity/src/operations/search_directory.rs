//! The directory: name, role and department of those who are at the institution and have not opted out. A number or a
//! birth date is no directory information, and finds nobody here.

use kernel::{PersonId, PersonName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Listing, Route};

use super::read_person::{HeldRole, held_roles};
use crate::Ctx;
use crate::domain::{List, Refusal, directory_entries, folded};
use crate::people::{self, Known, Search};

pub const ROUTE: Route = Route::list(
    "search-directory",
    "/directory",
    Access::LoggedIn,
    "Look somebody up in the directory",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// How the given or the family name begins by which the person goes, without regard to case, accents and
    /// punctuation; the other name may follow.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub id: PersonId,
    pub name: PersonName,
    /// What they are now, and in which departments.
    pub roles: Vec<HeldRole>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    let beginning = folded(&call.command.name);
    let list = List::of_names(&beginning).ok_or(Refusal::CriterionNeeded)?;
    let today = ctx.today(call.now);
    let show = |known: &Known| {
        let person = &known.person.value;
        let roles = held_roles(&known.roles, call.now);
        let is_shown = person.directory_opt_out.is_none() && !roles.is_empty();
        is_shown.then(|| Item { id: person.id, name: person.shown_name(today).clone(), roles })
    };
    let search = Search { list: &list, beginning: &beginning, page: &call.page };
    let texts = |known: &Known| directory_entries(&known.person.value);
    people::search(&ctx.table, search, texts, show).await
}

#[cfg(test)]
mod tests {
    use shell::Role;

    use super::super::edit_profile;
    use super::super::register_person;
    use super::super::register_person::tests::{command, registered};
    use super::*;
    use crate::fixtures::{as_person, code, ctx};

    async fn found(ctx: &Ctx, name: &str) -> Vec<Item> {
        let call = as_person(testkit::person("anybody"), Command { name: name.to_owned() });
        handle(ctx, &call).await.expect("searches").items
    }

    #[tokio::test]
    async fn the_directory_shows_name_role_and_department_and_nothing_else() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let preferred = PersonName { given: "Lea".into(), family: "Mbarga".into() };
        let lea = register_person::Command {
            preferred_name: Some(preferred.clone()),
            birth_date: Some(jiff::civil::date(1980, 1, 2)),
            role: Some(Role::Teacher),
            department: Some("MATH".into()),
            ..command("Leonard", "Mbarga", Some("lea@matricula.example"))
        };
        let id = registered(&ctx, lea).await;
        let roles = vec![HeldRole { role: Role::Teacher, department: Some("MATH".into()) }];
        let shown = found(&ctx, "lea").await;
        assert_eq!(shown, [Item { id, name: preferred, roles }]);
        let fields = serde_json::to_value(&shown[0]).expect("JSON");
        let fields: Vec<_> = fields.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(fields, ["id", "name", "roles"]);
        assert_eq!(found(&ctx, "leonard").await, [], "she does not go by that name");
        assert_eq!(found(&ctx, "mbarga le").await.len(), 1);
    }

    #[tokio::test]
    async fn who_opts_out_is_gone_at_once_and_so_is_who_holds_no_role() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let max = registered(&ctx, command("Max", "Roy", None)).await;
        let nobody = register_person::Command { role: None, ..command("Maxime", "Roy", None) };
        registered(&ctx, nobody).await;
        assert_eq!(found(&ctx, "max").await.len(), 1);
        let opt_out = async |opted_out, version| {
            let directory_opt_out = Some(opted_out);
            let command = edit_profile::Command { directory_opt_out, ..Default::default() };
            let call = Call { if_match: Some(version), ..as_person(max, command) };
            edit_profile::handle(&ctx, &call).await.expect("edits");
        };
        opt_out(true, 1).await;
        assert_eq!(found(&ctx, "max").await, []);
        opt_out(false, 2).await;
        assert_eq!(found(&ctx, "roy max").await.len(), 1);
    }

    #[tokio::test]
    async fn a_name_without_letters_finds_nobody() {
        let test = testkit::TestTable::new().await;
        let call = as_person(testkit::person("anybody"), Command { name: "’ -".to_owned() });
        assert_eq!(code(handle(&ctx(&test.table), &call).await), "CRITERION_NEEDED");
    }
}
