//! What decides which tuition group a student belongs to.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, ClientScope, Failure, Route};

use super::OWN_OR_STAFF;
use super::set_student_population::Reply;
use crate::Ctx;
use crate::domain::Population;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-student-population",
    "/students/{student}/population",
    OWN_OR_STAFF,
    "Read what decides a student's tuition group",
)
.for_clients(ClientScope::BillingRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.command.student;
    let mine = call.may_touch(student, &[]);
    let stored = ctx.table.get(&store::population_key(student)).await?.filter(|_| mine);
    // Another's is as one that nobody has set.
    Ok(match stored {
        Some(stored) => {
            Reply { student, version: stored.version, population: stored.value.population }
        }
        None => Reply { student, version: 0, population: Population::default() },
    })
}
