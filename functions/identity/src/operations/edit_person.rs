//! A change to a person's record by the office that keeps it.

use kernel::{Date, Email, Locale, PersonId, PersonName};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::read_person::Reply;
use super::{KEEPERS, told};
use crate::Ctx;
use crate::domain::{
    ExternalId, Person, Refusal, check_addresser, check_birth_date, check_keeper, checked_name,
};
use crate::people::{self, Before};
use crate::store;

pub const ROUTE: Route =
    Route::edit("edit-person", "/people/{person}", KEEPERS, "Edit the record of a person");

/// What is absent stays as it is; null takes away.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
    /// The right spelling of the legal name that holds today. Another name has a beginning: see `legal-names`.
    pub name: Option<PersonName>,
    #[serde(default, deserialize_with = "told")]
    pub preferred_name: Option<Option<PersonName>>,
    #[serde(default, deserialize_with = "told")]
    pub birth_date: Option<Option<Date>>,
    #[serde(default, deserialize_with = "told")]
    #[schemars(length(min = 1, max = 40))]
    pub pronouns: Option<Option<String>>,
    /// Not of somebody who has proven theirs.
    #[serde(default, deserialize_with = "told")]
    pub email: Option<Option<Email>>,
    #[schemars(length(max = 5))]
    pub other_emails: Option<Vec<Email>>,
    pub locale: Option<Locale>,
    #[serde(default, deserialize_with = "told")]
    #[schemars(length(min = 1, max = 64))]
    pub student_number: Option<Option<String>>,
    #[serde(default, deserialize_with = "told")]
    #[schemars(length(min = 1, max = 64))]
    pub staff_number: Option<Option<String>>,
    /// Whether they are to be in no directory, as they have asked. It counts at once.
    pub directory_opt_out: Option<bool>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (before, roles, trail) =
        store::person_roles_and_trail(&ctx.table, call.command.person).await?;
    let before = before.ok_or(Refusal::PersonUnknown)?;
    check_keeper(&call.caller().grants, &roles.0)?;
    let person = edited(ctx, call, before.value.clone())?;
    // An edit whose reply was lost comes again with the version from before it: it has had its effect.
    if person == before.value {
        return Ok(Reply::of(ctx, &before, &roles.0, call.now));
    }
    call.check_version(before.version)?;
    if person.email != before.value.email {
        check_addresser(&call.caller().grants, &roles.0, call.now)?;
    }
    let mut transaction = ctx.table.transaction();
    let known = Before::of(Some(&before), &roles, trail);
    let deed = call.deed(ROUTE.operation);
    let written = people::write(ctx, &mut transaction, known, person, &roles.0, &deed).await?;
    transaction.commit().await?;
    Ok(Reply::of(ctx, &written, &roles.0, call.now))
}

fn edited(ctx: &Ctx, call: &Call<Command>, mut person: Person) -> Result<Person, Refusal> {
    let today = ctx.today(call.now);
    let command = call.command.clone();
    if let Some(name) = command.name {
        person.correct_legal_name(checked_name(&name)?, today);
    }
    if let Some(name) = command.preferred_name {
        person.preferred_name = name.as_ref().map(checked_name).transpose()?;
    }
    if let Some(birth_date) = command.birth_date {
        birth_date.map_or(Ok(()), |day| check_birth_date(day, today))?;
        person.birth_date = birth_date;
    }
    if let Some(email) = command.email {
        if person.account.is_some() && email != person.email {
            return Err(Refusal::EmailProven);
        }
        person.email = email;
    }
    for (told, system) in
        [(command.student_number, "student-number"), (command.staff_number, "staff-number")]
    {
        let Some(told) = told else { continue };
        let number = told.map(|number| ExternalId::new(system, &number).checked()).transpose()?;
        let number = number.map(|number| number.value);
        match system {
            "student-number" => person.student_number = number,
            _ => person.staff_number = number,
        }
    }
    person.pronouns = command.pronouns.unwrap_or(person.pronouns);
    person.other_emails = command.other_emails.unwrap_or(person.other_emails);
    person.locale = command.locale.unwrap_or(person.locale);
    if let Some(opted_out) = command.directory_opt_out {
        person.opt_out(opted_out, call.now);
    }
    Ok(person)
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonChanged};
    use shell::Role;

    use super::super::register_person::tests::{command, registered, told as told_of};
    use super::*;
    use crate::fixtures::{ada, by_staff, code, ctx, log_in, verified};

    fn nothing(person: PersonId) -> Command {
        Command {
            person,
            name: None,
            preferred_name: None,
            birth_date: None,
            pronouns: None,
            email: None,
            other_emails: None,
            locale: None,
            student_number: None,
            staff_number: None,
            directory_opt_out: None,
        }
    }

    fn edit(command: Command, version: u64) -> Call<Command> {
        Call { if_match: Some(version), ..by_staff(Role::Registrar, command) }
    }

    async fn amina(ctx: &Ctx) -> PersonId {
        registered(ctx, command("Amina", "Ngono", Some("amina@matricula.example"))).await
    }

    #[tokio::test]
    async fn a_record_changes_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let person = amina(&ctx(table)).await;
                let email = Some(Some("ngono@matricula.example".parse().expect("an address")));
                let (birth_date, number) = (jiff::civil::date(2001, 2, 3), "S-1".to_owned());
                let birth_date = Some(Some(birth_date));
                let student_number = Some(Some(number));
                edit(Command { birth_date, email, student_number, ..nothing(person) }, 1)
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| assert_eq!(told_of(table, PersonChanged::NAME).await, 1),
        )
        .await;
    }

    #[tokio::test]
    async fn what_others_are_told_nothing_of_makes_no_event() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let person = amina(&ctx).await;
        let pronouns = Some(Some("she/her".to_owned()));
        let reply = handle(&ctx, &edit(Command { pronouns, ..nothing(person) }, 1)).await;
        assert_eq!(reply.expect("edits").version, 2);
        assert_eq!(told_of(&test.table, PersonChanged::NAME).await, 0);
        let name = PersonName { given: "Amina".into(), family: "Ngonó".into() };
        let name = Command { name: Some(name), ..nothing(person) };
        let reply = handle(&ctx, &edit(name, 2)).await.expect("edits");
        assert_eq!((reply.legal_name.family.as_str(), reply.legal_names.len()), ("Ngonó", 1));
        assert_eq!(told_of(&test.table, PersonChanged::NAME).await, 1);
    }

    #[tokio::test]
    async fn nobody_edits_what_they_have_not_read_or_do_not_keep() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let person = amina(&ctx).await;
        let locale = || Command { locale: Some(Locale::Fr), ..nothing(person) };
        assert_eq!(code(handle(&ctx, &edit(locale(), 9)).await), "PRECONDITION_FAILED");
        let hr = Call { if_match: Some(1), ..by_staff(Role::HrOfficer, locale()) };
        assert_eq!(code(handle(&ctx, &hr).await), "PERSON_NOT_YOURS");
    }

    #[tokio::test]
    async fn a_proven_address_is_its_owners_and_a_number_given_up_is_free() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, ada) = verified(&ctx, ada()).await;
        let email = Command { email: Some(None), ..nothing(ada) };
        assert_eq!(code(handle(&ctx, &edit(email, 1)).await), "EMAIL_PROVEN");
        let number = |number: Option<&str>, person| Command {
            student_number: Some(number.map(str::to_owned)),
            ..nothing(person)
        };
        handle(&ctx, &edit(number(Some("S-1815"), ada), 1)).await.expect("edits");
        log_in(&ctx, "s-1815", "a long enough secret").await.expect("by the new number");
        let amina = amina(&ctx).await;
        let taken = handle(&ctx, &edit(number(Some("S-1815"), amina), 1)).await;
        assert_eq!(code(taken), "STUDENT_NUMBER_TAKEN");
        handle(&ctx, &edit(number(None, ada), 2)).await.expect("given up");
        handle(&ctx, &edit(number(Some("S-1815"), amina), 1)).await.expect("it is free");
        log_in(&ctx, "s-1815", "a long enough secret").await.expect_err("it is not Ada's now");
    }
}
