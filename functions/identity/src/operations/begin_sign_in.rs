//! A sign-in with another provider is begun: the browser is told where to go, and gets a handle that only it has. What
//! goes to the provider follows from the handle, which is kept as a digest alone.

use kernel::{SignInId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, Failure, Route};

use crate::domain::{Provider, ProviderCode, Refusal, SignIn};
use crate::relying_party::Challenge;
use crate::{Ctx, client_secrets, sign_in_store};

pub const ROUTE: Route = Route::call(
    "begin-sign-in",
    "/sign-ins",
    Access::Public,
    "Begin a sign-in with another provider",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub provider: ProviderCode,
}

#[derive(Clone, Serialize, JsonSchema)]
pub struct Reply {
    pub sign_in: SignInId,
    /// To be kept where nobody else reads it, and sent when the browser comes back.
    pub handle: String,
    /// Where the browser goes; it comes back with `code` and `state`.
    pub authorization_url: String,
    pub expires_at: Timestamp,
}

/// The handle does not reach a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, …)", self.sign_in)
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = sign_in_store::provider_key(&call.command.provider);
    let provider = ctx.table.get(&key).await?.map(|provider| provider.value);
    let provider = provider.filter(Provider::is_open);
    let provider = provider.ok_or(Refusal::ProviderUnknown)?;
    let handle = client_secrets::random_text()?;
    let challenge = Challenge::of(&handle);
    let authorization_url = ctx
        .relying_party
        .authorization_url(&provider.settings, &challenge, ctx.redirect_uri(), call.now)
        .await?;
    let sign_in = SignIn {
        id: call.new_id(),
        provider: provider.code,
        handle: client_secrets::digest_of(&handle),
        begun_at: call.now,
        spent_at: None,
    };
    let mut transaction = ctx.table.transaction();
    transaction.create(&sign_in);
    transaction.commit().await?;
    let expires_at = sign_in.expires_at();
    Ok(Reply { sign_in: sign_in.id, handle, authorization_url, expires_at })
}

#[cfg(test)]
mod tests {
    use super::super::set_sign_in_provider::tests::agreed;
    use super::*;
    use crate::fixtures::{PlayedProvider, code, ctx, university};

    #[tokio::test]
    async fn a_sign_in_is_begun_whatever_happens_on_the_wire_and_its_handle_is_not_kept() {
        let provider = PlayedProvider::start().await;
        testkit::under_every_fault(
            async |table| {
                let provider = agreed(&ctx(table), university(&provider.issuer)).await;
                testkit::call(Command { provider })
            },
            async |table, call| {
                let reply = handle(&ctx(table), call).await?;
                let stored = table.get(&sign_in_store::sign_in_key(reply.sign_in)).await?;
                let stored = serde_json::json!(stored.expect("begun").value).to_string();
                let challenge = Challenge::of(&reply.handle);
                for secret in [&reply.handle, &challenge.verifier, &challenge.nonce] {
                    assert!(!stored.contains(secret.as_str()));
                }
                for secret in [&reply.handle, &challenge.verifier] {
                    assert!(!reply.authorization_url.contains(secret.as_str()));
                }
                Ok(())
            },
            async |_, _| {},
        )
        .await;
    }

    #[tokio::test]
    async fn the_browser_is_sent_to_the_provider_with_a_challenge() {
        let played = PlayedProvider::start().await;
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let provider = agreed(&ctx, university(&played.issuer)).await;
        let reply = handle(&ctx, &testkit::call(Command { provider })).await.expect("begun");
        let (place, query) = reply.authorization_url.split_once('?').expect("a query");
        assert_eq!(place, format!("{}/authorize", played.issuer));
        let query: std::collections::BTreeMap<_, _> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["code_challenge"].len(), 43);
        assert_eq!(query["client_id"], "matricula");
        assert_eq!(query["state"], Challenge::of(&reply.handle).state);
        assert_eq!(query["nonce"], Challenge::of(&reply.handle).nonce);
        assert_eq!(reply.expires_at, testkit::now() + SignIn::VALID);
    }

    #[tokio::test]
    async fn nobody_signs_in_with_a_provider_that_is_none_or_is_not_active() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let unknown = Command { provider: ProviderCode("nobody".into()) };
        assert_eq!(code(handle(&ctx, &testkit::call(unknown)).await), "PROVIDER_UNKNOWN");
        let mut settings = university("https://idp.example");
        settings.is_active = false;
        let provider = agreed(&ctx, settings).await;
        let closed = testkit::call(Command { provider });
        assert_eq!(code(handle(&ctx, &closed).await), "PROVIDER_UNKNOWN");
    }

    #[tokio::test]
    async fn nobody_signs_in_with_a_provider_that_was_given_the_secret_or_the_ids_of_another() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        // As they could be agreed upon before.
        for (secret, system) in [("university", "idp:evil"), ("evil", "idp:university")] {
            let code_of_evil = ProviderCode("evil".into());
            let mut settings = university("https://evil.example");
            settings.client_secret = Some(secret.into());
            settings.external_id.system = system.into();
            let changed_at = testkit::now();
            let planted = Provider { code: code_of_evil.clone(), settings, changed_at };
            let mut transaction = ctx.table.transaction();
            transaction.overwrite(&planted);
            transaction.commit().await.expect("written");
            let begin = testkit::call(Command { provider: code_of_evil });
            assert_eq!(code(handle(&ctx, &begin).await), "PROVIDER_UNKNOWN");
        }
    }
}
