//! A secret of this context: read from Secrets Manager when it is first needed, or known already, as in tests.

use std::fmt;
use std::sync::Arc;

use shell::Fault;

#[derive(Clone)]
pub enum Secret {
    /// Its ARN stands in this environment variable.
    Environment(&'static str),
    Known(Arc<str>),
}

impl Secret {
    pub async fn read(&self) -> Result<Arc<str>, Fault> {
        match self {
            Self::Environment(variable) => shell::secret(variable).await,
            Self::Known(secret) => Ok(Arc::clone(secret)),
        }
    }
}

/// Never printed.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
