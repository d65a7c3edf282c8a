//! People, for the offices that keep their records: by the beginning of a name, by an address, a number, an id in
//! another system, or a role. Whom a page shows is noted with whoever asks.

use std::collections::BTreeSet;

use kernel::{Date, Email, PersonId, PersonName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Listing, Role, Route};

use super::KEEPERS;
use super::read_person::{HeldRole, held_roles};
use crate::Ctx;
use crate::domain::{
    ExternalId, Identifier, KIND_PATTERN, List, Refusal, entries, folded, keeps, likeness_of_email,
    likenesses,
};
use crate::people::{self, Known, Search};

pub const ROUTE: Route = Route::list(
    "list-people",
    "/people",
    KEEPERS,
    "List people by name, address, number, external id or role",
);

/// At least one, and everybody listed fits all of them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// How the given or the family name begins, today's legal one or the preferred one, without regard to case, accents
    /// and punctuation; the other name may follow.
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Theirs alone, or one of their further ones.
    pub email: Option<Email>,
    #[schemars(length(min = 1, max = 64))]
    pub student_number: Option<String>,
    #[schemars(length(min = 1, max = 64))]
    pub staff_number: Option<String>,
    /// `system:value`, such as `moodle:academics:17`.
    #[schemars(length(min = 3, max = 320))]
    pub external_id: Option<String>,
    /// Which of that system's ids; `id` where it is left out.
    #[schemars(regex(pattern = KIND_PATTERN))]
    pub external_id_type: Option<String>,
    /// One that they hold now.
    pub role: Option<Role>,
}

#[derive(Clone, Serialize, JsonSchema)]
pub struct Item {
    pub id: PersonId,
    /// What the person is called today.
    pub name: PersonName,
    pub legal_name: PersonName,
    pub email: Option<Email>,
    pub birth_date: Option<Date>,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
    /// Whether nothing of this may go into a directory.
    pub directory_opt_out: bool,
    pub roles: Vec<HeldRole>,
}

impl Item {
    pub fn of<C>(ctx: &Ctx, call: &Call<C>, known: &Known) -> Self {
        let person = known.person.value.clone();
        let today = ctx.today(call.now);
        Self {
            id: person.id,
            name: person.shown_name(today).clone(),
            legal_name: person.legal_name(today).clone(),
            email: person.email,
            birth_date: person.birth_date,
            student_number: person.student_number,
            staff_number: person.staff_number,
            directory_opt_out: person.directory_opt_out.is_some(),
            roles: held_roles(&known.roles, call.now),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    let found = find(ctx, call).await?;
    let listed = found.items.iter().map(|item| item.id).collect();
    people::note_listed(ctx, call, ROUTE.operation, &listed).await?;
    Ok(found)
}

async fn find(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Item>, Failure> {
    let Command { name, email, role, .. } = &call.command;
    let name = name.as_deref().map(folded);
    let identifiers = identifiers(&call.command)?;
    let email = email.as_ref().map(|email| likeness_of_email(&email.folded()));
    let texts = |known: &Known| entries(&known.person.value, &known.roles);
    let fits = |known: &Known| {
        let person = &known.person.value;
        let held = person.identifiers();
        let is_named = |name: &String| {
            let mut texts = texts(known).into_iter();
            let list = List::of_names(name);
            texts.any(|entry| Some(&entry.list) == list.as_ref() && entry.text.starts_with(name))
        };
        identifiers.iter().all(|wanted| held.contains(wanted))
            && email.as_ref().is_none_or(|email| likenesses(person).contains(email))
            && name.as_ref().is_none_or(is_named)
            && role.is_none_or(|role| known.roles.held(call.now).any(|held| held.role == role))
            && keeps(&call.caller().grants, &known.roles)
    };
    let show = |known: &Known| fits(known).then(|| Item::of(ctx, call, known));
    if identifiers.is_empty() && email.is_none() {
        let by_name = name.as_deref().and_then(|name| Some((List::of_names(name)?, name)));
        let by_role = role.map(|role| (List::of_role(role), ""));
        let (list, beginning) = by_name.or(by_role).ok_or(Refusal::CriterionNeeded)?;
        let search = Search { list: &list, beginning, page: &call.page };
        return people::search(&ctx.table, search, texts, show).await;
    }
    let ids = holders(ctx, &identifiers, call.command.email.as_ref()).await?;
    let found = people::known(&ctx.table, &ids.into_iter().collect::<Vec<_>>()).await?;
    Ok(Listing { items: found.iter().filter_map(show).collect(), next_cursor: None })
}

fn identifiers(command: &Command) -> Result<Vec<Identifier>, Refusal> {
    let Command { student_number, staff_number, external_id, external_id_type, .. } = command;
    let student_number = student_number.as_deref().map(Identifier::student_number);
    let staff_number = staff_number.as_deref().map(Identifier::staff_number);
    let read = |text: &str| ExternalId::read(text, external_id_type.as_deref());
    let external_id = external_id.as_deref().map(read).transpose()?;
    let external_id = external_id.as_ref().map(Identifier::external);
    Ok([student_number, staff_number, external_id].into_iter().flatten().collect())
}

/// Whom an identifier leads to, or else everybody who has the address.
async fn holders(
    ctx: &Ctx,
    identifiers: &[Identifier],
    email: Option<&Email>,
) -> Result<BTreeSet<PersonId>, Failure> {
    let mut people = BTreeSet::new();
    if let Some(identifier) = identifiers.first() {
        people.extend(people::holder(&ctx.table, identifier.clone()).await?);
    } else if let Some(email) = email {
        people.extend(people::holder(&ctx.table, Identifier::email(email)).await?);
        let alike = people::alike_key(&likeness_of_email(&email.folded()));
        let alike = ctx.table.get(&alike).await?;
        people.extend(alike.into_iter().flat_map(|alike| alike.value.people));
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::super::change_legal_name;
    use super::super::change_legal_name::tests::king;
    use super::super::register_person;
    use super::super::register_person::tests::{command, registered};
    use super::*;
    use crate::fixtures::{by_staff, code, ctx, noted};

    async fn listed(ctx: &Ctx, office: Role, command: Command) -> Vec<String> {
        let call = by_staff(office, command);
        let reply = handle(ctx, &call).await.expect("lists");
        reply.items.into_iter().map(|item| item.name.full()).collect()
    }

    fn named(name: &str) -> Command {
        Command { name: Some(name.to_owned()), ..Command::default() }
    }

    #[tokio::test]
    async fn people_are_found_by_the_beginning_of_either_name() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for (given, family) in [("Zoë", "Núñez"), ("Nuno", "Álvares"), ("Anouk", "O’Brien")] {
            registered(&ctx, command(given, family, None)).await;
        }
        let find = async |name: &str| listed(&ctx, Role::Registrar, named(name)).await;
        assert_eq!(find("nu").await, ["Zoë Núñez", "Nuno Álvares"]);
        assert_eq!(find("NÚÑEZ, z").await, ["Zoë Núñez"]);
        assert_eq!(find("zoe nun").await, ["Zoë Núñez"]);
        assert_eq!(find("obrien").await, ["Anouk O’Brien"]);
        assert_eq!(find("brien").await, Vec::<String>::new(), "only the beginning counts");
        for nothing in ["—", "x"] {
            let found = handle(&ctx, &by_staff(Role::Registrar, named(nothing))).await;
            assert!(found.is_err() || found.is_ok_and(|found| found.items.is_empty()));
        }
    }

    #[tokio::test]
    async fn who_has_two_fitting_names_is_listed_once_and_by_the_new_ones() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let preferred = PersonName { given: "Mara".into(), family: "Marat".into() };
        let twice = register_person::Command {
            preferred_name: Some(preferred),
            ..command("Maria", "Marin", None)
        };
        let person = registered(&ctx, twice).await;
        assert_eq!(listed(&ctx, Role::Registrar, named("mar")).await, ["Mara Marat"]);
        change_legal_name::handle(&ctx, &king(person, None)).await.expect("changes");
        assert_eq!(listed(&ctx, Role::Registrar, named("king")).await, ["Mara Marat"]);
        assert_eq!(listed(&ctx, Role::Registrar, named("marin")).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn each_office_finds_its_own_people_page_by_page() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for number in 0..12 {
            let role = if number % 3 == 0 { Role::Teacher } else { Role::Student };
            let one = command("Ana", &format!("Ruiz{number:02}"), None);
            registered(&ctx, register_person::Command { role: Some(role), ..one }).await;
        }
        let role = |role| Command { role: Some(role), ..Command::default() };
        assert_eq!(listed(&ctx, Role::Registrar, role(Role::Student)).await.len(), 8);
        assert_eq!(listed(&ctx, Role::HrOfficer, role(Role::Student)).await.len(), 0);
        assert_eq!(listed(&ctx, Role::Administrator, role(Role::Teacher)).await.len(), 4);
        let both = Command { role: Some(Role::Teacher), ..named("ana ruiz") };
        assert_eq!(listed(&ctx, Role::HrOfficer, both).await.len(), 4);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let mut call = by_staff(Role::Registrar, named("ruiz"));
            call.page = PageRequest { after, limit: 3 };
            let page = handle(&ctx, &call).await.expect("lists");
            assert!(page.items.len() <= 3);
            seen.extend(page.items.into_iter().map(|item| item.name.family));
            after = page.next_cursor;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 8, "{seen:?}");
        assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[tokio::test]
    async fn an_address_a_number_and_an_external_id_lead_to_their_holder_alone() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let shared: Email = "home@matricula.example".parse().expect("an address");
        let id = |text: &str| ExternalId::read(text, None).expect("an id");
        let ada = register_person::Command {
            external_ids: vec![id("student-number:S-1"), id("moodle:academics:17")],
            other_emails: vec![shared.clone()],
            ..command("Ada", "King", Some("ada@matricula.example"))
        };
        registered(&ctx, ada).await;
        let other = command("Max", "Roy", Some("Home@matricula.example"));
        registered(&ctx, other).await;
        let email = |email: Email| Command { email: Some(email), ..Command::default() };
        let find = async |command| listed(&ctx, Role::Registrar, command).await;
        let ada: Email = "ADA@matricula.example".parse().expect("an address");
        assert_eq!(find(email(ada)).await, ["Ada King"]);
        assert_eq!(find(email(shared.clone())).await.len(), 2);
        let number = Command { student_number: Some("s-1".into()), ..Command::default() };
        assert_eq!(find(number.clone()).await, ["Ada King"]);
        let external_id = |text: &str| Some(text.to_owned());
        let moodle = external_id("moodle:academics:17");
        assert_eq!(find(Command { external_id: moodle, ..number.clone() }).await, ["Ada King"]);
        let other = external_id("moodle:finance:17");
        assert_eq!(find(Command { external_id: other, ..number.clone() }).await.len(), 0);
        assert_eq!(find(Command { role: Some(Role::Teacher), ..number }).await.len(), 0);
    }

    #[tokio::test]
    async fn whom_a_page_shows_is_noted_once_with_whoever_asks_and_an_empty_page_is_not() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let mut shown = Vec::new();
        for given in ["Ana", "Ann", "Anu"] {
            shown.push(registered(&ctx, command(given, "Roy", None)).await.to_string());
        }
        assert_eq!(listed(&ctx, Role::Registrar, named("nobody")).await.len(), 0);
        drop(test.engine.take_calls());
        assert_eq!(listed(&ctx, Role::Registrar, named("roy")).await.len(), 3);
        assert_eq!(test.engine.take_calls()["TransactWriteItems"], 1);
        shown.sort();
        let told = format!("people: listed – → {}", shown.join("; "));
        let asker = by_staff(Role::Registrar, ()).person();
        assert_eq!(noted(&ctx.table, asker, ROUTE.operation).await, [told]);
    }

    #[tokio::test]
    async fn nobody_lists_everybody() {
        let test = testkit::TestTable::new().await;
        let everybody = by_staff(Role::Administrator, Command::default());
        assert_eq!(code(handle(&ctx(&test.table), &everybody).await), "CRITERION_NEEDED");
    }
}
