//! Enrollment: seats, submissions, registrations and the saga that carries each bundle to its end.

pub mod domain;
#[cfg(test)]
mod fixtures;
mod machine;
pub mod operations;
mod store;

use std::sync::OnceLock;

use machine::Machine;
use shell::HttpOperation;
use table::Table;

/// What the operations of this context share.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub table: Table,
    machine: OnceLock<Machine>,
}

impl Ctx {
    pub fn new(table: Table) -> Self {
        Self { table, machine: OnceLock::new() }
    }

    #[cfg(test)]
    fn with_machine(test: &testkit::TestTable, machine: &testkit::StepFunctions) -> Self {
        let machine = Machine::at(&machine.sdk_config(&test.engine));
        Self { table: test.table.clone(), machine: machine.into() }
    }

    pub fn from_environment() -> Self {
        Self::new(shell::aws::table())
    }

    /// Built when the first operation needs it: most do not.
    pub(crate) fn machine(&self) -> &Machine {
        self.machine.get_or_init(Machine::from_environment)
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
    const CONTEXT: &str = "enrollment";
    vec![
        HttpOperation::of::<op::submit::Command, op::submit::Reply>(CONTEXT, op::submit::ROUTE),
        HttpOperation::of::<op::read_submission::Command, op::read_submission::Reply>(
            CONTEXT,
            op::read_submission::ROUTE,
        ),
        HttpOperation::of::<op::list_registrations::Command, op::list_registrations::Reply>(
            CONTEXT,
            op::list_registrations::ROUTE,
        ),
        HttpOperation::of::<op::read_registration::Command, op::read_registration::Reply>(
            CONTEXT,
            op::read_registration::ROUTE,
        ),
        HttpOperation::of::<op::drop_registration::Command, op::read_registration::Reply>(
            CONTEXT,
            op::drop_registration::ROUTE,
        ),
        HttpOperation::of::<op::list_approvals::Command, op::list_approvals::Reply>(
            CONTEXT,
            op::list_approvals::ROUTE,
        ),
        HttpOperation::of::<op::decide_approval::Command, op::list_approvals::Item>(
            CONTEXT,
            op::decide_approval::ROUTE,
        ),
        HttpOperation::of::<op::list_parked_bundles::Command, op::list_parked_bundles::Reply>(
            CONTEXT,
            op::list_parked_bundles::ROUTE,
        ),
        HttpOperation::of::<op::resume_bundle::Command, op::read_submission::BundleProgress>(
            CONTEXT,
            op::resume_bundle::ROUTE,
        ),
    ]
}
