//! Refresh tokens: a session, a generation, and a MAC over both. None is stored.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::SessionId;

use crate::derivation::derived;
use crate::domain::{Refusal, Session};

#[derive(Clone)]
pub struct RefreshKey(hmac::Key);

impl RefreshKey {
    pub fn derived_from(secret: &str) -> Self {
        let key = derived(secret, b"refresh token key, HMAC-SHA-256, 1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The session's newest refresh token: it follows from the session, so that it need not be stored to be
    /// given again.
    pub fn token(&self, session: &Session) -> String {
        let body = format!("{}.{}", session.id, session.generation);
        let tag = hmac::sign(&self.0, body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The session and the generation that a genuine refresh token names.
    pub fn presented(&self, token: &str) -> Result<(SessionId, u64), Refusal> {
        let genuine = || {
            let (body, tag) = token.rsplit_once('.')?;
            let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
            hmac::verify(&self.0, body.as_bytes(), &tag).ok()?;
            let (session, generation) = body.split_once('.')?;
            Some((session.parse().ok()?, generation.parse().ok()?))
        };
        genuine().ok_or(Refusal::RefreshTokenInvalid)
    }
}

#[cfg(test)]
mod tests {
    use kernel::{AccountId, Id};

    use super::*;

    #[test]
    fn a_refresh_token_names_its_session_and_generation() {
        let key = RefreshKey::derived_from("the secret of a test");
        let (id, account) = (SessionId::derived_from("s"), AccountId::derived_from("a"));
        let mut session = Session::start(id, testkit::person("ada"), account, testkit::now());
        let first = key.token(&session);
        assert_eq!(key.presented(&first), Ok((session.id, 1)));
        session.generation = 2;
        assert_eq!(key.presented(&key.token(&session)), Ok((session.id, 2)));
        let refused = Err(Refusal::RefreshTokenInvalid);
        assert_eq!(RefreshKey::derived_from("another secret").presented(&first), refused);
        let (body, tag) = first.rsplit_once('.').expect("two parts");
        let raised = format!("{}.2.{tag}", body.split('.').next().expect("a session"));
        for forged in ["", ".", "..", body, &raised, &format!("{first}A"), &first[1..]] {
            assert_eq!(key.presented(forged), refused, "{forged}");
        }
    }
}
