//! The public halves of the keys that sign access tokens, as a JSON Web Key Set (RFC 7517): whoever gets a token of
//! ours can check it alone. A key is here before it signs, and as long as anything that it signed is good.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;

pub const ROUTE: Route = Route::get(
    "read-keys",
    "/.well-known/jwks.json",
    Access::Public,
    "Read the keys that access tokens are signed with",
)
.cached_s(300);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub keys: Vec<PublicKey>,
}

/// An Ed25519 key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PublicKey {
    pub kty: &'static str,
    pub crv: &'static str,
    #[serde(rename = "use")]
    pub usage: &'static str,
    pub alg: &'static str,
    pub kid: String,
    pub x: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let keys = ctx.key_ring.keys(call.now).await?;
    let key = |(kid, x): (&str, String)| PublicKey {
        kty: "OKP",
        crv: "Ed25519",
        usage: "sig",
        alg: "EdDSA",
        kid: kid.to_owned(),
        x,
    };
    Ok(Reply { keys: keys.public_keys().map(key).collect() })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};

    use super::*;
    use crate::fixtures::{ada_logged_in, ctx};

    #[tokio::test]
    async fn whoever_reads_the_keys_can_check_a_token_alone() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let tokens = ada_logged_in(&ctx).await;
        drop(test.engine.take_calls());
        let reply = handle(&ctx, &testkit::call(Command {})).await.expect("keys");
        assert_eq!(test.engine.take_calls().values().sum::<u64>(), 0);
        let header = jsonwebtoken::decode_header(&tokens.access_token).expect("a header");
        let key = reply.keys.iter().find(|key| Some(&key.kid) == header.kid.as_ref());
        let key = key.expect("the key is published");
        assert!(!serde_json::to_string(key).expect("JSON").contains("\"d\""), "nothing private");
        let key = DecodingKey::from_ed_components(&key.x).expect("a public key");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_audience(&["matricula-api"]);
        let token =
            jsonwebtoken::decode::<serde_json::Value>(&tokens.access_token, &key, &validation);
        let claims = token.expect("it is good").claims;
        assert_eq!(claims["sub"], tokens.person.to_string());
        assert_eq!(claims["iss"], "https://test.matricula.example");
    }
}
