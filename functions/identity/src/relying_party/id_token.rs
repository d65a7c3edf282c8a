//! The provider's ID token: signed with an asymmetric key of its own, made by it, for us, for this very sign-in, and
//! now (OpenID Connect Core 1.0, section 3.1.3.7).

use jiff::SignedDuration;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use kernel::{Email, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{Identity, Refusal};

/// How far the clocks of two machines may be apart.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// A token is for the sign-in that has just happened.
const AGE_MAX: SignedDuration = SignedDuration::from_mins(10);
/// What is longer is not even decoded.
const TOKEN_LENGTH_MAX: usize = 32_768;
/// OpenID Connect Core 1.0 allows a subject no more; an external id of ours has as much room.
const EXTERNAL_ID_LENGTH_MAX: usize = 255;

/// With whom, for whom and for what the token must have been made.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub external_id_claim: &'a str,
    pub now: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    sub: String,
    nonce: Option<String>,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Which of the provider's keys the token says that it is signed with.
pub fn key_id_of(token: &str) -> Result<Option<String>, Refusal> {
    Ok(header_of(token)?.kid)
}

fn header_of(token: &str) -> Result<jsonwebtoken::Header, Refusal> {
    if token.len() > TOKEN_LENGTH_MAX {
        return Err(Refusal::SignInRefused);
    }
    jsonwebtoken::decode_header(token).map_err(|_| Refusal::SignInRefused)
}

pub fn identity(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Identity, Refusal> {
    let claims = signed_claims(token, keys).ok_or(Refusal::SignInRefused)?;
    if !is_for_us(&claims, expected) || !is_of_now(&claims, expected.now) {
        return Err(Refusal::SignInRefused);
    }
    let text = |name: &str| match name {
        "sub" => Some(claims.sub.clone()),
        other => claims.others.get(other).and_then(Value::as_str).map(str::to_owned),
    };
    let external_id = text(expected.external_id_claim);
    let is_usable = |id: &String| !id.trim().is_empty() && id.len() <= EXTERNAL_ID_LENGTH_MAX;
    let external_id = external_id.filter(is_usable).ok_or(Refusal::SignInRefused)?;
    // Nothing but the boolean counts: a text "false" would be true elsewhere.
    let is_verified = claims.others.get("email_verified") == Some(&Value::Bool(true));
    let email = text("email").and_then(|email| email.parse::<Email>().ok());
    let methods = claims.others.get("amr").and_then(Value::as_array).into_iter().flatten();
    Ok(Identity {
        external_id,
        email: email.filter(|_| is_verified),
        given_name: text("given_name"),
        family_name: text("family_name"),
        locale: text("locale"),
        methods: methods.filter_map(Value::as_str).map(str::to_owned).collect(),
        context: text("acr"),
    })
}

/// What is signed with one of these keys by the algorithm that belongs to it.
fn signed_claims(token: &str, keys: &[Jwk]) -> Option<Claims> {
    let header = header_of(token).ok()?;
    if header.alg.family() == AlgorithmFamily::Hmac {
        return None;
    }
    let fits = |key: &&Jwk| is_named(key, header.kid.as_deref()) && signs_by(key, header.alg);
    let mut fitting = keys.iter().filter(fits);
    let key = DecodingKey::from_jwk(fitting.next()?).ok()?;
    // Without a name, it must be clear which key is meant.
    if fitting.next().is_some() || key.family() != header.alg.family() {
        return None;
    }
    let mut validation = Validation::new(header.alg);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Ours to check: with a clock that is told, and an audience that may have to name us alone.
    validation.validate_exp = false;
    validation.validate_aud = false;
    Some(jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims)
}

fn is_named(key: &Jwk, name: Option<&str>) -> bool {
    name.is_none_or(|name| key.common.key_id.as_deref() == Some(name))
}

fn signs_by(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_for_signatures =
        key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let is_for_this = key
        .common
        .key_algorithm
        .is_none_or(|agreed| agreed.to_string() == format!("{algorithm:?}"));
    is_for_signatures && is_for_this
}

fn is_for_us(claims: &Claims, expected: &Expected<'_>) -> bool {
    let is_audience = match &claims.aud {
        Audience::One(one) => one == expected.client_id,
        Audience::Several(several) => several.iter().any(|one| one == expected.client_id),
    };
    let has_others = matches!(&claims.aud, Audience::Several(several) if several.len() > 1);
    let is_party = match &claims.azp {
        Some(party) => party == expected.client_id,
        None => !has_others,
    };
    let is_nonce = claims.nonce.as_deref() == Some(expected.nonce);
    claims.iss == expected.issuer && is_audience && is_party && is_nonce
}

fn is_of_now(claims: &Claims, now: Timestamp) -> bool {
    let since = |second: i64| Some(now.duration_since(Timestamp::from_second(second).ok()?));
    let has_come = |second: i64| since(second).is_some_and(|since| since >= -CLOCK_SKEW);
    let is_fresh = since(claims.iat).is_some_and(|since| since <= AGE_MAX + CLOCK_SKEW);
    let is_over = since(claims.exp).is_none_or(|since| since >= CLOCK_SKEW);
    has_come(claims.iat) && claims.nbf.is_none_or(has_come) && is_fresh && !is_over
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;
    use crate::fixtures::{ProviderKey, provider_claims};

    const REFUSED: Result<Identity, Refusal> = Err(Refusal::SignInRefused);
    const ISSUER: &str = "https://idp.example";

    fn expected() -> Expected<'static> {
        Expected {
            issuer: ISSUER,
            client_id: "matricula",
            nonce: "the nonce",
            external_id_claim: "sub",
            now: testkit::now(),
        }
    }

    fn claims() -> Value {
        provider_claims(ISSUER, "the nonce")
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn without(name: &str) -> Value {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(name);
        claims
    }

    fn judged(claims: &Value) -> Result<Identity, Refusal> {
        let key = ProviderKey::ed25519("one");
        identity(&key.signed(claims), &[key.public()], &expected())
    }

    fn at(seconds: i64) -> Value {
        (testkit::now().as_second() + seconds).into()
    }

    #[test]
    fn a_genuine_token_tells_who_it_is() {
        for key in [ProviderKey::ed25519("one"), ProviderKey::es256("two")] {
            let token = key.signed(&claims());
            let others = [ProviderKey::es256("other").public(), key.public()];
            let found = identity(&token, &others, &expected()).expect("genuine");
            assert_eq!(found.external_id, "u-1815");
            assert_eq!(found.email.expect("verified").as_str(), "ada@uni.example");
        }
        let named = Expected { external_id_claim: "employee", ..expected() };
        let key = ProviderKey::ed25519("one");
        let token = key.signed(&with("employee", "E-7".into()));
        let found = identity(&token, &[key.public()], &named).expect("genuine");
        assert_eq!(found.external_id, "E-7");
        let lacking = identity(&key.signed(&claims()), &[key.public()], &named);
        assert_eq!(lacking, REFUSED);
    }

    #[test]
    fn a_token_that_nobody_signed_is_refused() {
        let key = ProviderKey::ed25519("one");
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        for alg in ["none", "None", "NONE", ""] {
            let header = json!({ "alg": alg, "typ": "JWT", "kid": "one" });
            let body = format!("{}.{}", part(&header), part(&claims()));
            let signature = key.signed(&claims());
            let signature = signature.rsplit('.').next().expect("a signature");
            for signature in ["", signature] {
                let token = format!("{body}.{signature}");
                assert_eq!(identity(&token, &[key.public()], &expected()), REFUSED, "{alg}");
            }
        }
    }

    #[test]
    fn a_token_whose_secret_is_the_public_key_is_refused() {
        let key = ProviderKey::es256("one");
        let jwk = json!(key.public());
        let texts = [jwk.to_string(), jwk["x"].as_str().expect("a part").to_owned()];
        let raw = URL_SAFE_NO_PAD.decode(&texts[1]).expect("base64");
        let symmetric: Jwk =
            serde_json::from_value(json!({ "kty": "oct", "kid": "one", "k": texts[1] }))
                .expect("a key");
        for secret in [texts[0].as_bytes(), texts[1].as_bytes(), &raw, b""] {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let header = Header { kid: Some("one".into()), ..Header::new(algorithm) };
                let signing = EncodingKey::from_secret(secret);
                let token = jsonwebtoken::encode(&header, &claims(), &signing).expect("signs");
                for keys in [vec![key.public()], vec![symmetric.clone()]] {
                    assert_eq!(identity(&token, &keys, &expected()), REFUSED, "{algorithm:?}");
                }
            }
        }
    }

    #[test]
    fn a_token_signed_by_another_key_or_for_another_use_is_refused() {
        let (key, other) = (ProviderKey::ed25519("one"), ProviderKey::ed25519("other"));
        let token = other.signed(&claims());
        assert_eq!(identity(&token, &[key.public()], &expected()), REFUSED, "unknown key");
        let mut disguised = key.public();
        disguised.common.key_id = Some("other".into());
        assert_eq!(identity(&token, &[disguised], &expected()), REFUSED, "another's name");
        let mut for_encryption = other.public();
        for_encryption.common.public_key_use = Some(PublicKeyUse::Encryption);
        assert_eq!(identity(&token, &[for_encryption], &expected()), REFUSED);
        let elliptic = ProviderKey::es256("other").public();
        assert_eq!(identity(&token, &[elliptic], &expected()), REFUSED, "another algorithm");
        let (head, signature) = token.rsplit_once('.').expect("three parts");
        let tampered = format!("{head}x.{signature}");
        assert_eq!(identity(&tampered, &[other.public()], &expected()), REFUSED);
        for text in ["", "a.b.c", &"x".repeat(40_000)] {
            assert_eq!(identity(text, &[other.public()], &expected()), REFUSED);
        }
    }

    #[test]
    fn a_token_without_a_key_id_needs_a_provider_with_one_key() {
        let key = ProviderKey::ed25519("one");
        let token = key.signed_without_name(&claims());
        identity(&token, &[key.public()], &expected()).expect("it is clear which");
        let two = [key.public(), ProviderKey::ed25519("two").public()];
        assert_eq!(identity(&token, &two, &expected()), REFUSED);
    }

    #[test]
    fn a_token_of_another_issuer_for_another_audience_or_of_another_sign_in_is_refused() {
        judged(&claims()).expect("genuine");
        for issuer in ["https://idp.example/", "https://evil.example", ""] {
            assert_eq!(judged(&with("iss", issuer.into())), REFUSED, "{issuer}");
        }
        for audience in [json!("another"), json!(["another"]), json!([]), json!("")] {
            assert_eq!(judged(&with("aud", audience)), REFUSED);
        }
        let several = with("aud", json!(["matricula", "another"]));
        assert_eq!(judged(&several), REFUSED, "nobody says for whom it was made");
        let mut party = several.clone();
        party["azp"] = "another".into();
        assert_eq!(judged(&party), REFUSED);
        party["azp"] = "matricula".into();
        judged(&party).expect("it was made for us");
        assert_eq!(judged(&with("azp", "another".into())), REFUSED);
        for nonce in ["another", "", "the nonce "] {
            assert_eq!(judged(&with("nonce", nonce.into())), REFUSED, "{nonce}");
        }
        for name in ["iss", "aud", "sub", "nonce", "iat", "exp"] {
            assert_eq!(judged(&without(name)), REFUSED, "without {name}");
        }
    }

    #[test]
    fn a_token_is_good_now_and_clocks_differ_by_a_minute() {
        judged(&with("iat", at(60))).expect("their clock is ahead");
        assert_eq!(judged(&with("iat", at(61))), REFUSED, "it is from the future");
        assert_eq!(judged(&with("iat", at(-661))), REFUSED, "it is of an earlier sign-in");
        judged(&with("exp", at(-59))).expect("their clock is behind");
        assert_eq!(judged(&with("exp", at(-60))), REFUSED, "it has expired");
        assert_eq!(judged(&with("nbf", at(61))), REFUSED);
        for absurd in [i64::MAX, i64::MIN, 253_402_207_200, -377_705_023_201] {
            assert_eq!(judged(&with("iat", absurd.into())), REFUSED, "{absurd}");
        }
    }

    #[test]
    fn an_address_counts_only_where_the_provider_has_verified_it() {
        for verified in [json!(false), json!("true"), json!(1), Value::Null] {
            let found = judged(&with("email_verified", verified)).expect("genuine");
            assert_eq!(found.email, None);
        }
        assert_eq!(judged(&without("email_verified")).expect("genuine").email, None);
        assert_eq!(judged(&with("email", "no address".into())).expect("genuine").email, None);
        assert_eq!(judged(&with("sub", " ".into())), REFUSED);
        assert_eq!(judged(&with("sub", "x".repeat(256).into())), REFUSED);
    }
}
