//! A person's record, for the office that keeps it.

use kernel::{Date, Email, Locale, PersonId, PersonName, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Role, Route};
use table::{Noted, Stored};

use super::KEEPERS;
use crate::Ctx;
use crate::domain::{ExternalId, Person, Refusal, Roles, check_keeper};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-person", "/people/{person}", KEEPERS, "Read the record of a person");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
}

/// A record as its office and its person see it.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Reply {
    pub id: PersonId,
    pub version: u64,
    /// What the person is called today: as they want to be, or else by their legal name.
    pub name: PersonName,
    /// The one that holds today.
    pub legal_name: PersonName,
    /// Every legal name, the earliest first, those that have not begun among them.
    pub legal_names: Vec<LegalName>,
    pub preferred_name: Option<PersonName>,
    pub birth_date: Option<Date>,
    pub pronouns: Option<String>,
    pub email: Option<Email>,
    pub other_emails: Vec<Email>,
    pub locale: Locale,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
    pub external_ids: Vec<ExternalId>,
    /// Whether they have proven their address and can log in.
    pub has_account: bool,
    /// Since when they are in no directory; null where they are.
    pub directory_opt_out: Option<Timestamp>,
    pub roles: Vec<HeldRole>,
}

#[derive(Clone, PartialEq, Serialize, JsonSchema)]
pub struct LegalName {
    pub name: PersonName,
    /// Null of the first one.
    pub valid_from: Option<Date>,
    /// Null where no person did it.
    pub recorded_by: Option<PersonId>,
    /// Whether it holds today.
    pub is_current: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HeldRole {
    pub role: Role,
    pub department: Option<String>,
}

pub fn held_roles(roles: &Roles, now: Timestamp) -> Vec<HeldRole> {
    let held = roles.held(now).map(|assignment| HeldRole {
        role: assignment.role,
        department: assignment.department.clone(),
    });
    held.collect()
}

impl Reply {
    pub fn of(ctx: &Ctx, person: &Stored<Person>, roles: &Roles, now: Timestamp) -> Self {
        let Stored { value, version } = person.clone();
        let today = ctx.today(now);
        Self {
            id: value.id,
            version,
            name: value.shown_name(today).clone(),
            legal_name: value.legal_name(today).clone(),
            legal_names: legal_names(&value, today),
            external_ids: value.all_external_ids(),
            preferred_name: value.preferred_name,
            birth_date: value.birth_date,
            pronouns: value.pronouns,
            email: value.email,
            other_emails: value.other_emails,
            locale: value.locale,
            student_number: value.student_number,
            staff_number: value.staff_number,
            has_account: value.account.is_some(),
            directory_opt_out: value.directory_opt_out,
            roles: held_roles(roles, now),
        }
    }
}

fn legal_names(person: &Person, today: Date) -> Vec<LegalName> {
    let only =
        crate::domain::LegalName { name: person.name.clone(), valid_from: None, recorded_by: None };
    let names = if person.legal_names.is_empty() { &vec![only] } else { &person.legal_names };
    let holding = names.iter().rposition(|one| one.valid_from.is_none_or(|from| from <= today));
    let shown = names.iter().enumerate().map(|(at, one)| LegalName {
        name: one.name.clone(),
        valid_from: one.valid_from,
        recorded_by: one.recorded_by,
        is_current: holding == Some(at),
    });
    shown.collect()
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (person, (roles, _), trail) =
        store::person_roles_and_trail(&ctx.table, call.command.person).await?;
    let person = person.ok_or(Refusal::PersonUnknown)?;
    check_keeper(&call.caller().grants, &roles)?;
    if person.value.id != call.person() {
        let noted = Noted::read("profile");
        shell::note_read(&ctx.table, call, trail, ROUTE.operation, noted).await?;
    }
    Ok(Reply::of(ctx, &person, &roles, call.now))
}

#[cfg(test)]
mod tests {
    use super::super::assign_role;
    use super::*;
    use crate::fixtures::{ada, by_administrator, by_staff, code, ctx, noted, verified};

    #[tokio::test]
    async fn each_office_reads_the_records_that_it_keeps_and_that_is_noted() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        let read = async |role| handle(&ctx, &by_staff(role, Command { person })).await;
        assert_eq!(code(read(Role::HrOfficer).await), "PERSON_NOT_YOURS");
        drop(test.engine.take_calls());
        let reply = read(Role::Registrar).await.expect("a student");
        assert_eq!(test.engine.take_calls().values().sum::<u64>(), 2, "one reads, one notes it");
        assert_eq!((reply.id, reply.has_account, reply.legal_names.len()), (person, true, 1));
        assert!(reply.legal_names[0].is_current);
        assert_eq!(noted(&ctx.table, person, ROUTE.operation).await, ["profile: "]);
        let teacher = assign_role::Command {
            person: Some(person),
            email: None,
            role: Role::Teacher,
            department: None,
            valid_from: None,
            valid_to: None,
        };
        assign_role::handle(&ctx, &by_administrator(teacher)).await.expect("assigned");
        for role in [Role::HrOfficer, Role::Registrar, Role::Administrator] {
            assert_eq!(read(role).await.expect("both are theirs").roles.len(), 2);
        }
    }

    #[tokio::test]
    async fn somebody_whom_nobody_knows_has_no_record() {
        let test = testkit::TestTable::new().await;
        let nobody = by_administrator(Command { person: testkit::person("nobody") });
        assert_eq!(code(handle(&ctx(&test.table), &nobody).await), "PERSON_UNKNOWN");
    }
}
