//! Operations: what keeps the rest running. Events on their way to the bus and into the archive, health, the API's own
//! pages, and imports of whole universities.

pub mod bus;
pub mod domain;
pub mod machine;
pub mod oneroster;
pub mod operations;
pub mod page;
mod people_file;
mod store;
#[cfg(test)]
mod stub;

use bucket::Bucket;
use shell::HttpOperation;
use table::Table;

use crate::bus::{Bus, Outboxes};
use crate::machine::Machine;

/// What the operations of this context share. All but the table is built when it is first used.
#[derive(Debug)]
pub struct Ctx {
    pub table: Table,
    pub bus: Bus,
    pub outboxes: Outboxes,
    /// Every event, for good.
    pub events: Bucket,
    /// Uploaded files and the chunks made of them.
    pub imports: Bucket,
    pub import_machine: Machine,
}

impl Ctx {
    pub fn from_environment() -> Self {
        Self {
            table: shell::aws::table(),
            bus: Bus::from_environment(),
            outboxes: Outboxes::from_environment(),
            events: Bucket::from_environment("EVENTS_BUCKET"),
            imports: Bucket::from_environment("IMPORTS_BUCKET"),
            import_machine: Machine::from_environment("IMPORT_STATE_MACHINE_ARN"),
        }
    }
}

impl shell::Context for Ctx {
    fn table(&self) -> &Table {
        &self.table
    }
}

/// The API as one document, as the build found it.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// The context's HTTP operations, with the shapes of what goes in and comes out. `not-found` is none of them:
/// it stands
/// for every address that there is not.
pub fn http_operations() -> Vec<HttpOperation> {
    use operations as op;
    const CONTEXT: &str = "operations";
    vec![
        HttpOperation::of::<op::health::Command, op::health::Reply>(CONTEXT, op::health::ROUTE),
        HttpOperation::of::<op::readiness::Command, op::readiness::Reply>(
            CONTEXT,
            op::readiness::ROUTE,
        ),
        HttpOperation::without_reply_schema::<op::openapi::Command>(CONTEXT, op::openapi::ROUTE),
        HttpOperation::without_reply_schema::<op::api_page::Command>(CONTEXT, op::api_page::ROUTE),
        HttpOperation::of::<op::create_import::Command, op::create_import::Reply>(
            CONTEXT,
            op::create_import::ROUTE,
        ),
        HttpOperation::of::<op::start_import::Command, op::start_import::Reply>(
            CONTEXT,
            op::start_import::ROUTE,
        ),
        HttpOperation::of::<op::read_import::Command, op::read_import::Reply>(
            CONTEXT,
            op::read_import::ROUTE,
        ),
        HttpOperation::of::<op::list_import_report::Command, op::list_import_report::Reply>(
            CONTEXT,
            op::list_import_report::ROUTE,
        ),
        HttpOperation::of::<op::approve_import::Command, op::approve_import::Reply>(
            CONTEXT,
            op::approve_import::ROUTE,
        ),
    ]
}
