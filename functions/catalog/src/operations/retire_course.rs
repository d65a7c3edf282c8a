//! A course is not offered any more from a day on. Sections that stand are left as they are.

use kernel::{CourseId, Date};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::read_course::Reply;
use super::{KEEPERS, today};
use crate::Ctx;
use crate::domain::Refusal;
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "retire-course",
    "/courses/{course}/retirement",
    KEEPERS,
    "Retire a course from a day on, or take its retirement back",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub course: CourseId,
    /// In terms that begin on this day or later it is not offered; null takes a retirement back.
    pub from: Option<Date>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { course, from } = call.command;
    let key = store::course_key(course);
    let mut stored = ctx.table.get(&key).await?.ok_or(Refusal::CourseUnknown)?;
    if stored.value.retired_from == from {
        return Ok(Reply::of(&stored.value, stored.version, today(call.now)));
    }
    stored.value.retired_from = from;
    let reply = Reply::of(&stored.value, stored.version + 1, today(call.now));
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_course(&mut transaction, &stored.value, Some(stored.version), cause);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::super::{create_section, list_courses};
    use super::*;
    use crate::domain::Code;
    use crate::fixtures::{self, code, ctx, registrar};
    use crate::operations::Standing;

    #[tokio::test]
    async fn a_retired_course_is_not_offered_in_later_terms() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await.term;
        let course = fixtures::course(&ctx, "A", "").await.id;
        let section = |name: &str| create_section::Command {
            code: Code(name.into()),
            term: term.id,
            course,
            ..create_section::tests::plain()
        };
        let retire = async |from: Option<Date>| {
            let call = registrar(Command { course, from });
            handle(&ctx, &call).await.expect("retires").retired_from
        };
        assert_eq!(retire(Some(term.first_day)).await, Some(term.first_day));
        let result = create_section::handle(&ctx, &registrar(section("S1"))).await;
        assert_eq!(code(result), "COURSE_RETIRED");
        retire(Some(term.first_day.tomorrow().expect("a day"))).await;
        create_section::handle(&ctx, &registrar(section("S1"))).await.expect("one term more");
        assert_eq!(retire(None).await, None);
    }

    #[tokio::test]
    async fn the_list_tells_retired_courses_apart() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let old = fixtures::course(&ctx, "OLD", "").await.id;
        fixtures::course(&ctx, "NEW", "").await;
        let from = Some("2026-09-01".parse().expect("a date"));
        handle(&ctx, &registrar(Command { course: old, from })).await.expect("retires");
        let listed = async |standing: Option<Standing>| {
            let command = list_courses::Command { standing, ..list_courses::Command::default() };
            let reply = list_courses::handle(&ctx, &testkit::call(command)).await.expect("lists");
            reply.items.into_iter().map(|course| course.code.0).collect::<Vec<_>>()
        };
        assert_eq!(listed(Some(Standing::Retired)).await, ["OLD"]);
        assert_eq!(listed(Some(Standing::Active)).await, ["NEW"]);
        assert_eq!(listed(None).await, ["NEW", "OLD"]);
    }

    #[tokio::test]
    async fn a_course_is_retired_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let course = fixtures::course(&ctx(table), "A", "").await.id;
                registrar(Command { course, from: Some("2027-09-01".parse().expect("a date")) })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = store::course_key(call.command.course);
                assert_eq!(table.get(&key).await.expect("reads").expect("is there").version, 2);
            },
        )
        .await;
    }
}
