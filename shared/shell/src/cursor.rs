//! Cursors: positions in a list, sealed, so that nobody reads from where they were not sent, nor what stands there: the
//! key of a record may hold what its reader is not shown.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use table::Position;

use crate::RequestRefusal;

/// The environment variable that names the sealing key's secret.
pub(crate) const KEY: &str = "CURSOR_SECRET";

/// `secret` may be of any length.
fn key(secret: &[u8]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, &Sha256::digest(secret)).expect("a digest is a key")
}

pub(crate) fn write(secret: &[u8], operation: &str, position: &Position) -> String {
    let mut sealed = serde_json::to_vec(position).expect("a position is JSON");
    let list = Aad::from(operation.as_bytes());
    let nonce = key(secret).seal_in_place_append_tag(list, &mut sealed).expect("it is short");
    URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat())
}

pub(crate) fn read(
    secret: &[u8],
    operation: &str,
    cursor: &str,
) -> Result<Position, RequestRefusal> {
    let open = || {
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let list = Aad::from(operation.as_bytes());
        serde_json::from_slice(key(secret).open_in_place(nonce, list, sealed).ok()?).ok()
    };
    open().ok_or(RequestRefusal::CursorInvalid)
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
    fn a_cursor_shows_nothing_of_its_position() {
        let cursor = write(b"key", "list-terms", &position());
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).expect("base 64");
        assert!(!String::from_utf8_lossy(&bytes).contains("TERM"));
        assert_ne!(cursor, write(b"key", "list-terms", &position()));
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
