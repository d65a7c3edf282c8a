//! For this context's tests: calls by the registrar and by others, a term, courses and sections to work on.

use kernel::{Meeting, Weekday};
use shell::{Call, Caller, Failure, Grant, Role, Scope};
use table::Table;

use crate::Ctx;
use crate::domain::Code;
use crate::operations::{
    create_course, create_section, create_term, read_course, read_section, read_term,
};

pub fn ctx(table: &Table) -> Ctx {
    Ctx::new(table.clone())
}

/// A call by somebody in the registrar's office.
pub fn registrar<C>(command: C) -> Call<C> {
    with_role(command, Role::Registrar, Scope::All, None)
}

/// A call by the head of a department.
pub fn head_of<C>(department: &str, command: C) -> Call<C> {
    with_role(command, Role::HeadOfDepartment, Scope::Department, Some(department.to_owned()))
}

/// A call by "ada", who teaches.
pub fn teacher<C>(command: C) -> Call<C> {
    with_role(command, Role::Teacher, Scope::Section, None)
}

fn with_role<C>(command: C, role: Role, scope: Scope, department: Option<String>) -> Call<C> {
    let call = testkit::call(command);
    let grants = vec![Grant { role, department: department.clone() }];
    let caller = call.caller.map(|caller| Caller { grants, ..caller });
    Call { caller, reach: vec![(scope, department)], ..call }
}

/// The same call with the version that the caller has read.
pub fn at_version<C>(version: u64, call: Call<C>) -> Call<C> {
    Call { if_match: Some(version), ..call }
}

pub fn code<R: std::fmt::Debug>(result: Result<R, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refusal)) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}

pub async fn term(ctx: &Ctx, change: impl FnOnce(&mut create_term::Command)) -> read_term::Reply {
    let mut command = create_term::tests::spring();
    change(&mut command);
    create_term::handle(ctx, &registrar(command)).await.expect("a term")
}

pub async fn course(ctx: &Ctx, code: &str, prerequisites: &str) -> read_course::Reply {
    let command = create_course::Command {
        code: Code(code.into()),
        prerequisites: Some(prerequisites.to_owned()),
        ..create_course::tests::calculus()
    };
    create_course::handle(ctx, &registrar(command)).await.expect("a course")
}

/// A section of a course of its own, changed as the test needs it.
pub async fn section(
    ctx: &Ctx,
    term: &read_term::Reply,
    name: &str,
    change: impl FnOnce(&mut create_section::Command),
) -> read_section::Reply {
    let course = course(ctx, &format!("C-{name}"), "").await;
    let mut command = create_section::Command {
        code: Code(name.into()),
        term: term.term.id,
        course: course.id,
        ..create_section::tests::plain()
    };
    change(&mut command);
    create_section::handle(ctx, &registrar(command)).await.expect("a section").section
}

pub fn monday(from: &str, to: &str) -> Meeting {
    Meeting::weekly(
        vec![Weekday::Monday],
        (from.parse().expect("a time"), to.parse().expect("a time")),
        ("2027-02-01".parse().expect("a date"), "2027-06-30".parse().expect("a date")),
    )
}
