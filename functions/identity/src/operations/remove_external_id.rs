//! An id in another system that is a person's no more. Removed before, there is nothing to do.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use crate::Ctx;
use crate::domain::{
    ExternalId, KIND_PATTERN, Refusal, SYSTEM_PATTERN, check_keeper, check_opener,
};
use crate::people::{self, Before};
use crate::store;

pub const ROUTE: Route = Route::delete(
    "remove-external-id",
    "/people/{person}/external-ids",
    KEEPERS,
    "Remove what another system called a person",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
    #[schemars(regex(pattern = SYSTEM_PATTERN))]
    pub system: String,
    /// `id` where it is left out.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = KIND_PATTERN))]
    pub kind: Option<String>,
    #[schemars(length(min = 1, max = 255))]
    pub value: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let Command { person, system, kind, value } = call.command.clone();
    let mut removed = ExternalId::new(&system, &value);
    removed.kind = kind.unwrap_or(removed.kind);
    let removed = removed.checked()?;
    let (before, roles, trail) = store::person_roles_and_trail(&ctx.table, person).await?;
    let before = before.ok_or(Refusal::PersonUnknown)?;
    check_keeper(&call.caller().grants, &roles.0)?;
    if removed.opens_accounts() {
        check_opener(&call.caller().grants)?;
    }
    let mut person = before.value.clone();
    match person.remove_external_id(&removed) {
        Err(Refusal::ExternalIdUnknown) => return Ok(()),
        outcome => outcome?,
    }
    let mut transaction = ctx.table.transaction();
    let known = Before::of(Some(&before), &roles, trail);
    let deed = call.deed(ROUTE.operation);
    people::write(ctx, &mut transaction, known, person, &roles.0, &deed).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::super::add_external_id;
    use super::super::add_external_id::tests::{add, id};
    use super::super::import_people;
    use super::super::register_person::tests::{command, registered};
    use shell::Role;

    use super::*;
    use crate::domain::Identifier;
    use crate::fixtures::{by_administrator, by_staff, code, ctx, imported_ada};

    fn remove(person: PersonId, text: &str) -> Call<Command> {
        let ExternalId { system, kind, value } = id(text);
        by_administrator(Command { person, system, kind: Some(kind), value })
    }

    #[tokio::test]
    async fn a_removed_id_is_free_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let person = registered(&ctx, command("Ada", "King", None)).await;
                for text in ["moodle:academics:17", "student-number:S-1"] {
                    add_external_id::handle(&ctx, &add(person, text)).await.expect("added");
                }
                remove(person, "moodle:academics:17")
            },
            async |table, call| handle(&ctx(table), call).await,
            async |table, _| {
                let ctx = ctx(table);
                let identifier = Identifier::external(&id("moodle:academics:17"));
                assert_eq!(people::holder(table, identifier).await.expect("reads"), None);
                let other = registered(&ctx, command("Max", "Roy", None)).await;
                let call = add(other, "moodle:academics:17");
                add_external_id::handle(&ctx, &call).await.expect("it is free");
                let kept = Identifier::student_number("S-1");
                assert!(people::holder(table, kept).await.expect("reads").is_some());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_somebody_signs_in_by_is_an_administrators_to_remove() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let student = registered(&ctx, command("Ada", "King", None)).await;
        let subject = "idp:university:u-1";
        add_external_id::handle(&ctx, &add(student, subject)).await.expect("added");
        let by_registrar = by_staff(Role::Registrar, remove(student, subject).command);
        assert_eq!(code(handle(&ctx, &by_registrar).await), "SIGN_IN_ID_NOT_YOURS");
        handle(&ctx, &remove(student, subject)).await.expect("removed");
    }

    #[tokio::test]
    async fn what_nobody_has_is_removed_and_the_id_of_an_import_stays() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let rows = import_people::Command { rows: vec![imported_ada()], dry_run: false };
        import_people::handle(&ctx, &testkit::step(rows)).await.expect("imports");
        let ada = imported_ada().source.id();
        handle(&ctx, &remove(ada, "moodle:hr:1")).await.expect("nothing to do");
        let source = format!("oneroster:{}", imported_ada().source.0);
        assert_eq!(code(handle(&ctx, &remove(ada, &source)).await), "EXTERNAL_ID_OF_IMPORT");
        handle(&ctx, &remove(ada, "student-number:s-1815")).await.expect("removed");
    }
}
