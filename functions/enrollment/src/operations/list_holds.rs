//! A student's holds, the newest first, with those that are lifted or have ended.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, ClientScope, Failure, Listing, Role, Route, Scope};

use crate::Ctx;
use crate::domain::Hold;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-holds",
    "/students/{student}/holds",
    Access::Roles(&[
        Allow { role: Role::Student, scope: Scope::Own },
        Allow { role: Role::Registrar, scope: Scope::All },
        Allow { role: Role::Bursar, scope: Scope::All },
    ]),
    "List a student's holds, the newest first",
)
.for_clients(ClientScope::EnrollmentRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Listing<Hold>, Failure> {
    if !call.may_touch(call.command.student, &[]) {
        return Ok(Listing { items: Vec::new(), next_cursor: None });
    }
    let page = ctx.table.query(&store::holds(call.command.student), &call.page).await?;
    let items = page.records.into_iter().map(|stored| stored.value).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use shell::Role;
    use table::PageRequest;
    use testkit::person;

    use super::super::place_hold::{self, tests::office, tests::on};
    use super::*;
    use crate::domain::HoldKind;

    #[tokio::test]
    async fn one_sees_one_s_own_holds_page_by_page() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        for kind in [HoldKind::Academic, HoldKind::Administrative, HoldKind::Disciplinary] {
            let call = office(Role::Registrar, on("ada", kind));
            place_hold::handle(&ctx, &call).await.expect("held");
        }
        let mut list = testkit::call(Command { student: person("ada") });
        list.page = PageRequest { after: None, limit: 2 };
        let first = handle(&ctx, &list).await.expect("lists");
        assert_eq!(first.items.len(), 2);
        list.page.after = first.next_cursor;
        assert_eq!(handle(&ctx, &list).await.expect("lists").items.len(), 1);
        let of_other = testkit::call(Command { student: person("bob") });
        place_hold::handle(&ctx, &office(Role::Registrar, on("bob", HoldKind::Academic)))
            .await
            .expect("held");
        assert_eq!(handle(&ctx, &of_other).await.expect("lists").items, []);
    }
}
