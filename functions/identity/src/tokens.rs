//! Access tokens: JWTs signed with Ed25519, by keys that change. They say whose session it is, and nothing that could
//! be out of date.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kernel::{PersonId, ServiceClientId, SessionId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shell::{ClientScope, Fault, RequestRefusal};

use crate::domain::{KeySet, Session};
use crate::key_store::key_id;

pub const AUDIENCE: &str = "matricula-api";
/// How long an access token is good.
pub const ACCESS_TOKEN_TTL_S: i64 = 15 * 60;
/// How far the clocks of two machines may be apart.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Ours have about 400 bytes. What is longer is not even decoded.
const TOKEN_LENGTH_MAX: usize = 2_048;

/// A key set, ready to sign and to verify.
pub struct SigningKeys {
    /// Oldest first.
    keys: Vec<SigningKey>,
}

struct SigningKey {
    id: String,
    public: Vec<u8>,
    signing: EncodingKey,
    verifying: DecodingKey,
    signs_from: Timestamp,
}

/// Who holds a token, by what the token itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    pub person: PersonId,
    pub session: SessionId,
}

/// Whom a token stands for: a person in a session, or another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Person(Bearer),
    Client { id: ServiceClientId, scopes: Vec<ClientScope> },
}

/// What every token of ours says, whomever it stands for.
#[derive(Debug, Clone, Deserialize)]
struct AnyClaims {
    sub: String,
    sid: Option<SessionId>,
    scope: Option<String>,
    iat: i64,
    exp: i64,
}

/// Of another system's token: it has no session.
#[derive(Debug, Clone, Serialize)]
struct ClientClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: ServiceClientId,
    /// As RFC 9068 wants it.
    client_id: ServiceClientId,
    scope: String,
    iat: i64,
    exp: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: PersonId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

impl SigningKeys {
    pub fn of(set: &KeySet) -> Result<Self, Fault> {
        let keys: Option<Vec<SigningKey>> = set
            .keys
            .iter()
            .map(|key| SigningKey::of(&URL_SAFE_NO_PAD.decode(&key.seed.0).ok()?, key.signs_from))
            .collect();
        let keys = keys.filter(|keys| !keys.is_empty());
        let keys = keys.ok_or_else(|| Fault::defect("the signing keys are no key set"))?;
        Ok(Self { keys })
    }

    pub fn knows(&self, key_id: &str) -> bool {
        self.keys.iter().any(|key| key.id == key_id)
    }

    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Key ids with the public halves, in base64.
    pub fn public_keys(&self) -> impl Iterator<Item = (&str, String)> {
        self.keys.iter().map(|key| (key.id.as_str(), URL_SAFE_NO_PAD.encode(&key.public)))
    }

    pub fn access_token(&self, issuer: &str, session: &Session, now: Timestamp) -> String {
        let claims = Claims {
            iss: issuer.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: session.person,
            sid: session.id,
            iat: now.as_second(),
            exp: now.as_second() + ACCESS_TOKEN_TTL_S,
        };
        self.signed(&claims, now)
    }

    pub fn client_token(
        &self,
        issuer: &str,
        client: ServiceClientId,
        scopes: &[ClientScope],
        now: Timestamp,
    ) -> String {
        let claims = ClientClaims {
            iss: issuer,
            aud: AUDIENCE,
            sub: client,
            client_id: client,
            scope: scope_text(scopes),
            iat: now.as_second(),
            exp: now.as_second() + ACCESS_TOKEN_TTL_S,
        };
        self.signed(&claims, now)
    }

    fn signed(&self, claims: &impl Serialize, now: Timestamp) -> String {
        let key = self.keys.iter().rfind(|key| key.signs_from <= now);
        let key = key.or(self.keys.first()).expect("a set has a key");
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &key.signing).expect("the key is an Ed25519 key")
    }

    /// Who holds the token. An expired one is told apart from what was never good: its holder may refresh it.
    pub fn holder(
        &self,
        issuer: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<Holder, RequestRefusal> {
        let AnyClaims { sub, sid, scope, iat, exp } = self.claims(issuer, token)?;
        let moment =
            |second| Timestamp::from_second(second).map_err(|_| RequestRefusal::TokenInvalid);
        if now < moment(iat)? - CLOCK_SKEW {
            return Err(RequestRefusal::TokenInvalid);
        }
        if now > moment(exp)? + CLOCK_SKEW {
            return Err(RequestRefusal::TokenExpired);
        }
        if let Some(session) = sid {
            let person = sub.parse().map_err(|_| RequestRefusal::TokenInvalid)?;
            return Ok(Holder::Person(Bearer { person, session }));
        }
        let id = sub.parse().map_err(|_| RequestRefusal::TokenInvalid)?;
        let scope = scope.ok_or(RequestRefusal::TokenInvalid)?;
        let scopes = ClientScope::ALL.into_iter();
        let scopes = scopes.filter(|known| scope.split(' ').any(|name| name == known.name()));
        Ok(Holder::Client { id, scopes: scopes.collect() })
    }

    /// The person who holds the token.
    pub fn bearer(
        &self,
        issuer: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<Bearer, RequestRefusal> {
        match self.holder(issuer, token, now)? {
            Holder::Person(bearer) => Ok(bearer),
            Holder::Client { .. } => Err(RequestRefusal::TokenInvalid),
        }
    }

    /// What a token says that is ours and for us, whatever the time is.
    fn claims<C: DeserializeOwned>(&self, issuer: &str, token: &str) -> Result<C, RequestRefusal> {
        let key_id = key_id_of(token)?;
        let key = self.keys.iter().find(|key| key.id == key_id);
        let key = key.ok_or(RequestRefusal::TokenInvalid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[AUDIENCE]);
        // The library would look at a clock of its own.
        validation.validate_exp = false;
        let token = jsonwebtoken::decode::<C>(token, &key.verifying, &validation);
        Ok(token.map_err(|_| RequestRefusal::TokenInvalid)?.claims)
    }
}

/// As RFC 6749 writes scopes.
pub fn scope_text(scopes: &[ClientScope]) -> String {
    scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
}

impl SigningKey {
    fn of(seed: &[u8], signs_from: Timestamp) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let private = pair.to_pkcs8v1().ok()?;
        let public = pair.public_key().as_ref().to_vec();
        Some(Self {
            id: key_id(&public),
            signing: EncodingKey::from_ed_der(private.as_ref()),
            verifying: DecodingKey::from_ed_der(&public),
            public,
            signs_from,
        })
    }
}

/// Which key the token says that it is signed with. It is a name to look up among those we have, never a place to
/// fetch a key from.
pub fn key_id_of(token: &str) -> Result<String, RequestRefusal> {
    if token.len() > TOKEN_LENGTH_MAX {
        return Err(RequestRefusal::TokenInvalid);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| RequestRefusal::TokenInvalid)?;
    if header.alg != Algorithm::EdDSA {
        return Err(RequestRefusal::TokenInvalid);
    }
    header.kid.ok_or(RequestRefusal::TokenInvalid)
}

#[cfg(test)]
mod tests {
    use kernel::{AccountId, Id};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{KeySeed, Seed};
    use crate::fixtures::SIGNING_WORD;
    use crate::key_store::key_set;

    const ISSUER: &str = "https://test.matricula.example";
    const INVALID: Result<Bearer, RequestRefusal> = Err(RequestRefusal::TokenInvalid);

    fn keys_of(secret: &str) -> SigningKeys {
        SigningKeys::of(&key_set(secret).expect("a word")).expect("a key set")
    }

    fn keys() -> SigningKeys {
        keys_of(SIGNING_WORD)
    }

    fn our_key_id() -> String {
        keys().keys[0].id.clone()
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
        }
    }

    fn access_token() -> String {
        keys().access_token(ISSUER, &session(), testkit::now())
    }

    fn judged(token: &str) -> Result<Bearer, RequestRefusal> {
        keys().bearer(ISSUER, token, testkit::now())
    }

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    fn encoded(part: &Value) -> String {
        URL_SAFE_NO_PAD.encode(part.to_string())
    }

    /// Our claims, under a header that somebody else wrote, with our key's signature.
    fn under(header: &Value) -> String {
        let body = format!("{}.{}", encoded(header), encoded(&json!(claims())));
        let signature =
            jsonwebtoken::crypto::sign(body.as_bytes(), &keys().keys[0].signing, Algorithm::EdDSA);
        format!("{body}.{}", signature.expect("signs"))
    }

    #[test]
    fn a_token_says_whose_session_it_is() {
        let bearer = judged(&access_token()).expect("the token is good");
        assert_eq!(bearer.person, testkit::person("ada"));
        assert_eq!(bearer.session, SessionId::derived_from("s"));
        assert!(access_token().len() < TOKEN_LENGTH_MAX / 2);
    }

    #[test]
    fn a_clients_token_is_no_persons() {
        let id = ServiceClientId::derived_from("library");
        let scopes = vec![ClientScope::CatalogRead];
        let token = keys().client_token(ISSUER, id, &scopes, testkit::now());
        assert_eq!(judged(&token), INVALID);
        let holder = keys().holder(ISSUER, &token, testkit::now());
        assert_eq!(holder, Ok(Holder::Client { id, scopes }));
    }

    #[test]
    fn a_token_expires_and_clocks_differ_by_a_minute_and_no_more() {
        let token = access_token();
        let at = |seconds| keys().bearer(ISSUER, &token, after(seconds)).map(drop);
        assert_eq!(at(ACCESS_TOKEN_TTL_S + 60), Ok(()));
        assert_eq!(at(ACCESS_TOKEN_TTL_S + 61), Err(RequestRefusal::TokenExpired));
        assert_eq!(at(-60), Ok(()));
        assert_eq!(at(-61), Err(RequestRefusal::TokenInvalid), "it is from the future");
    }

    #[test]
    fn a_token_of_another_stage_or_for_another_audience_is_refused() {
        let signed = |change: fn(&mut Claims)| {
            let mut claims = claims();
            change(&mut claims);
            keys().signed(&claims, testkit::now())
        };
        assert!(judged(&signed(|_| {})).is_ok());
        assert_eq!(judged(&signed(|claims| claims.aud = "another-api".into())), INVALID);
        let stage = signed(|claims| claims.iss = "https://dev.matricula.example".into());
        assert_eq!(judged(&stage), INVALID);
        assert_eq!(judged(&signed(|claims| claims.exp = i64::MAX)), INVALID);
    }

    #[test]
    fn a_token_signed_with_another_key_is_refused_whatever_it_calls_it() {
        let mut foreign = keys_of("the-signing-keys-of-another-stage");
        assert_eq!(judged(&foreign.signed(&claims(), testkit::now())), INVALID);
        foreign.keys[0].id = our_key_id();
        assert_eq!(judged(&foreign.signed(&claims(), testkit::now())), INVALID);
    }

    #[test]
    fn a_key_id_that_walks_paths_or_injects_is_only_an_unknown_name() {
        let ours = json!({ "typ": "JWT", "alg": "EdDSA", "kid": our_key_id() });
        assert!(judged(&under(&ours)).is_ok(), "else the others prove nothing");
        for kid in ["../../../../dev/null", "/dev/null", "' OR '1'='1", "", "\u{0}", "none"] {
            let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": kid });
            assert_eq!(judged(&under(&header)), INVALID, "{kid}");
        }
        assert_eq!(judged(&under(&json!({ "typ": "JWT", "alg": "EdDSA" }))), INVALID);
    }

    #[test]
    fn a_key_that_the_token_itself_brings_is_not_used() {
        let foreign = keys_of("the-signing-keys-of-another-stage");
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(&foreign.keys[0].public) });
        for (name, value) in [("jwk", jwk), ("jku", json!("https://evil.example/jwks.json"))] {
            let mut header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": our_key_id() });
            header[name] = value;
            let body = format!("{}.{}", encoded(&header), encoded(&json!(claims())));
            let key = &foreign.keys[0].signing;
            let signature = jsonwebtoken::crypto::sign(body.as_bytes(), key, Algorithm::EdDSA);
            assert_eq!(judged(&format!("{body}.{}", signature.expect("signs"))), INVALID, "{name}");
        }
    }

    #[test]
    fn a_token_that_says_alg_none_is_refused() {
        for alg in ["none", "None", "NONE", "nOnE", "", "EdDSA"] {
            let header = encoded(&json!({ "typ": "JWT", "alg": alg, "kid": our_key_id() }));
            let unsigned = format!("{header}.{}.", encoded(&json!(claims())));
            assert_eq!(judged(&unsigned), INVALID, "{alg}");
        }
    }

    #[test]
    fn a_token_with_a_swapped_algorithm_is_refused() {
        let public = &keys().keys[0].public;
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            base64::engine::general_purpose::STANDARD.encode(public)
        );
        for key in [public.as_slice(), pem.as_bytes(), b""] {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let header = Header { kid: Some(our_key_id()), ..Header::new(algorithm) };
                let key = EncodingKey::from_secret(key);
                let confused = jsonwebtoken::encode(&header, &claims(), &key).expect("signs");
                assert_eq!(judged(&confused), INVALID, "{algorithm:?}");
            }
        }
        for alg in ["ES256", "RS256", "PS512", "HS256"] {
            let header = json!({ "typ": "JWT", "alg": alg, "kid": our_key_id() });
            assert_eq!(judged(&under(&header)), INVALID, "{alg}");
        }
    }

    #[test]
    fn a_token_without_a_claim_is_refused() {
        let header = Header { kid: Some(our_key_id()), ..Header::new(Algorithm::EdDSA) };
        for missing in ["iss", "aud", "sub", "sid", "iat", "exp"] {
            let mut claims = json!(claims());
            claims.as_object_mut().expect("an object").remove(missing);
            let token = jsonwebtoken::encode(&header, &claims, &keys().keys[0].signing);
            assert_eq!(judged(&token.expect("signs")), INVALID, "without {missing}");
        }
    }

    #[test]
    fn a_tampered_payload_is_refused() {
        let token = access_token();
        let parts: Vec<&str> = token.split('.').collect();
        let other = Claims { sub: testkit::person("eve"), ..claims() };
        let tampered = format!("{}.{}.{}", parts[0], encoded(&json!(other)), parts[2]);
        assert_eq!(judged(&tampered), INVALID);
    }

    #[test]
    fn an_over_long_token_is_refused_before_it_is_read() {
        let long =
            json!({ "typ": "JWT", "alg": "EdDSA", "kid": our_key_id(), "x": "x".repeat(4_000) });
        assert_eq!(judged(&under(&long)), INVALID);
        for text in [
            "x".repeat(10_000_000),
            ".".repeat(100_000),
            format!("{}{}", access_token(), "A".repeat(9_999)),
        ] {
            assert_eq!(judged(&text), INVALID);
        }
    }

    #[test]
    fn a_token_stays_good_while_keys_change_and_is_signed_with_the_newest_that_has_begun() {
        let set = key_set(SIGNING_WORD).expect("a word");
        let (announced, seed) = (after(3_600), Seed(URL_SAFE_NO_PAD.encode([7; 32])));
        let mut next = set.clone();
        next.keys.push(KeySeed { seed, signs_from: announced });
        let (old, both) = (keys(), SigningKeys::of(&next).expect("a key set"));
        let ids: Vec<&str> = both.key_ids().collect();
        let before = both.access_token(ISSUER, &session(), after(3_599));
        assert_eq!(key_id_of(&before).as_deref(), Ok(ids[0]));
        assert!(old.bearer(ISSUER, &before, after(3_599)).is_ok());
        let later = both.access_token(ISSUER, &session(), announced);
        assert_eq!(key_id_of(&later).as_deref(), Ok(ids[1]));
        assert!(both.bearer(ISSUER, &before, announced).is_ok());
        assert!(both.bearer(ISSUER, &later, announced).is_ok());
        let invalid = Err(RequestRefusal::TokenInvalid);
        assert_eq!(old.bearer(ISSUER, &later, announced), invalid, "it must read the keys again");
    }

    proptest! {
        /// Bytes that an attacker changes, adds or leaves out never make a token that is good for something else.
        #[test]
        fn no_changed_byte_is_accepted(at in 0_usize..400, byte in 0_u8..128) {
            let token = access_token();
            let mut bytes = token.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let changed = String::from_utf8(bytes).expect("ASCII");
            if changed != token {
                prop_assert_eq!(judged(&changed), INVALID);
            }
        }
    }
}
