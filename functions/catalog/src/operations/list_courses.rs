//! Courses by code.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Call, ClientScope, Failure, Listing, Route};

use super::{Standing, read_course, today};
use crate::Ctx;
use crate::domain::{Code, Course};
use crate::store;

pub const ROUTE: Route =
    Route::list("list-courses", "/courses", Access::LoggedIn, "List the courses by code")
        .for_clients(ClientScope::CatalogRead);

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Only courses whose code begins like this.
    pub code_prefix: Option<Code>,
    /// Only courses of this department.
    pub department: Option<Code>,
    /// Only courses that are offered, or only those that are not any more.
    pub standing: Option<Standing>,
}

pub type Reply = Listing<read_course::Reply>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { code_prefix, department, standing } = &call.command;
    let today = today(call.now);
    let prefix = code_prefix.as_ref().map_or("", |code| code.0.as_str());
    let is_wanted = |course: &Course| {
        department.as_ref().is_none_or(|department| course.on(today).department == department.0)
            && standing.is_none_or(|standing| standing.includes(course.is_retired_on(today)))
    };
    let page = store::page_of(&ctx.table, &store::courses(prefix), &call.page, is_wanted).await?;
    let replies = page
        .records
        .iter()
        .map(|course| read_course::Reply::of(&course.value, course.version, today));
    Ok(Listing { items: replies.collect(), next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::super::create_course;
    use super::*;
    use crate::fixtures::{self, ctx, registrar};

    #[tokio::test]
    async fn a_filter_leaves_out_what_is_not_wanted_on_every_page() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        for number in 0..6 {
            let department = if number % 2 == 0 { "MATH" } else { "LAW" };
            let command = create_course::Command {
                code: Code(format!("C{number}")),
                department: Code(department.into()),
                ..create_course::tests::calculus()
            };
            create_course::handle(&ctx, &registrar(command)).await.expect("a course");
        }
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let command = Command { department: Some(Code("LAW".into())), ..Command::default() };
            let page = PageRequest { after, limit: 1 };
            let reply =
                handle(&ctx, &Call { page, ..testkit::call(command) }).await.expect("lists");
            seen.extend(reply.items.into_iter().map(|course| course.code.0));
            match reply.next_cursor {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ["C1", "C3", "C5"]);
    }

    #[tokio::test]
    async fn a_catalog_without_courses_has_an_empty_list() {
        let test = testkit::TestTable::new().await;
        let reply = handle(&fixtures::ctx(&test.table), &testkit::call(Command::default())).await;
        let reply = reply.expect("lists");
        assert_eq!((reply.items, reply.next_cursor), (Vec::new(), None));
    }
}
