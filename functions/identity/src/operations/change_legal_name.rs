//! Another legal name from a day on, past or to come. What was to begin on the same day is replaced, and the name from
//! before takes a change back.

use kernel::{Date, PersonId, PersonName};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_person::Reply;
use crate::Ctx;
use crate::domain::{Refusal, check_keeper, checked_name};
use crate::people::{self, Before};
use crate::store;

pub const ROUTE: Route = Route::act(
    "change-legal-name",
    "/people/{person}/legal-names",
    KEEPERS,
    "Change the legal name of a person from a day on",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
    pub name: PersonName,
    /// A day where the institution is; today where it is left out.
    pub valid_from: Option<Date>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { person, name, valid_from } = &call.command;
    let (before, roles, trail) = store::person_roles_and_trail(&ctx.table, *person).await?;
    let before = before.ok_or(Refusal::PersonUnknown)?;
    check_keeper(&call.caller().grants, &roles.0)?;
    let mut person = before.value.clone();
    let valid_from = valid_from.unwrap_or_else(|| ctx.today(call.now));
    person.change_legal_name(checked_name(name)?, valid_from, Some(call.person()))?;
    let mut transaction = ctx.table.transaction();
    let known = Before::of(Some(&before), &roles, trail);
    let deed = call.deed(ROUTE.operation);
    let written = people::write(ctx, &mut transaction, known, person, &roles.0, &deed).await?;
    let reply = Reply::of(ctx, &written, &roles.0, call.now);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use events::{Event, PersonChanged};
    use jiff::civil::date;
    use shell::Role;

    use super::super::register_person::tests::{command, registered, told};
    use super::*;
    use crate::fixtures::{by_administrator, by_staff, code, ctx};

    pub fn king(person: PersonId, valid_from: Option<Date>) -> Call<Command> {
        let name = PersonName { given: "Ada".into(), family: "King".into() };
        by_administrator(Command { person, name, valid_from })
    }

    pub async fn ada(ctx: &Ctx) -> PersonId {
        registered(ctx, command("Ada", "Byron", Some("ada@matricula.example"))).await
    }

    #[tokio::test]
    async fn a_name_that_holds_is_told_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| king(ada(&ctx(table)).await, None),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                assert_eq!(told(table, PersonChanged::NAME).await, 1);
                let person = store::person_key(call.command.person);
                let person = table.get(&person).await.expect("reads").expect("she is there").value;
                assert_eq!((person.name.family.as_str(), person.legal_names.len()), ("King", 2));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_name_that_is_to_begin_is_kept_and_not_told() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let person = ada(&ctx).await;
        let reply = handle(&ctx, &king(person, Some(date(2027, 7, 8)))).await.expect("changes");
        assert_eq!(reply.legal_name.family, "Byron");
        let names: Vec<_> = reply
            .legal_names
            .iter()
            .map(|one| (one.name.family.as_str(), one.valid_from, one.is_current))
            .collect();
        assert_eq!(names, [("Byron", None, true), ("King", Some(date(2027, 7, 8)), false)]);
        assert_eq!(told(&test.table, PersonChanged::NAME).await, 0);
    }

    #[tokio::test]
    async fn the_day_is_that_of_the_institution() {
        let test = testkit::TestTable::new().await;
        let zone = jiff::tz::TimeZone::get("Pacific/Auckland").expect("a zone");
        let ctx = Ctx { time_zone: zone.into(), ..ctx(&test.table) };
        let person = ada(&ctx).await;
        // Half past eight in the evening of the 15th in UTC is the 16th in Auckland.
        let mut call = king(person, Some(date(2027, 1, 16)));
        call.now = "2027-01-15T20:30:00Z".parse().expect("a timestamp");
        assert_eq!(handle(&ctx, &call).await.expect("changes").legal_name.family, "King");
    }

    #[tokio::test]
    async fn the_office_that_keeps_the_record_changes_the_name() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let command = king(ada(&ctx).await, None).command;
        let hr = by_staff(Role::HrOfficer, command.clone());
        assert_eq!(code(handle(&ctx, &hr).await), "PERSON_NOT_YOURS");
        handle(&ctx, &by_staff(Role::Registrar, command)).await.expect("a student");
        let nobody = king(testkit::person("nobody"), None);
        assert_eq!(code(handle(&ctx, &nobody).await), "PERSON_UNKNOWN");
    }
}
