//! Problem documents (RFC 9457): how every refusal of ours looks from outside.

use kernel::Locale;
use serde_json::{Value, json};

use crate::Refuse;
use crate::locales::sentence;

pub(crate) fn document(
    refusal: &dyn Refuse,
    locale: Locale,
    correlation_id: &str,
    request_id: &str,
) -> Value {
    let code = refusal.code();
    let mut document = json!({
        "type": format!("/docs#{code}"),
        "title": sentence(refusal.sentences(), locale, code, &refusal.arguments()),
        "status": refusal.status(),
        "code": code,
        "instance": format!("urn:matricula:request:{request_id}"),
        "correlation_id": correlation_id,
    });
    for (name, value) in refusal.extensions(locale) {
        document[name] = value;
    }
    document
}
