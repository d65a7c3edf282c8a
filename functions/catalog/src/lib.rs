//! Catalog: terms, courses and the sections that students can register for.

pub mod domain;
#[cfg(test)]
mod fixtures;
pub mod operations;
mod store;

use jiff::SignedDuration;
use kernel::{TermId, Timestamp};
use shell::{Failure, HttpOperation, Remembered};
use table::Table;

/// What the operations of this context share.
#[derive(Debug)]
pub struct Ctx {
    pub table: Table,
    public_terms: Remembered<TermId, bool>,
}

impl Ctx {
    pub fn new(table: Table) -> Self {
        const KEPT: SignedDuration = SignedDuration::from_secs(25);
        const TERMS_MAX: usize = 1_000;
        Self { table, public_terms: Remembered::new(KEPT, TERMS_MAX) }
    }

    pub fn from_environment() -> Self {
        Self::new(shell::aws::table())
    }

    /// Whether those who do not plan see a term's sections. Only that they do is remembered: it stays so.
    pub(crate) async fn is_public(&self, term: TermId, now: Timestamp) -> Result<bool, Failure> {
        if let Some(known) = self.public_terms.get(&term, now) {
            return Ok(known);
        }
        let read = self.table.get(&store::term_key(term)).await?;
        let is_public = read.is_some_and(|term| term.value.is_public());
        if is_public {
            self.public_terms.keep(term, true, now);
        }
        Ok(is_public)
    }
}

impl shell::Context for Ctx {
    fn table(&self) -> &Table {
        &self.table
    }
}

/// The context's HTTP operations, with the shapes of what goes in and comes out.
pub fn http_operations() -> Vec<HttpOperation> {
    let groups = [terms_and_courses(), sections(), linked_sections()];
    groups.into_iter().flatten().collect()
}

const CONTEXT: &str = "catalog";

fn terms_and_courses() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::create_term::Command, op::read_term::Reply>(
            CONTEXT,
            op::create_term::ROUTE,
        ),
        HttpOperation::of::<op::list_terms::Command, op::list_terms::Reply>(
            CONTEXT,
            op::list_terms::ROUTE,
        ),
        HttpOperation::of::<op::read_term::Command, op::read_term::Reply>(
            CONTEXT,
            op::read_term::ROUTE,
        ),
        HttpOperation::of::<op::edit_term::Command, op::read_term::Reply>(
            CONTEXT,
            op::edit_term::ROUTE,
        ),
        HttpOperation::of::<op::move_term::Command, op::read_term::Reply>(
            CONTEXT,
            op::move_term::ROUTE,
        ),
        HttpOperation::of::<op::read_calendar::Command, op::read_calendar::Reply>(
            CONTEXT,
            op::read_calendar::ROUTE,
        ),
        HttpOperation::of::<op::edit_calendar::Command, op::read_calendar::Reply>(
            CONTEXT,
            op::edit_calendar::ROUTE,
        ),
        HttpOperation::of::<op::create_program::Command, op::read_program::Reply>(
            CONTEXT,
            op::create_program::ROUTE,
        ),
        HttpOperation::of::<op::list_programs::Command, op::list_programs::Reply>(
            CONTEXT,
            op::list_programs::ROUTE,
        ),
        HttpOperation::of::<op::read_program::Command, op::read_program::Reply>(
            CONTEXT,
            op::read_program::ROUTE,
        ),
        HttpOperation::of::<op::edit_program::Command, op::read_program::Reply>(
            CONTEXT,
            op::edit_program::ROUTE,
        ),
        HttpOperation::of::<op::create_course::Command, op::read_course::Reply>(
            CONTEXT,
            op::create_course::ROUTE,
        ),
        HttpOperation::of::<op::list_courses::Command, op::list_courses::Reply>(
            CONTEXT,
            op::list_courses::ROUTE,
        ),
        HttpOperation::of::<op::read_course::Command, op::read_course::Reply>(
            CONTEXT,
            op::read_course::ROUTE,
        ),
        HttpOperation::of::<op::edit_course::Command, op::read_course::Reply>(
            CONTEXT,
            op::edit_course::ROUTE,
        ),
        HttpOperation::of::<op::retire_course::Command, op::read_course::Reply>(
            CONTEXT,
            op::retire_course::ROUTE,
        ),
    ]
}

fn sections() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::create_section::Command, op::create_section::Reply>(
            CONTEXT,
            op::create_section::ROUTE,
        ),
        HttpOperation::of::<op::list_sections::Command, op::list_sections::Reply>(
            CONTEXT,
            op::list_sections::ROUTE,
        ),
        HttpOperation::of::<op::read_section::Command, op::read_section::Reply>(
            CONTEXT,
            op::read_section::ROUTE,
        ),
        HttpOperation::of::<op::edit_section::Command, op::create_section::Reply>(
            CONTEXT,
            op::edit_section::ROUTE,
        ),
        HttpOperation::of::<op::move_section::Command, op::create_section::Reply>(
            CONTEXT,
            op::move_section::ROUTE,
        ),
        HttpOperation::of::<op::cancel_section::Command, op::create_section::Reply>(
            CONTEXT,
            op::cancel_section::ROUTE,
        ),
        HttpOperation::of::<op::read_clashes::Command, op::read_clashes::Reply>(
            CONTEXT,
            op::read_clashes::ROUTE,
        ),
    ]
}

fn linked_sections() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<
            op::create_registration_group::Command,
            op::list_registration_groups::Group,
        >(CONTEXT, op::create_registration_group::ROUTE),
        HttpOperation::of::<
            op::list_registration_groups::Command,
            op::list_registration_groups::Reply,
        >(CONTEXT, op::list_registration_groups::ROUTE),
        HttpOperation::of::<
            op::cancel_registration_group::Command,
            op::list_registration_groups::Group,
        >(CONTEXT, op::cancel_registration_group::ROUTE),
        HttpOperation::of::<op::create_cross_list::Command, op::list_cross_lists::Listed>(
            CONTEXT,
            op::create_cross_list::ROUTE,
        ),
        HttpOperation::of::<op::list_cross_lists::Command, op::list_cross_lists::Reply>(
            CONTEXT,
            op::list_cross_lists::ROUTE,
        ),
        HttpOperation::of::<op::edit_cross_list::Command, op::list_cross_lists::Listed>(
            CONTEXT,
            op::edit_cross_list::ROUTE,
        ),
        HttpOperation::of::<op::create_rollover::Command, op::read_rollover::Reply>(
            CONTEXT,
            op::create_rollover::ROUTE,
        ),
        HttpOperation::of::<op::read_rollover::Command, op::read_rollover::Reply>(
            CONTEXT,
            op::read_rollover::ROUTE,
        ),
        HttpOperation::of::<op::start_rollover::Command, op::read_rollover::Reply>(
            CONTEXT,
            op::start_rollover::ROUTE,
        ),
    ]
}
