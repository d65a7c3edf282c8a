//! What was done to a person's records, and who has read them, the newest first. The reading itself is noted first.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Listing, Role, Route, Scope, TrailEntry};

use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::list(
    "read-audit-trail",
    "/people/{person}/audit-trail",
    Access::Roles(&[Allow { role: Role::Administrator, scope: Scope::All }]),
    "Read the audit trail of a person",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub person: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<TrailEntry>, Failure> {
    let person = call.command.person;
    let (known, _, trail) = store::person_roles_and_trail(&ctx.table, person).await?;
    known.ok_or(Refusal::PersonUnknown)?;
    shell::read_trail(&ctx.table, call, trail, ROUTE.operation).await
}

#[cfg(test)]
mod tests {
    use kernel::PersonName;
    use shell::TrailAct;
    use table::PageRequest;

    use super::super::edit_profile;
    use super::*;
    use crate::fixtures::{ada, as_person, by_administrator, code, ctx, trail_of, verified};

    async fn married(ctx: &Ctx) -> PersonId {
        let (_, person) = verified(ctx, ada()).await;
        let name = Some(PersonName { given: "Ada".into(), family: "King".into() });
        let edit = as_person(
            person,
            edit_profile::Command {
                preferred_name: Some(name),
                ..edit_profile::Command::default()
            },
        );
        edit_profile::handle(ctx, &edit).await.expect("edits");
        person
    }

    #[tokio::test]
    async fn whoever_reads_the_trail_stands_in_it_themselves_first() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let person = married(&ctx).await;
        let call = by_administrator(Command { person });
        let trail = handle(&ctx, &call).await.expect("reads").items;
        let told: Vec<_> = trail
            .iter()
            .map(|one| (one.sequence, one.operation.as_str(), one.act, one.actor.clone()))
            .collect();
        let (reader, herself) = (call.person().to_string(), person.to_string());
        let all = [
            (3, "read-audit-trail", TrailAct::Read, reader),
            (2, "edit-profile", TrailAct::Changed, herself.clone()),
            (1, "verify-email", TrailAct::Changed, herself),
        ];
        assert_eq!(told, all);
        let change = &trail[1].changes[0];
        assert_eq!((change.field.as_str(), change.old.as_deref()), ("preferred_name", None));
        assert_eq!(
            (trail[1].chain.clone(), &trail[1].hash),
            (person.to_string(), &trail[0].previous)
        );
        let nobody = by_administrator(Command { person: testkit::person("nobody") });
        assert_eq!(code(handle(&ctx, &nobody).await), "PERSON_UNKNOWN");
    }

    #[tokio::test]
    async fn a_long_trail_is_read_page_by_page() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let person = married(&ctx).await;
        let mut call = by_administrator(Command { person });
        let mut seen = Vec::new();
        for _ in 0..3 {
            call.page = PageRequest { limit: 2, ..call.page };
            let page = handle(&ctx, &call).await.expect("reads");
            seen.extend(page.items.iter().map(|one| one.sequence));
            call.page.after = page.next_cursor;
            if call.page.after.is_none() {
                break;
            }
        }
        assert_eq!(seen, [3, 2, 1], "what was read meanwhile comes before the first page");
    }

    #[tokio::test]
    async fn nothing_of_the_trail_is_read_that_is_not_noted_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| married(&ctx(table)).await,
            async |table, person| {
                let call = by_administrator(Command { person: *person });
                handle(&ctx(table), &call).await.map(drop)
            },
            async |table, person| {
                let entries = trail_of(table, *person).await;
                assert!((3..=4).contains(&entries.len()));
                assert_eq!(entries[2].operation, ROUTE.operation);
            },
        )
        .await;
    }
}
