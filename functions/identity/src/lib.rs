//! Identity: people, their accounts and sessions, and the roles they hold.

pub mod domain;
#[cfg(test)]
mod fixtures;
pub mod operations;
mod passwords;
mod store;
pub mod tokens;

use std::sync::{Arc, OnceLock};

use shell::{Fault, HttpOperation};
use table::Table;
use tokens::Keys;

/// What the operations of this context share. Its secrets are read when an operation first needs them.
#[derive(Clone)]
pub struct Ctx {
    pub table: Table,
    keys: OnceLock<Keys>,
    verification_secret: OnceLock<Arc<str>>,
}

impl Ctx {
    pub fn from_environment() -> Self {
        Self {
            table: shell::aws::table(),
            keys: OnceLock::new(),
            verification_secret: OnceLock::new(),
        }
    }

    pub fn with_secrets(table: Table, identity_secret: &str, verification_secret: &str) -> Self {
        Self {
            table,
            keys: Keys::derived_from(identity_secret).into(),
            verification_secret: Arc::<str>::from(verification_secret).into(),
        }
    }

    pub(crate) async fn keys(&self) -> Result<&Keys, Fault> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let secret = shell::secret("IDENTITY_SECRET").await?;
        Ok(self.keys.get_or_init(|| Keys::derived_from(&secret)))
    }

    pub(crate) async fn verification_secret(&self) -> Result<&str, Fault> {
        if let Some(secret) = self.verification_secret.get() {
            return Ok(secret);
        }
        let secret = shell::secret("VERIFICATION_SECRET").await?;
        Ok(self.verification_secret.get_or_init(|| secret))
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
    const CONTEXT: &str = "identity";
    vec![
        HttpOperation::of::<op::register_account::Command, op::register_account::Reply>(
            CONTEXT,
            op::register_account::ROUTE,
        ),
        HttpOperation::of::<op::verify_email::Command, op::verify_email::Reply>(
            CONTEXT,
            op::verify_email::ROUTE,
        ),
        HttpOperation::of::<op::log_in::Command, op::log_in::Reply>(CONTEXT, op::log_in::ROUTE),
        HttpOperation::of::<op::refresh_session::Command, op::log_in::Reply>(
            CONTEXT,
            op::refresh_session::ROUTE,
        ),
        HttpOperation::of::<op::log_out::Command, ()>(CONTEXT, op::log_out::ROUTE),
        HttpOperation::of::<op::read_profile::Command, op::read_profile::Reply>(
            CONTEXT,
            op::read_profile::ROUTE,
        ),
        HttpOperation::of::<op::edit_profile::Command, op::read_profile::Reply>(
            CONTEXT,
            op::edit_profile::ROUTE,
        ),
        HttpOperation::of::<op::assign_role::Command, op::assign_role::Reply>(
            CONTEXT,
            op::assign_role::ROUTE,
        ),
    ]
}
