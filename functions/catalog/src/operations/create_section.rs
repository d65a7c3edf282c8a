//! A new section of a course in a term, offered at once.

use kernel::{CourseId, Meeting, TermId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::KEEPERS;
use super::read_section::Reply;
use crate::Ctx;
use crate::domain::{Code, Refusal, Section};
use crate::store::{self, Cause};

pub const ROUTE: Route =
    Route::create("create-section", "/sections", KEEPERS, "Offer a section of a course");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub code: Code,
    pub term: TermId,
    pub course: CourseId,
    #[schemars(range(max = 100_000))]
    pub capacity: u32,
    /// Decides what a credit costs; the bursar keeps the price groups.
    #[schemars(length(min = 1, max = 40))]
    pub price_group: String,
    /// Whether the head of department must approve each registration.
    #[serde(default)]
    pub approval_required: bool,
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub meetings: Vec<Meeting>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { code, term, course, capacity, price_group, approval_required, meetings } =
        call.command.clone();
    let context = store::section_context(&ctx.table, term, course).await?;
    let course_code = context.course.value.code.clone();
    let id = call.new_id();
    let section = Section {
        id,
        code,
        term,
        course,
        course_code,
        capacity,
        price_group,
        approval_required,
        meetings,
    };
    section.check()?;
    let reply = Reply::of(&section, 1);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_section(&mut transaction, &section, &context, None, cause);
    call.keep_reply(&mut transaction, &reply);
    store::commit_new(transaction, Refusal::SectionCodeTaken).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionOffered};
    use kernel::Weekday;

    use super::super::{create_course, create_term, list_sections};
    use super::*;

    async fn calculus_a(ctx: &Ctx) -> Command {
        let term = create_term::handle(ctx, &testkit::call(create_term::tests::spring()))
            .await
            .expect("a term");
        let course = create_course::handle(ctx, &testkit::call(create_course::tests::calculus()))
            .await
            .expect("a course");
        Command {
            code: Code("MATH101-A".into()),
            term: term.id,
            course: course.id,
            capacity: 30,
            price_group: "standard".into(),
            approval_required: false,
            meetings: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_section_is_offered_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| testkit::call(calculus_a(&Ctx { table: table.clone() }).await),
            async |table, call| handle(&Ctx { table: table.clone() }, call).await.map(drop),
            async |table, call| {
                let list = list_sections::Command { term: call.command.term, course_code: None };
                let listed =
                    list_sections::handle(&Ctx { table: table.clone() }, &testkit::call(list))
                        .await;
                assert_eq!(listed.expect("lists").items.len(), 1);
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == SectionOffered::NAME).count(),
                    1
                );
            },
        )
        .await;
    }

    #[tokio::test]
    async fn meetings_that_clash_with_each_other_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = Ctx { table: test.table.clone() };
        let meeting = |from: &str, to: &str| {
            Meeting::weekly(
                vec![Weekday::Monday],
                (from.parse().expect("a time"), to.parse().expect("a time")),
                ("2027-02-01".parse().expect("a date"), "2027-06-30".parse().expect("a date")),
            )
        };
        let command = calculus_a(&ctx).await;
        let twice = Command {
            meetings: vec![meeting("09:00", "11:00"), meeting("10:00", "12:00")],
            ..command.clone()
        };
        let result = handle(&ctx, &testkit::call(twice)).await;
        assert!(
            matches!(result, Err(Failure::Refused(refusal)) if refusal.code() == "MEETINGS_CLASH")
        );
        let backwards = Command { meetings: vec![meeting("11:00", "09:00")], ..command };
        let result = handle(&ctx, &testkit::call(backwards)).await;
        assert!(
            matches!(result, Err(Failure::Refused(refusal)) if refusal.code() == "MEETING_ENDS_BEFORE_IT_BEGINS")
        );
    }
}
