//! How the token endpoint refuses: by the codes of RFC 6749, section 5.2.

use shell::{Refuse, Sentences};

use super::SENTENCES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantRefusal {
    InvalidRequest,
    /// Unknown, ended, expired or with a wrong secret: nobody learns which.
    InvalidClient,
    InvalidScope,
    UnsupportedGrantType,
}

impl Refuse for GrantRefusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::InvalidRequest => ("INVALID_REQUEST", 400),
            Self::InvalidClient => ("INVALID_CLIENT", 401),
            Self::InvalidScope => ("INVALID_SCOPE", 400),
            Self::UnsupportedGrantType => ("UNSUPPORTED_GRANT_TYPE", 400),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
