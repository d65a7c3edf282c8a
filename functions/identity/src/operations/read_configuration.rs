//! Where everything is that a client of ours has to know, as OpenID Connect Discovery 1.0 puts it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Route};

use super::{issue_client_token, read_keys};
use crate::Ctx;

pub const ROUTE: Route = Route::get(
    "read-configuration",
    "/.well-known/openid-configuration",
    Access::Public,
    "Read where keys and tokens are to be had",
)
.cached_s(300);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub issuer: String,
    pub jwks_uri: String,
    pub token_endpoint: String,
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    pub grant_types_supported: Vec<&'static str>,
    pub scopes_supported: Vec<&'static str>,
    pub response_types_supported: Vec<&'static str>,
    pub subject_types_supported: Vec<&'static str>,
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
    pub claims_supported: Vec<&'static str>,
}

#[allow(clippy::unused_async, reason = "the shell calls every operation in the same way")]
pub async fn handle(ctx: &Ctx, _call: &Call<Command>) -> Result<Reply, Failure> {
    let issuer = ctx.issuer();
    Ok(Reply {
        issuer: issuer.to_owned(),
        jwks_uri: format!("{issuer}{}", read_keys::ROUTE.path),
        token_endpoint: format!("{issuer}{}", issue_client_token::ROUTE.path),
        token_endpoint_auth_methods_supported: vec!["client_secret_basic", "client_secret_post"],
        grant_types_supported: vec!["client_credentials"],
        scopes_supported: ClientScope::ALL.iter().map(|scope| scope.name()).collect(),
        response_types_supported: vec!["token"],
        subject_types_supported: vec!["public"],
        id_token_signing_alg_values_supported: vec!["EdDSA"],
        claims_supported: vec!["iss", "aud", "sub", "sid", "iat", "exp"],
    })
}

#[cfg(test)]
mod tests {
    use shell::http::Door;
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::fixtures::ctx;

    #[tokio::test]
    async fn the_document_names_this_stage_and_may_be_kept_for_a_while() {
        let test = testkit::TestTable::new().await;
        let event = testkit::http_event("GET", &[], &serde_json::Value::Null, None);
        let door = Door::<Command>::new(&ROUTE);
        let deadline = Instant::now() + Duration::from_secs(30);
        let reply = door.answer(&ctx(&test.table), &handle, &event, deadline).await;
        assert_eq!(reply["statusCode"], 200);
        assert_eq!(reply["headers"]["cache-control"], "public, max-age=300");
        let body: serde_json::Value =
            serde_json::from_str(reply["body"].as_str().expect("a body")).expect("JSON");
        assert_eq!(body["issuer"], "https://test.matricula.example");
        let keys = "https://test.matricula.example/.well-known/jwks.json";
        assert_eq!(body["jwks_uri"], keys);
        assert_eq!(body["token_endpoint"], "https://test.matricula.example/oauth/token");
        assert_eq!(body["grant_types_supported"], serde_json::json!(["client_credentials"]));
    }
}
