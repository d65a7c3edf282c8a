//! Tokens: access tokens are JWTs signed with Ed25519, refresh tokens are MACs over a session and a
//! generation. Both keys
//! are derived from one secret, each under a label of its own.

use aws_lc_rs::digest;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kernel::{PersonId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use shell::{Caller, Grant, RequestRefusal};

use crate::domain::{Refusal, Session};

pub const ISSUER: &str = "matricula";
pub const AUDIENCE: &str = "matricula-api";
/// How long an access token is good.
pub const ACCESS_TOKEN_TTL_S: i64 = 15 * 60;
/// How far the clocks of two machines may be apart.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

#[derive(Clone)]
pub struct Keys {
    signing: EncodingKey,
    verifying: DecodingKey,
    key_id: String,
    refresh: hmac::Key,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: PersonId,
    sid: SessionId,
    iat: i64,
    exp: i64,
    grants: Vec<Grant>,
}

impl Keys {
    pub fn derived_from(secret: &str) -> Self {
        let seed = derived(secret, b"access token signing key, Ed25519, 1");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
        let private = pair.to_pkcs8v1().expect("a key pair has a PKCS#8 form");
        let public = pair.public_key().as_ref();
        let fingerprint = digest::digest(&digest::SHA256, public);
        Self {
            signing: EncodingKey::from_ed_der(private.as_ref()),
            verifying: DecodingKey::from_ed_der(public),
            key_id: URL_SAFE_NO_PAD.encode(&fingerprint.as_ref()[..12]),
            refresh: hmac::Key::new(
                hmac::HMAC_SHA256,
                &derived(secret, b"refresh token key, HMAC-SHA-256, 1"),
            ),
        }
    }

    pub fn access_token(&self, session: &Session, grants: Vec<Grant>, now: Timestamp) -> String {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: session.person,
            sid: session.id,
            iat: now.as_second(),
            exp: now.as_second() + ACCESS_TOKEN_TTL_S,
            grants,
        };
        self.signed(&claims)
    }

    fn signed(&self, claims: &Claims) -> String {
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.signing).expect("the key is an Ed25519 key")
    }

    /// Who holds the token. An expired one is told apart from what was never good: its holder may refresh it.
    pub fn caller(&self, token: &str, now: Timestamp) -> Result<Caller, RequestRefusal> {
        let invalid = |_| RequestRefusal::TokenInvalid;
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        if header.kid.as_deref() != Some(self.key_id.as_str()) {
            return Err(RequestRefusal::TokenInvalid);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // The library would look at a clock of its own.
        validation.validate_exp = false;
        let token = jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation);
        let Claims { sub, sid, iat, exp, grants, .. } = token.map_err(invalid)?.claims;
        let moment =
            |second| Timestamp::from_second(second).map_err(|_| RequestRefusal::TokenInvalid);
        if now < moment(iat)? - CLOCK_SKEW {
            return Err(RequestRefusal::TokenInvalid);
        }
        if now > moment(exp)? + CLOCK_SKEW {
            return Err(RequestRefusal::TokenExpired);
        }
        Ok(Caller { person: sub, session: sid, grants })
    }

    /// The session's newest refresh token: it follows from the session, so that it need not be stored to be
    /// given again.
    pub fn refresh_token(&self, session: &Session) -> String {
        let body = format!("{}.{}", session.id, session.generation);
        let tag = hmac::sign(&self.refresh, body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The session and the generation that a genuine refresh token names.
    pub fn presented(&self, refresh_token: &str) -> Result<(SessionId, u64), Refusal> {
        let genuine = || {
            let (body, tag) = refresh_token.rsplit_once('.')?;
            let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
            hmac::verify(&self.refresh, body.as_bytes(), &tag).ok()?;
            let (session, generation) = body.split_once('.')?;
            Some((session.parse().ok()?, generation.parse().ok()?))
        };
        genuine().ok_or(Refusal::RefreshTokenInvalid)
    }
}

fn derived(secret: &str, label: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    Salt::new(HKDF_SHA256, b"matricula identity")
        .extract(secret.as_bytes())
        .expand(&[label], HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut key))
        .expect("HKDF gives 32 bytes");
    key
}

#[cfg(test)]
mod tests {
    use kernel::{AccountId, Id};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use shell::Role;

    use super::*;

    fn keys() -> Keys {
        Keys::derived_from("the secret of a test")
    }

    fn session() -> Session {
        let (id, account) = (SessionId::derived_from("s"), AccountId::derived_from("a"));
        Session::start(id, testkit::person("ada"), account, testkit::now())
    }

    fn claims() -> Claims {
        Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: testkit::person("ada"),
            sid: SessionId::derived_from("s"),
            iat: testkit::now().as_second(),
            exp: testkit::now().as_second() + ACCESS_TOKEN_TTL_S,
            grants: Vec::new(),
        }
    }

    fn judged(token: &str) -> Result<Caller, RequestRefusal> {
        keys().caller(token, testkit::now())
    }

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    fn encoded(part: &Value) -> String {
        URL_SAFE_NO_PAD.encode(part.to_string())
    }

    #[test]
    fn a_token_says_who_calls_and_what_they_may_do() {
        let grant = Grant { role: Role::HeadOfDepartment, department: Some("MATH".into()) };
        let token = keys().access_token(&session(), vec![grant.clone()], testkit::now());
        let caller = judged(&token).expect("the token is good");
        assert_eq!(caller.person, testkit::person("ada"));
        assert_eq!(caller.session, SessionId::derived_from("s"));
        assert_eq!(caller.grants, [grant]);
    }

    #[test]
    fn a_token_expires_and_clocks_may_differ_a_little() {
        let token = keys().access_token(&session(), Vec::new(), testkit::now());
        let at = |seconds| keys().caller(&token, after(seconds)).map(drop);
        assert_eq!(at(ACCESS_TOKEN_TTL_S + 60), Ok(()));
        assert_eq!(at(ACCESS_TOKEN_TTL_S + 61), Err(RequestRefusal::TokenExpired));
        assert_eq!(at(-60), Ok(()));
        assert_eq!(at(-61), Err(RequestRefusal::TokenInvalid), "it is from the future");
    }

    #[test]
    fn a_token_for_others_or_of_others_is_refused() {
        let invalid = Err(RequestRefusal::TokenInvalid);
        let signed = |change: fn(&mut Claims)| {
            let mut claims = claims();
            change(&mut claims);
            keys().signed(&claims)
        };
        assert!(judged(&signed(|_| {})).is_ok());
        assert_eq!(judged(&signed(|claims| claims.aud = "another-api".into())), invalid);
        assert_eq!(judged(&signed(|claims| claims.iss = "somebody".into())), invalid);
        assert_eq!(judged(&signed(|claims| claims.exp = i64::MAX)), invalid);
        let foreign = Keys::derived_from("another secret");
        assert_eq!(judged(&foreign.signed(&claims())), invalid, "another key with another id");
        let posing = Keys { key_id: keys().key_id, ..foreign };
        assert_eq!(judged(&posing.signed(&claims())), invalid, "another key under our id");
        let renamed = Keys { key_id: "another".into(), ..keys() };
        assert_eq!(judged(&renamed.signed(&claims())), invalid, "our key under another id");
    }

    #[test]
    fn a_token_without_a_claim_is_refused() {
        let header = Header { kid: Some(keys().key_id), ..Header::new(Algorithm::EdDSA) };
        for missing in ["iss", "aud", "sub", "sid", "iat", "exp", "grants"] {
            let mut claims = json!(claims());
            claims.as_object_mut().expect("an object").remove(missing);
            let token = jsonwebtoken::encode(&header, &claims, &keys().signing).expect("signs");
            assert_eq!(judged(&token), Err(RequestRefusal::TokenInvalid), "without {missing}");
        }
    }

    #[test]
    fn a_token_that_is_not_signed_or_signed_with_the_public_key_is_refused() {
        let invalid = Err(RequestRefusal::TokenInvalid);
        for alg in ["none", "None", "NONE", "", "HS256", "EdDSA"] {
            let header = encoded(&json!({ "typ": "JWT", "alg": alg, "kid": keys().key_id }));
            let unsigned = format!("{header}.{}.", encoded(&json!(claims())));
            assert_eq!(judged(&unsigned), invalid, "{alg}");
        }
        let public = keys().verifying.try_get_as_bytes().expect("raw bytes").to_vec();
        let header = Header { kid: Some(keys().key_id), ..Header::new(Algorithm::HS256) };
        let confused = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&public));
        assert_eq!(judged(&confused.expect("signs")), invalid);
    }

    #[test]
    fn a_tampered_payload_is_refused() {
        let token = keys().access_token(&session(), Vec::new(), testkit::now());
        let parts: Vec<&str> = token.split('.').collect();
        let raised = Claims {
            grants: vec![Grant { role: Role::Administrator, department: None }],
            ..claims()
        };
        let tampered = format!("{}.{}.{}", parts[0], encoded(&json!(raised)), parts[2]);
        assert_eq!(judged(&tampered), Err(RequestRefusal::TokenInvalid));
    }

    #[test]
    fn a_refresh_token_names_its_session_and_generation() {
        let mut session = session();
        let first = keys().refresh_token(&session);
        assert_eq!(keys().presented(&first), Ok((session.id, 1)));
        session.generation = 2;
        assert_eq!(keys().presented(&keys().refresh_token(&session)), Ok((session.id, 2)));
        let refused = Err(Refusal::RefreshTokenInvalid);
        assert_eq!(Keys::derived_from("another secret").presented(&first), refused);
        let (body, tag) = first.rsplit_once('.').expect("two parts");
        let raised = format!("{}.2.{tag}", body.split('.').next().expect("a session"));
        for forged in ["", ".", "..", body, &raised, &format!("{first}A"), &first[1..]] {
            assert_eq!(keys().presented(forged), refused, "{forged}");
        }
        let access = keys().access_token(&session, Vec::new(), testkit::now());
        assert_eq!(keys().presented(&access), refused);
        assert_eq!(judged(&first), Err(RequestRefusal::TokenInvalid));
    }

    proptest! {
        /// Bytes that an attacker changes, adds or leaves out never make a token that is good for something else.
        #[test]
        fn no_changed_byte_is_accepted(at in 0_usize..400, byte in 0_u8..128) {
            let token = keys().access_token(&session(), Vec::new(), testkit::now());
            let mut bytes = token.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let changed = String::from_utf8(bytes).expect("ASCII");
            if changed != token {
                prop_assert_eq!(judged(&changed), Err(RequestRefusal::TokenInvalid));
            }
        }
    }
}
