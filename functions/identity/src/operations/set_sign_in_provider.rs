//! A sign-in provider, agreed upon or described anew. Its issuer stays: another one would call other people by the same
//! names.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::create_service_client::ADMINISTRATORS;
use super::read_sign_in_provider::Reply;
use crate::domain::{Provider, ProviderCode, ProviderSettings, Refusal};
use crate::{Ctx, sign_in_store};

pub const ROUTE: Route = Route::put(
    "set-sign-in-provider",
    "/sign-in-providers/{provider}",
    ADMINISTRATORS,
    "Let people sign in with another provider",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub provider: ProviderCode,
    pub settings: ProviderSettings,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { provider: code, settings } = call.command.clone();
    ctx.relying_party.check_issuer(&settings.issuer)?;
    let standing = ctx.table.get(&sign_in_store::provider_key(&code)).await?;
    if let Some(standing) = standing.as_ref().filter(|known| known.value.settings == settings) {
        return Ok(Reply::of(&standing.value, standing.version));
    }
    if standing.as_ref().is_some_and(|known| known.value.settings.issuer != settings.issuer) {
        return Err(Refusal::ProviderAddressFixed.into());
    }
    let provider = Provider { code, settings, changed_at: call.now };
    let read_version = standing.map(|standing| standing.version);
    let mut transaction = ctx.table.transaction();
    transaction.put(&provider, read_version);
    transaction.commit().await?;
    Ok(Reply::of(&provider, read_version.unwrap_or_default() + 1))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::fixtures::{by_administrator, code, ctx, university};

    pub async fn agreed(ctx: &Ctx, settings: ProviderSettings) -> ProviderCode {
        let provider = ProviderCode("university".into());
        let command = Command { provider: provider.clone(), settings };
        handle(ctx, &by_administrator(command)).await.expect("agreed");
        provider
    }

    #[tokio::test]
    async fn a_provider_is_set_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let provider = agreed(&ctx, university("https://idp.example")).await;
                let mut settings = university("https://idp.example");
                settings.title = "The university".into();
                by_administrator(Command { provider, settings })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = sign_in_store::provider_key(&call.command.provider);
                let stored = table.get(&key).await.expect("reads").expect("it is there");
                assert_eq!(stored.version, 2);
                assert_eq!(stored.value.settings.title, "The university");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn an_issuer_in_our_own_network_or_another_than_before_is_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let provider = agreed(&ctx, university("https://idp.example")).await;
        let refused = async |issuer: &str| {
            let command = Command { provider: provider.clone(), settings: university(issuer) };
            code(handle(&ctx, &by_administrator(command)).await)
        };
        assert_eq!(refused("https://10.0.0.1").await, "PROVIDER_ADDRESS_WRONG");
        assert_eq!(refused("http://idp.example").await, "PROVIDER_ADDRESS_WRONG");
        assert_eq!(refused("https://other.example").await, "PROVIDER_ADDRESS_FIXED");
    }
}
