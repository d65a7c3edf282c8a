//! Cursors: positions in a list, made opaque and signed, so that nobody reads from where they were not sent.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use table::Position;

use crate::RequestRefusal;

/// The environment variable that names the signing key's secret.
pub(crate) const KEY: &str = "CURSOR_SECRET";
const TAG_BYTES: usize = 16;

fn signature(key: &[u8], operation: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(operation.as_bytes());
    mac.update(b"\0");
    mac.update(body);
    mac
}

pub(crate) fn write(key: &[u8], operation: &str, position: &Position) -> String {
    let body = serde_json::to_vec(position).expect("a position is JSON");
    let tag = signature(key, operation, &body).finalize().into_bytes();
    URL_SAFE_NO_PAD.encode([&tag[..TAG_BYTES], &body].concat())
}

pub(crate) fn read(key: &[u8], operation: &str, cursor: &str) -> Result<Position, RequestRefusal> {
    let invalid = RequestRefusal::CursorInvalid;
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid.clone())?;
    let (tag, body) = bytes.split_at_checked(TAG_BYTES).ok_or(invalid.clone())?;
    signature(key, operation, body).verify_truncated_left(tag).map_err(|_| invalid.clone())?;
    serde_json::from_slice(body).map_err(|_| invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        serde_json::from_str(r#"{"pk":"TERMS","sk":"TERM#1"}"#).expect("a position")
    }

    #[test]
    fn a_cursor_reads_back_where_it_was_written() {
        let cursor = write(b"key", "list-terms", &position());
        assert_eq!(read(b"key", "list-terms", &cursor), Ok(position()));
    }

    #[test]
    fn a_cursor_of_another_list_another_key_or_of_nobody_is_refused() {
        let cursor = write(b"key", "list-terms", &position());
        let refused = Err(RequestRefusal::CursorInvalid);
        assert_eq!(read(b"key", "list-courses", &cursor), refused);
        assert_eq!(read(b"other", "list-terms", &cursor), refused);
        for forged in ["", "x", "ÿ", "AAAA", &cursor[1..], &format!("{cursor}AA")] {
            assert_eq!(read(b"key", "list-terms", forged), refused, "{forged:?}");
        }
    }
}
