//! Service clients: other systems that call in their own name, and what they can be allowed.

use kernel::ServiceClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A group of operations that a service client can be allowed. A route says to which it belongs; a client reaches no
/// other, whatever it is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ClientScope {
    #[serde(rename = "catalog:read")]
    CatalogRead,
    #[serde(rename = "enrollment:read")]
    EnrollmentRead,
    #[serde(rename = "billing:read")]
    BillingRead,
    #[serde(rename = "identity:read")]
    IdentityRead,
    /// Brings files in and reads what is wrong with them; somebody of the staff has to approve them.
    #[serde(rename = "imports:write")]
    ImportsWrite,
}

impl ClientScope {
    pub const ALL: [Self; 5] = [
        Self::CatalogRead,
        Self::EnrollmentRead,
        Self::BillingRead,
        Self::IdentityRead,
        Self::ImportsWrite,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::CatalogRead => "catalog:read",
            Self::EnrollmentRead => "enrollment:read",
            Self::BillingRead => "billing:read",
            Self::IdentityRead => "identity:read",
            Self::ImportsWrite => "imports:write",
        }
    }
}

/// The authenticated system behind a call, which no person makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceClient {
    pub id: ServiceClientId,
    pub scopes: Vec<ClientScope>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_called_the_same_everywhere() {
        for scope in ClientScope::ALL {
            assert_eq!(serde_json::json!(scope), scope.name());
        }
    }
}
