//! Moodle: people, courses and enrolments provisioned into the university's Moodle sites, and kept in step.

mod check;
pub mod client;
pub mod domain;
#[cfg(test)]
mod fixtures;
pub mod operations;
mod store;
pub mod sync;
mod token;

use std::sync::OnceLock;
use std::time::Duration;

use jiff::tz::TimeZone;
use shell::{HttpOperation, Reachable};
use table::Table;

pub use token::Tokens;

/// What the operations of this context share. Whatever only some of them need is built when it is first needed.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub table: Table,
    pub tokens: Tokens,
    reply_timeout: Duration,
    time_zone: OnceLock<TimeZone>,
    reachable: OnceLock<Reachable>,
    http: OnceLock<reqwest::Client>,
}

impl Ctx {
    pub fn from_environment() -> Self {
        Self::new(shell::aws::table(), Tokens::SecretsManager, client::REPLY_TIMEOUT)
    }

    pub fn new(table: Table, tokens: Tokens, reply_timeout: Duration) -> Self {
        let (time_zone, reachable, http) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { table, tokens, reply_timeout, time_zone, reachable, http }
    }

    /// By which the institution's nights fall.
    pub(crate) fn time_zone(&self) -> &TimeZone {
        self.time_zone.get_or_init(|| {
            TimeZone::get(&shell::required_environment("TIME_ZONE"))
                .expect("TIME_ZONE is one of the IANA time zones")
        })
    }

    /// Where a site may be.
    pub(crate) fn reachable(&self) -> Reachable {
        *self.reachable.get_or_init(Reachable::of_environment)
    }

    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.get_or_init(|| client::http(self.reply_timeout, self.reachable())).clone()
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
    const CONTEXT: &str = "moodle";
    vec![
        HttpOperation::of::<op::set_site::Command, op::read_site::Reply>(
            CONTEXT,
            op::set_site::ROUTE,
        ),
        HttpOperation::of::<op::list_sites::Command, op::list_sites::Reply>(
            CONTEXT,
            op::list_sites::ROUTE,
        ),
        HttpOperation::of::<op::read_site::Command, op::read_site::Reply>(
            CONTEXT,
            op::read_site::ROUTE,
        ),
        HttpOperation::of::<op::check_site::Command, op::check_site::Reply>(
            CONTEXT,
            op::check_site::ROUTE,
        ),
        HttpOperation::of::<op::list_stuck_work::Command, op::list_stuck_work::Reply>(
            CONTEXT,
            op::list_stuck_work::ROUTE,
        ),
        HttpOperation::of::<op::read_accounts::Command, op::read_accounts::Reply>(
            CONTEXT,
            op::read_accounts::ROUTE,
        ),
        HttpOperation::of::<op::replay_site::Command, op::replay_site::Reply>(
            CONTEXT,
            op::replay_site::ROUTE,
        ),
        HttpOperation::of::<op::start_drift_check::Command, op::start_drift_check::Reply>(
            CONTEXT,
            op::start_drift_check::ROUTE,
        ),
        HttpOperation::of::<op::read_drift_report::Command, op::read_drift_report::Reply>(
            CONTEXT,
            op::read_drift_report::ROUTE,
        ),
        HttpOperation::of::<op::list_drift::Command, op::list_drift::Reply>(
            CONTEXT,
            op::list_drift::ROUTE,
        ),
        HttpOperation::of::<op::repair_drift::Command, op::repair_drift::Reply>(
            CONTEXT,
            op::repair_drift::ROUTE,
        ),
        HttpOperation::of::<op::start_reading::Command, op::start_reading::Reply>(
            CONTEXT,
            op::start_reading::ROUTE,
        ),
        HttpOperation::of::<op::list_results::Command, op::list_results::Reply>(
            CONTEXT,
            op::list_results::ROUTE,
        ),
        HttpOperation::of::<op::receive_webhook::Command, op::receive_webhook::Reply>(
            CONTEXT,
            op::receive_webhook::ROUTE,
        ),
        HttpOperation::of::<op::list_audit_entries::Command, op::list_audit_entries::Reply>(
            CONTEXT,
            op::list_audit_entries::ROUTE,
        ),
    ]
}
