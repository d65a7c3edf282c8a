//! Billing: what registrations cost, the invoices for it, the payments of them, and the ledger of it all.

mod bookkeeping;
mod conclusion;
pub mod domain;
#[cfg(test)]
mod fixtures;
pub mod operations;
pub mod provider;
pub mod secret;
mod signature;
mod store;
mod task_tokens;

use std::sync::{Arc, OnceLock};

use domain::Institution;
use jiff::tz::TimeZone;
use provider::{PaymentProvider, Stripe};
use secret::Secret;
use shell::HttpOperation;
use table::Table;

/// What the operations of this context share. Whatever only some of them need is built when it is first needed.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub table: Table,
    pub provider: Arc<dyn PaymentProvider>,
    /// Signs the provider's webhooks.
    pub webhook_secret: Secret,
    institution: OnceLock<Institution>,
    step_functions: OnceLock<aws_sdk_sfn::Client>,
}

impl Ctx {
    pub fn from_environment() -> Self {
        let webhook_secret = Secret::Environment("PAYMENT_WEBHOOK_SECRET");
        Self::new(shell::aws::table(), Arc::new(Stripe::from_environment()), webhook_secret)
    }

    pub fn new(table: Table, provider: Arc<dyn PaymentProvider>, webhook_secret: Secret) -> Self {
        Self {
            table,
            provider,
            webhook_secret,
            institution: OnceLock::new(),
            step_functions: OnceLock::new(),
        }
    }

    /// The same context for another institution than the environment names.
    #[must_use]
    pub fn of(self, institution: Institution) -> Self {
        Self { institution: OnceLock::from(institution), ..self }
    }

    pub(crate) fn institution(&self) -> &Institution {
        self.institution.get_or_init(|| {
            let setting = shell::required_environment;
            Institution {
                legal_entity: setting("LEGAL_ENTITY"),
                time_zone: TimeZone::get(&setting("TIME_ZONE"))
                    .expect("TIME_ZONE is one of the IANA time zones"),
                fiscal_year_first_month: setting("FISCAL_YEAR_FIRST_MONTH")
                    .parse()
                    .expect("FISCAL_YEAR_FIRST_MONTH is a number from 1 to 12"),
                payment_terms_days: setting("PAYMENT_TERMS_DAYS")
                    .parse()
                    .expect("PAYMENT_TERMS_DAYS is a number of days"),
            }
        })
    }

    pub(crate) fn step_functions(&self) -> &aws_sdk_sfn::Client {
        self.step_functions.get_or_init(|| aws_sdk_sfn::Client::new(shell::aws::sdk_config()))
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
    const CONTEXT: &str = "billing";
    vec![
        HttpOperation::of::<op::set_price_group::Command, op::set_price_group::Reply>(
            CONTEXT,
            op::set_price_group::ROUTE,
        ),
        HttpOperation::of::<op::list_price_groups::Command, op::list_price_groups::Reply>(
            CONTEXT,
            op::list_price_groups::ROUTE,
        ),
        HttpOperation::of::<op::list_invoices::Command, op::list_invoices::Reply>(
            CONTEXT,
            op::list_invoices::ROUTE,
        ),
        HttpOperation::of::<op::read_invoice::Command, op::read_invoice::Reply>(
            CONTEXT,
            op::read_invoice::ROUTE,
        ),
        HttpOperation::of::<op::start_payment::Command, op::read_payment::Reply>(
            CONTEXT,
            op::start_payment::ROUTE,
        ),
        HttpOperation::of::<op::read_payment::Command, op::read_payment::Reply>(
            CONTEXT,
            op::read_payment::ROUTE,
        ),
        HttpOperation::of::<op::receive_webhook::Command, op::receive_webhook::Reply>(
            CONTEXT,
            op::receive_webhook::ROUTE,
        ),
        HttpOperation::of::<op::list_suspense_items::Command, op::list_suspense_items::Reply>(
            CONTEXT,
            op::list_suspense_items::ROUTE,
        ),
        HttpOperation::of::<op::record_payment::Command, op::read_payment::Reply>(
            CONTEXT,
            op::record_payment::ROUTE,
        ),
        HttpOperation::of::<op::reallocate_payment::Command, op::read_invoice::Reply>(
            CONTEXT,
            op::reallocate_payment::ROUTE,
        ),
        HttpOperation::of::<op::close_posting_period::Command, op::close_posting_period::Reply>(
            CONTEXT,
            op::close_posting_period::ROUTE,
        ),
        HttpOperation::of::<op::reopen_posting_period::Command, op::close_posting_period::Reply>(
            CONTEXT,
            op::reopen_posting_period::ROUTE,
        ),
        HttpOperation::of::<op::read_posting_periods::Command, op::close_posting_period::Reply>(
            CONTEXT,
            op::read_posting_periods::ROUTE,
        ),
        HttpOperation::of::<op::start_ledger_proof::Command, op::read_ledger_proof::Reply>(
            CONTEXT,
            op::start_ledger_proof::ROUTE,
        ),
        HttpOperation::of::<op::read_ledger_proof::Command, op::read_ledger_proof::Reply>(
            CONTEXT,
            op::read_ledger_proof::ROUTE,
        ),
    ]
}
