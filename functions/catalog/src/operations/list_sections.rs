//! Sections of a term, by course.

use kernel::{PersonId, TermId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, ClientScope, Failure, Listing, Route};

use super::{is_planner, read_section};
use crate::Ctx;
use crate::domain::{Code, Section, SectionState};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-sections",
    "/sections",
    Access::LoggedIn,
    "List the sections of a term by course",
)
.for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// Only sections of this course.
    pub course_code: Option<Code>,
    /// Only sections of this department.
    pub department: Option<Code>,
    /// Only sections in this state.
    pub state: Option<SectionState>,
    /// Only sections that this person teaches.
    pub teacher: Option<PersonId>,
}

impl Command {
    /// All sections of a term.
    pub fn of(term: TermId) -> Self {
        Self { term, course_code: None, department: None, state: None, teacher: None }
    }
}

pub type Reply = Listing<read_section::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, course_code, department, state, teacher } = call.command.clone();
    let partition = store::sections(term, course_code.as_ref());
    let planner = is_planner(call);
    let is_wanted = |section: &Section| {
        (planner || section.is_public())
            && department.as_ref().is_none_or(|department| section.department == *department)
            && state.is_none_or(|state| section.state == state)
            && teacher.is_none_or(|teacher| section.teachers.contains(&teacher))
    };
    let page = store::page_of(&ctx.table, &partition, &call.page, is_wanted);
    let page = if planner {
        page.await?
    } else {
        // Two reads at once: a term that is still planned shows nothing to those who do not plan it.
        let (page, is_public) = tokio::join!(page, ctx.is_public(term, call.now));
        if !is_public? {
            return Ok(Listing { items: Vec::new(), next_cursor: None });
        }
        page?
    };
    let shown = |section: Section| if planner { section } else { section.for_the_public() };
    let items = page.records.into_iter();
    let items = items.map(|section| read_section::Reply::of(shown(section.value), section.version));
    Ok(Listing { items: items.collect(), next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use super::super::create_section::FirstState;
    use super::*;
    use crate::fixtures::{self, ctx, registrar};

    #[tokio::test]
    async fn sections_are_found_by_course_department_state_and_teacher() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let term = fixtures::term(&ctx, |_| ()).await;
        let teacher = testkit::person("teacher");
        fixtures::section(&ctx, &term, "A", |section| section.teachers = vec![teacher]).await;
        fixtures::section(&ctx, &term, "B", |section| section.state = FirstState::Draft).await;
        let listed = async |change: fn(&mut Command)| {
            let mut command = Command::of(term.term.id);
            change(&mut command);
            let reply = handle(&ctx, &registrar(command)).await.expect("lists");
            reply.items.into_iter().map(|item| item.section.code.0).collect::<Vec<_>>()
        };
        assert_eq!(listed(|_| ()).await, ["A", "B"]);
        assert_eq!(listed(|command| command.state = Some(SectionState::Draft)).await, ["B"]);
        let of_course = listed(|command| command.course_code = Some(Code("C-A".into())));
        assert_eq!(of_course.await, ["A"]);
        let by_teacher = listed(|command| command.teacher = Some(testkit::person("teacher")));
        assert_eq!(by_teacher.await, ["A"]);
        let elsewhere = listed(|command| command.department = Some(Code("LAW".into())));
        assert_eq!(elsewhere.await, Vec::<String>::new());
    }
}
