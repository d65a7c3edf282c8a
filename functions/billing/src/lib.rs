//! Billing: what registrations cost, the invoices for it, the payments of them, and the ledger of it all.

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
    step_functions: OnceLock<aws_sdk_sfn::Client>,
}

impl Ctx {
    pub fn from_environment() -> Self {
        let webhook_secret = Secret::Environment("PAYMENT_WEBHOOK_SECRET");
        Self::new(shell::aws::table(), Arc::new(Stripe::from_environment()), webhook_secret)
    }

    pub fn new(table: Table, provider: Arc<dyn PaymentProvider>, webhook_secret: Secret) -> Self {
        Self { table, provider, webhook_secret, step_functions: OnceLock::new() }
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
    ]
}
