//! What another system calls a person. It is theirs alone there; added before, it stays as it is.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_person::Reply;
use crate::Ctx;
use crate::domain::{ExternalId, Refusal, check_keeper, check_opener};
use crate::people::{self, Before};
use crate::store;

pub const ROUTE: Route = Route::act(
    "add-external-id",
    "/people/{person}/external-ids",
    KEEPERS,
    "Add what another system calls a person",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
    pub external_id: ExternalId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { person, external_id } = &call.command;
    let (before, roles, trail) = store::person_roles_and_trail(&ctx.table, *person).await?;
    let before = before.ok_or(Refusal::PersonUnknown)?;
    check_keeper(&call.caller().grants, &roles.0)?;
    if external_id.opens_accounts() {
        check_opener(&call.caller().grants)?;
    }
    let mut person = before.value.clone();
    person.add_external_id(external_id.clone())?;
    let mut transaction = ctx.table.transaction();
    let written = if person == before.value {
        before
    } else {
        let known = Before::of(Some(&before), &roles, trail);
        let deed = call.deed(ROUTE.operation);
        people::write(ctx, &mut transaction, known, person, &roles.0, &deed).await?
    };
    let reply = Reply::of(ctx, &written, &roles.0, call.now);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::register_person;
    use super::super::register_person::tests::{command, registered};
    use shell::Role;

    use super::*;
    use crate::domain::Identifier;
    use crate::fixtures::{by_administrator, by_staff, code, ctx};

    pub fn id(text: &str) -> ExternalId {
        ExternalId::read(text, None).expect("an id")
    }

    pub fn add(person: PersonId, text: &str) -> Call<Command> {
        by_administrator(Command { person, external_id: id(text) })
    }

    #[tokio::test]
    async fn an_id_is_added_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let person = registered(&ctx(table), command("Ada", "King", None)).await;
                add(person, "moodle:academics:17")
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let identifier = Identifier::external(&id("moodle:academics:17"));
                let holder = people::holder(table, identifier).await.expect("reads");
                assert_eq!(holder, Some(call.command.person));
                let person = store::person_key(call.command.person);
                let person = table.get(&person).await.expect("reads").expect("she is there");
                assert_eq!((person.version, person.value.external_ids.len()), (2, 1));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_somebody_signs_in_by_is_an_administrators_to_say_whoever_they_are() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for (role, office) in [
            (Some(Role::Teacher), Role::HrOfficer),
            (Some(Role::Student), Role::Registrar),
            // They may be of the staff tomorrow.
            (None, Role::Registrar),
            (None, Role::HrOfficer),
        ] {
            let new = register_person::Command { role, ..command("Ada", "King", None) };
            let person = registered(&ctx, new).await;
            let call = |role, text: &str| by_staff(role, Command { person, external_id: id(text) });
            let subject = format!("idp:university:{person}");
            let mine = handle(&ctx, &call(office, &subject)).await;
            assert_eq!(code(mine), "SIGN_IN_ID_NOT_YOURS", "{role:?}, {office:?}");
            let opens_nothing = format!("other:library:{person}");
            handle(&ctx, &call(office, &opens_nothing)).await.expect("it opens nothing");
            handle(&ctx, &call(Role::Administrator, &subject)).await.expect("adds");
            let second = call(Role::Administrator, "idp:university:another");
            assert_eq!(code(handle(&ctx, &second).await), "EXTERNAL_ID_HELD");
        }
    }

    #[tokio::test]
    async fn an_id_is_one_persons_in_its_system_and_free_in_every_other() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let ada = registered(&ctx, command("Ada", "King", None)).await;
        let max = registered(&ctx, command("Max", "Roy", None)).await;
        for text in ["moodle:academics:17", "idp:university:Sub", "oneroster:U1"] {
            handle(&ctx, &add(ada, text)).await.expect("added");
            handle(&ctx, &add(ada, text)).await.expect("it is hers already");
            assert_eq!(code(handle(&ctx, &add(max, text)).await), "EXTERNAL_ID_TAKEN", "{text}");
        }
        for text in ["moodle:finance:17", "idp:university:sub", "oneroster:u1"] {
            handle(&ctx, &add(max, text)).await.expect("nobody else's");
        }
        handle(&ctx, &add(ada, "staff-number:T-1")).await.expect("added");
        assert_eq!(code(handle(&ctx, &add(max, "staff-number:t-1")).await), "STAFF_NUMBER_TAKEN");
        assert_eq!(code(handle(&ctx, &add(ada, "staff-number:T-2")).await), "EXTERNAL_ID_HELD");
    }
}
