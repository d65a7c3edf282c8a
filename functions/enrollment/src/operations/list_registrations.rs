//! A student's registrations, the newest first.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, ClientScope, Failure, Listing, Route};
use table::Stored;

use super::{STUDENT_OR_REGISTRAR, read_registration};
use crate::Ctx;
use crate::domain::Registration;
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-registrations",
    "/registrations",
    STUDENT_OR_REGISTRAR,
    "List a student's registrations, the newest first",
)
.for_clients(ClientScope::EnrollmentRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Whose; the caller's own where it is not given.
    pub student: Option<PersonId>,
}

pub type Reply = Listing<read_registration::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Ok(Listing { items: Vec::new(), next_cursor: None });
    }
    let page = ctx.table.query(&store::registrations(student), &call.page).await?;
    let terms = page.records.iter().map(|stored| stored.value.term).collect();
    let terms = ctx.terms(terms, call.now).await?;
    let shown = |Stored { value, version }: &Stored<Registration>| {
        let drop_until = value.drop_until(terms.get(&value.term), ctx.time_zone());
        read_registration::Reply::of(value, *version, drop_until)
    };
    let items = page.records.iter().map(shown).collect();
    Ok(Listing { items, next_cursor: page.next })
}
