//! A new course.

use kernel::CourseId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_course::Reply;
use crate::Ctx;
use crate::domain::{Code, Course, Refusal};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create("create-course", "/courses", KEEPERS, "Create a course");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// Hundredths of a credit: 450 is 4.5 credits.
    #[schemars(range(max = 10_000))]
    pub credits_hundredths: u32,
    pub department: Code,
    /// Courses to be taken before or together with this one.
    #[serde(default)]
    #[schemars(length(max = 20), extend("uniqueItems" = true))]
    pub corequisites: Vec<CourseId>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { code, title, credits_hundredths, department, corequisites } =
        call.command.clone();
    if !store::courses_exist(&ctx.table, &corequisites).await? {
        return Err(Refusal::CorequisiteUnknown.into());
    }
    let course =
        Course { id: call.new_id(), code, title, credits_hundredths, department, corequisites };
    let reply = Reply::of(&course, 1);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_course(&mut transaction, &course, None, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, Refusal::CourseCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::Id;
    use table::PageRequest;

    use super::*;

    pub fn calculus() -> Command {
        Command {
            code: Code("MATH101".into()),
            title: "Calculus I".into(),
            credits_hundredths: 600,
            department: Code("MATH".into()),
            corequisites: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_course_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::call(calculus()),
            async |table, call| handle(&Ctx { table: table.clone() }, call).await.map(drop),
            async |table, _| {
                let courses =
                    table.query(&store::courses(""), &PageRequest::default()).await.expect("lists");
                assert_eq!(courses.records.len(), 1);
                assert_eq!(testkit::published(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_corequisite_must_be_a_course() {
        let test = testkit::TestTable::new().await;
        let command =
            Command { corequisites: vec![CourseId::derived_from("nothing")], ..calculus() };
        let result = handle(&Ctx { table: test.table.clone() }, &testkit::call(command)).await;
        assert!(
            matches!(result, Err(Failure::Refused(refusal)) if refusal.code() == "COREQUISITE_UNKNOWN")
        );
    }
}
