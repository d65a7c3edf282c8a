//! Catalog: terms, courses and the sections that students can register for.

pub mod domain;
pub mod operations;
mod store;

use shell::HttpOperation;
use table::Table;

/// What the operations of this context share.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub table: Table,
}

impl Ctx {
    pub fn from_environment() -> Self {
        Self { table: shell::aws::table() }
    }
}

impl shell::Context for Ctx {
    fn table(&self) -> &Table {
        &self.table
    }
}

/// The context's HTTP operations, with the shapes of what goes in and comes out.
pub fn http_operations() -> Vec<HttpOperation> {
    use operations as op;
    const CONTEXT: &str = "catalog";
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
        HttpOperation::of::<op::create_section::Command, op::read_section::Reply>(
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
    ]
}
