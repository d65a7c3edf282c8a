//! The operations of the catalog, one file each, and what several of them share.

pub mod cancel_registration_group;
pub mod cancel_section;
pub mod create_course;
pub mod create_cross_list;
pub mod create_program;
pub mod create_registration_group;
pub mod create_rollover;
pub mod create_section;
pub mod create_term;
pub mod edit_calendar;
pub mod edit_course;
pub mod edit_cross_list;
pub mod edit_program;
pub mod edit_section;
pub mod edit_term;
pub mod import_catalog;
pub mod list_courses;
pub mod list_cross_lists;
pub mod list_programs;
pub mod list_registration_groups;
pub mod list_sections;
pub mod list_terms;
pub mod move_section;
pub mod move_term;
pub mod on_rollover_advanced;
pub mod read_calendar;
pub mod read_clashes;
pub mod read_course;
pub mod read_program;
pub mod read_rollover;
pub mod read_section;
pub mod read_term;
pub mod retire_course;
pub mod start_rollover;

use kernel::{Date, Requirement, SectionId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, RequestRefusal, Role, Scope};
use table::{Place, Stored, Transaction};

use crate::Ctx;
use crate::domain::{
    self, Code, CrossList, Editor, Refusal, Section, SectionState, StateNote, Term,
};
use crate::store::{self, Cause};

/// Whoever keeps the catalog.
const KEEPERS: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
]);

/// Whoever plans sections: the keepers all of them, heads of department those of their own.
const PLANNERS: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
    Allow { role: Role::HeadOfDepartment, scope: Scope::Department },
]);

/// Whoever plans, and whoever teaches: their own sections.
const PLANNERS_AND_TEACHERS: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
    Allow { role: Role::HeadOfDepartment, scope: Scope::Department },
    Allow { role: Role::Teacher, scope: Scope::Section },
]);

/// Courses and programs that are offered, or that are not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Active,
    Retired,
}

impl Standing {
    fn includes(self, retired: bool) -> bool {
        retired == (self == Self::Retired)
    }
}

/// The day on which versions are looked at. Days in UTC: near midnight a version may begin some hours early or late.
fn today(now: Timestamp) -> Date {
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// As somebody typed them; nothing where they typed nothing.
fn prerequisites(text: Option<&str>) -> Result<Option<Requirement>, Refusal> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(|text| domain::requirement("/prerequisites", text)).transpose()
}

async fn parent_of(ctx: &Ctx, term: &Term) -> Result<Option<Term>, Failure> {
    let Some(parent) = term.parent else { return Ok(None) };
    let parent = ctx.table.get(&store::term_key(parent)).await?;
    Ok(Some(parent.ok_or(Refusal::TermUnknown)?.value))
}

/// As what the caller may change sections of a department.
fn editor<C>(call: &Call<C>, department: &Code) -> Result<Editor, Failure> {
    let of_department = |(scope, held): &(Scope, Option<String>)| {
        *scope == Scope::Department && held.as_ref() == Some(&department.0)
    };
    if call.may_touch_all() {
        Ok(Editor::Central)
    } else if call.reach.iter().any(of_department) {
        Ok(Editor::Department)
    } else {
        Err(RequestRefusal::Forbidden.into())
    }
}

/// Whether the caller sees what is still being planned.
fn is_planner<C>(call: &Call<C>) -> bool {
    let plans =
        |role| matches!(role, Role::Registrar | Role::Administrator | Role::HeadOfDepartment);
    call.caller.as_ref().is_some_and(|caller| caller.grants.iter().any(|grant| plans(grant.role)))
}

/// A section on its way to another state.
struct Move {
    section: SectionId,
    to: SectionState,
    reason: Option<String>,
}

async fn move_section_to<C>(
    ctx: &Ctx,
    call: &Call<C>,
    Move { section, to, reason }: Move,
) -> Result<create_section::Reply, Failure> {
    let stored = ctx.table.get(&store::section_key(section)).await?;
    let stored = stored.ok_or(Refusal::SectionUnknown)?;
    let editor = editor(call, &stored.value.department)?;
    let mut section = stored.value.clone();
    if section.state == to {
        let section = read_section::Reply::of(section, stored.version);
        return Ok(create_section::Reply { section, clashes: Vec::new() });
    }
    let mut context = store::section_context(&ctx.table, section.term, &[&section]).await?;
    let term = context.term.value.state;
    editor.may_add_and_move(term)?;
    section.move_to(to, term, StateNote { by: call.person(), at: call.now, reason })?;
    let clashes = context.book(&section)?;
    let reply = create_section::Reply {
        section: read_section::Reply::of(section, stored.version + 1),
        clashes,
    };
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let sections = [(&reply.section.section, Some(&stored))];
    store::write_sections(&mut transaction, &sections, &context, cause);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

/// Writes a cross-list, and into the sections that come, stay or go that they are on it or not.
async fn put_cross_list<C>(
    ctx: &Ctx,
    call: &Call<C>,
    transaction: &mut Transaction<'_>,
    cross_list: &CrossList,
    before: Option<&Stored<CrossList>>,
) -> Result<Option<Place>, Failure> {
    let mut ids = cross_list.sections.clone();
    let standing = before.map(|before| before.value.sections.clone()).unwrap_or_default();
    ids.extend(standing.into_iter().filter(|id| !cross_list.sections.contains(id)));
    let stored = store::sections_by_id(&ctx.table, &ids).await?;
    let members: Vec<&Section> =
        stored.iter().take(cross_list.sections.len()).map(|stored| &stored.value).collect();
    cross_list.check(&members)?;
    let sections: Vec<Section> =
        stored.iter().map(|stored| listed(&stored.value, cross_list)).collect();
    let mut context =
        store::section_context(&ctx.table, cross_list.term, &sections.iter().collect::<Vec<_>>())
            .await?;
    Editor::Central.may_add_and_move(context.term.value.state)?;
    for section in &sections {
        context.book(section)?;
    }
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let written: Vec<_> = sections.iter().zip(stored.iter().map(Some)).collect();
    store::write_sections(transaction, &written, &context, cause);
    Ok(store::write_cross_list(transaction, cross_list, before.map(|before| before.version)))
}

fn listed(section: &Section, cross_list: &CrossList) -> Section {
    let is_member = cross_list.sections.contains(&section.id);
    Section { cross_listing: is_member.then(|| cross_list.listing()), ..section.clone() }
}
