//! The web service tokens of the sites: secrets that an operator adds for each site, read when first needed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use shell::Fault;

#[derive(Clone)]
pub enum Tokens {
    /// `<prefix>/<name>`; the prefix stands in the environment, so that a site's settings reach no other secret.
    SecretsManager,
    /// By name, as in tests and benches.
    Known(Arc<BTreeMap<String, Arc<str>>>),
}

impl Tokens {
    pub fn known(tokens: impl IntoIterator<Item = (String, String)>) -> Self {
        let tokens = tokens.into_iter().map(|(name, token)| (name, token.into()));
        Self::Known(Arc::new(tokens.collect()))
    }

    pub async fn read(&self, name: &str) -> Result<Arc<str>, Fault> {
        match self {
            Self::SecretsManager => shell::secret_named(&full_name(name)).await,
            Self::Known(tokens) => {
                let token = tokens.get(name).cloned();
                token.ok_or_else(|| Fault::outside("the token could not be read", "it is unknown"))
            }
        }
    }

    /// After a site refused it: an operator may have put a new one there.
    pub async fn forget(&self, name: &str) {
        if let Self::SecretsManager = self {
            shell::forget_secret_named(&full_name(name)).await;
        }
    }
}

fn full_name(name: &str) -> String {
    format!("{}/{name}", shell::required_environment("MOODLE_TOKENS"))
}

/// Never printed.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}
