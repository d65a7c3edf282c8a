//! The caller's own profile.

use kernel::{Date, Email, Locale, PersonId, PersonName, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Role, Route};
use table::Stored;

use crate::Ctx;
use crate::domain::{Person, Refusal, Roles};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-profile", "/me", Access::LoggedIn, "Read your own profile");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Clone, Serialize, JsonSchema)]
pub struct Reply {
    pub id: PersonId,
    pub version: u64,
    /// What you are called today: as you want to be, or else by your legal name.
    pub name: PersonName,
    /// The legal name that holds today.
    pub legal_name: PersonName,
    pub preferred_name: Option<PersonName>,
    pub pronouns: Option<String>,
    pub birth_date: Option<Date>,
    pub email: Option<Email>,
    /// Further ones.
    pub other_emails: Vec<Email>,
    pub locale: Locale,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
    /// Since when you are in no directory; null where you are.
    pub directory_opt_out: Option<Timestamp>,
    pub roles: Vec<HeldRole>,
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
            preferred_name: value.preferred_name,
            pronouns: value.pronouns,
            birth_date: value.birth_date,
            email: value.email,
            other_emails: value.other_emails,
            locale: value.locale,
            student_number: value.student_number,
            staff_number: value.staff_number,
            directory_opt_out: value.directory_opt_out,
            roles: held_roles(roles, now),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let (person, (roles, _)) = store::person_and_roles(&ctx.table, call.person()).await?;
    Ok(Reply::of(ctx, &person.ok_or(Refusal::PersonUnknown)?, &roles, call.now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{ada, as_person, code, ctx, verified};

    #[tokio::test]
    async fn everybody_reads_their_own_profile_in_one_call() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (_, person) = verified(&ctx, ada()).await;
        drop(test.engine.take_calls());
        let reply = handle(&ctx, &as_person(person, Command {})).await.expect("reads");
        assert_eq!(test.engine.take_calls().values().sum::<u64>(), 1);
        assert_eq!((reply.id, reply.version, reply.locale), (person, 1, Locale::Fr));
        assert_eq!(reply.roles, [HeldRole { role: Role::Student, department: None }]);
    }

    #[tokio::test]
    async fn somebody_whom_nobody_knows_has_no_profile() {
        let test = testkit::TestTable::new().await;
        let nobody = testkit::call(Command {});
        assert_eq!(code(handle(&ctx(&test.table), &nobody).await), "PERSON_UNKNOWN");
    }
}
