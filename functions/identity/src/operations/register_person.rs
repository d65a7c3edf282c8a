//! A new person, by the office that will keep their record; with a first role, where the office gives it.

use kernel::{Date, Email, Id, Locale, PersonId, PersonName};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Role, Route};
use table::Trail;

use super::KEEPERS;
use super::read_person::Reply;
use crate::Ctx;
use crate::domain::{
    Assigned, ExternalId, Person, Refusal, Roles, check_birth_date, check_opener, check_registrar,
    checked_name,
};
use crate::people::{self, Before};
use crate::store::{self, Cause};

pub const ROUTE: Route =
    Route::create("register-person", "/people", KEEPERS, "Register a person who is new");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The legal name.
    pub name: PersonName,
    pub preferred_name: Option<PersonName>,
    pub birth_date: Option<Date>,
    #[schemars(length(min = 1, max = 40))]
    pub pronouns: Option<String>,
    /// Theirs alone: who proves it opens the account of this person.
    pub email: Option<Email>,
    #[serde(default)]
    #[schemars(length(max = 5))]
    pub other_emails: Vec<Email>,
    /// The language of what we send; that of the request where it is absent.
    pub locale: Option<Locale>,
    /// Numbers at home and ids in other systems.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub external_ids: Vec<ExternalId>,
    /// What they are first: registrars register students, HR officers teachers and heads, administrators everybody.
    /// Without a role both offices keep the record.
    pub role: Option<Role>,
    /// Needed for a head of department, possible for a teacher.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[A-Z0-9][A-Z0-9.\-]*$"))]
    pub department: Option<String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { role, department, external_ids, .. } = &call.command;
    let person = new_person(ctx, call)?;
    if external_ids.iter().any(ExternalId::opens_accounts) {
        check_opener(&call.caller().grants)?;
    }
    let none = (Roles::none_of(person.id), None);
    let mut roles = none.clone();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    if let Some(role) = role {
        check_registrar(&call.caller().grants, *role)?;
        let by = Some(call.person());
        let assigned = roles.0.assign(*role, department.clone(), by, call.now)?;
        if let Assigned::Now(new) = assigned {
            store::write_roles(&mut transaction, &roles, &[new], cause);
        }
    } else if department.is_some() {
        return Err(Refusal::DepartmentNotExpected.into());
    }
    let before = Before::of(None, &none, Trail::begin(person.id));
    let deed = call.deed(ROUTE.operation);
    let written = people::write(ctx, &mut transaction, before, person, &roles.0, &deed).await?;
    let reply = Reply::of(ctx, &written, &roles.0, call.now);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

fn new_person(ctx: &Ctx, call: &Call<Command>) -> Result<Person, Refusal> {
    let command = call.command.clone();
    // By its key, so that a repetition whose reply was lost finds its own claims.
    let key = call.idempotency_key.as_ref();
    let id = key.map_or_else(|| call.new_id(), |key| PersonId::derived_from(&key.scope));
    let name = checked_name(&command.name)?;
    let mut person = Person::new(id, name, command.locale.unwrap_or(call.locale));
    person.preferred_name = command.preferred_name.as_ref().map(checked_name).transpose()?;
    if let Some(birth_date) = command.birth_date {
        check_birth_date(birth_date, ctx.today(call.now))?;
    }
    person.birth_date = command.birth_date;
    person.pronouns = command.pronouns;
    person.email = command.email;
    person.other_emails = command.other_emails;
    for external_id in command.external_ids {
        person.add_external_id(external_id)?;
    }
    Ok(person)
}

#[cfg(test)]
pub(crate) mod tests {
    use events::{Event, PersonRegistered, RoleAssigned};
    use table::Table;

    use super::*;
    use crate::fixtures::{ada, by_staff, code, ctx, verified};

    pub fn command(given: &str, family: &str, email: Option<&str>) -> Command {
        Command {
            name: PersonName { given: given.into(), family: family.into() },
            preferred_name: None,
            birth_date: None,
            pronouns: None,
            email: email.map(|email| email.parse().expect("an address")),
            other_emails: Vec::new(),
            locale: None,
            external_ids: Vec::new(),
            role: Some(Role::Student),
            department: None,
        }
    }

    pub async fn registered(ctx: &Ctx, command: Command) -> PersonId {
        let by = by_staff(Role::Administrator, command);
        handle(ctx, &by).await.expect("registers").id
    }

    pub async fn told(table: &Table, name: &str) -> usize {
        let events = testkit::published(table).await;
        events.iter().filter(|event| event.name == name).count()
    }

    fn amina() -> Command {
        let ids = ["student-number:S-1", "moodle:academics:17"];
        let read = |text: &str| ExternalId::read(text, None).expect("an id");
        Command {
            birth_date: Some(jiff::civil::date(2001, 2, 3)),
            external_ids: ids.map(read).to_vec(),
            ..command("Amina", "Ngono", Some("amina@matricula.example"))
        }
    }

    #[tokio::test]
    async fn a_person_is_registered_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| by_staff(Role::Registrar, amina()),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                assert_eq!(told(table, PersonRegistered::NAME).await, 1);
                assert_eq!(told(table, RoleAssigned::NAME).await, 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_another_ones_is_refused_and_so_is_what_cannot_be() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        registered(&ctx, amina()).await;
        let wrong = |change: &dyn Fn(&mut Command)| {
            let mut command = amina();
            command.email = None;
            command.external_ids.clear();
            change(&mut command);
            command
        };
        let id = |text: &str| vec![ExternalId::read(text, None).expect("an id")];
        let bad = [
            (wrong(&|one| one.email = amina().email), "EMAIL_TAKEN"),
            (wrong(&|one| one.external_ids = id("student-number:s-1")), "STUDENT_NUMBER_TAKEN"),
            (wrong(&|one| one.external_ids = id("moodle:academics:17")), "EXTERNAL_ID_TAKEN"),
            (wrong(&|one| one.name.given = " ".into()), "NAME_INVALID"),
            (
                wrong(&|one| one.birth_date = Some(jiff::civil::date(2030, 1, 1))),
                "BIRTH_DATE_INVALID",
            ),
            (wrong(&|one| one.department = Some("MATH".into())), "DEPARTMENT_NOT_EXPECTED"),
        ];
        for (command, expected) in bad {
            let refused = handle(&ctx, &by_staff(Role::Registrar, command)).await;
            assert_eq!(code(refused), expected);
        }
        assert_eq!(told(&test.table, PersonRegistered::NAME).await, 1);
    }

    #[tokio::test]
    async fn an_office_registers_its_own_people() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for (office, role, is_theirs) in [
            (Role::Registrar, Role::Student, true),
            (Role::Registrar, Role::Teacher, false),
            (Role::HrOfficer, Role::Teacher, true),
            (Role::HrOfficer, Role::Student, false),
            (Role::HrOfficer, Role::Bursar, false),
            (Role::Administrator, Role::Bursar, true),
        ] {
            let command = Command { role: Some(role), ..command("Max", "Roy", None) };
            let registered = handle(&ctx, &by_staff(office, command)).await;
            if is_theirs {
                registered.expect("theirs");
            } else {
                assert_eq!(code(registered), "ROLE_NOT_YOURS", "{office:?} {role:?}");
            }
        }
    }

    #[tokio::test]
    async fn nobody_but_an_administrator_registers_what_somebody_signs_in_by() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let subject = ExternalId::read("idp:university:u-1", None).expect("an id");
        for (office, role) in [
            (Role::Registrar, Some(Role::Student)),
            (Role::Registrar, None),
            (Role::HrOfficer, Some(Role::Teacher)),
            (Role::HrOfficer, None),
        ] {
            let external_ids = vec![subject.clone()];
            let planted = Command { external_ids, role, ..command("Max", "Roy", None) };
            let refused = handle(&ctx, &by_staff(office, planted)).await;
            assert_eq!(code(refused), "SIGN_IN_ID_NOT_YOURS", "{office:?}, {role:?}");
        }
        let external_ids = vec![subject];
        registered(&ctx, Command { external_ids, ..command("Max", "Roy", None) }).await;
    }

    #[tokio::test]
    async fn who_proves_the_address_is_the_person_who_was_registered() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let email = Some("Ada@matricula.example");
        let person = registered(&ctx, command("Augusta Ada", "King", email)).await;
        let (_, proven) = verified(&ctx, ada()).await;
        assert_eq!(proven, person);
        let stored = store::person_and_roles(&ctx.table, person).await.expect("reads").0;
        assert_eq!(stored.expect("she is there").value.name.family, "King");
    }
}
