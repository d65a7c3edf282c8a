//! A student's overrides, the newest first, with those that are revoked or have expired. The staff see those of their
//! department and those that they gave.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Listing, Role, Route, Scope};

use crate::Ctx;
use crate::domain::Override;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-overrides",
    "/students/{student}/overrides",
    Access::Roles(&[
        Allow { role: Role::Student, scope: Scope::Own },
        Allow { role: Role::Teacher, scope: Scope::Own },
        Allow { role: Role::HeadOfDepartment, scope: Scope::Department },
        Allow { role: Role::Registrar, scope: Scope::All },
        Allow { role: Role::Administrator, scope: Scope::All },
    ]),
    "List a student's overrides, the newest first",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Override>, Failure> {
    let page = ctx.table.query(&store::overrides(call.command.student), &call.page).await?;
    let within = |given: &Override| {
        call.may_touch(given.student, std::slice::from_ref(&given.department))
            || given.given_by == call.person()
    };
    let items = page.records.into_iter().map(|stored| stored.value).filter(within).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use testkit::{TestTable, person};

    use super::super::give_override::{self, tests::registrar, tests::staff};
    use super::*;
    use crate::domain::ItemCode;
    use crate::fixtures::{by, offer};

    #[tokio::test]
    async fn the_student_and_who_answers_for_the_section_see_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", |_| ()).await;
        let given = registrar(ItemCode::Closed, section);
        give_override::handle(&ctx, &given).await.expect("given");
        let command = || Command { student: person("ada") };
        let count =
            async |call: Call<Command>| handle(&ctx, &call).await.expect("lists").items.len();
        assert_eq!(count(testkit::call(command())).await, 1);
        assert_eq!(count(by("bob", testkit::call(command()))).await, 0);
        for (department, seen) in [("MATH", 1), ("PHYS", 0)] {
            let head = staff("head", Role::HeadOfDepartment, Some(department), command());
            assert_eq!(count(head).await, seen);
        }
    }
}
