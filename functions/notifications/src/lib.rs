//! Notifications: what people are told about their registrations, and the mail that tells them.

pub mod domain;
pub mod mail;
pub mod operations;
#[cfg(test)]
mod post_office;
mod store;
pub mod templates;

use std::sync::Arc;

use shell::{Fault, HttpOperation};
use table::Table;
use tokio::sync::OnceCell;

use crate::mail::Mail;

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

/// What the one operation that sends needs besides: no other function has these variables or this permission.
pub struct SendingCtx {
    pub table: Table,
    pub mail: Mail,
    /// Where the portal is served, without a slash at its end.
    pub portal_url: String,
    /// Read when the first verification code has to be computed; tests fill it.
    pub verification_secret: OnceCell<Arc<str>>,
}

impl SendingCtx {
    pub fn from_environment(table: Table) -> Self {
        Self {
            table,
            mail: Mail::from_environment(),
            portal_url: shell::required_environment("PORTAL_URL").trim_end_matches('/').to_owned(),
            verification_secret: OnceCell::new(),
        }
    }

    pub(crate) async fn verification_secret(&self) -> Result<&str, Fault> {
        let read = || shell::secret("VERIFICATION_SECRET");
        Ok(self.verification_secret.get_or_try_init(read).await?)
    }
}

impl shell::Context for SendingCtx {
    fn table(&self) -> &Table {
        &self.table
    }
}

/// The context's HTTP operations, with the shapes of what goes in and comes out.
pub fn http_operations() -> Vec<HttpOperation> {
    use operations as op;
    const CONTEXT: &str = "notifications";
    vec![HttpOperation::of::<op::list_messages::Command, op::list_messages::Reply>(
        CONTEXT,
        op::list_messages::ROUTE,
    )]
}
