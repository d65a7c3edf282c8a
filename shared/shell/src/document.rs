//! A reply that is a file: its route says of which kind, and the door hands it over as it is.

use base64::Engine as _;
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Of letters, digits, points and hyphens.
    pub file_name: String,
    #[serde(serialize_with = "as_base64")]
    pub content: Vec<u8>,
}

/// As API Gateway takes bytes (payload 2.0).
fn as_base64<S: Serializer>(content: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(content))
}
