//! What a student's registrations are judged by.

use kernel::PersonId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, ClientScope, Failure, Route};

use super::STUDENT_OR_REGISTRAR;
use super::set_student_record::Reply;
use crate::Ctx;
use crate::domain::Refusal;
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-student-record",
    "/students/{student}/record",
    STUDENT_OR_REGISTRAR,
    "Read what a student's registrations are judged by",
)
.for_clients(ClientScope::EnrollmentRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub student: PersonId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.command.student;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    let stored = ctx.table.get(&store::known_student_key(student)).await?;
    let version = stored.as_ref().map(|stored| stored.version).unwrap_or_default();
    let record = stored.map(|stored| stored.value.record).unwrap_or_default();
    Ok(Reply { student, version, record })
}

#[cfg(test)]
mod tests {
    use testkit::{TestTable, person};

    use super::*;
    use crate::domain::StudentRecord;
    use crate::fixtures::code;

    #[tokio::test]
    async fn one_reads_one_s_own_record_even_where_nothing_is_known() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let of = |student| testkit::call(Command { student: person(student) });
        let own = handle(&ctx, &of("ada")).await.expect("reads");
        assert_eq!((own.version, own.record), (0, StudentRecord::default()));
        assert_eq!(code(handle(&ctx, &of("bob")).await), "STUDENT_UNKNOWN");
    }
}
