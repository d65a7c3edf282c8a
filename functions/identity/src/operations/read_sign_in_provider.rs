//! What is agreed with a sign-in provider.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::create_service_client::ADMINISTRATORS;
use crate::domain::{Provider, ProviderCode, ProviderSettings, Refusal};
use crate::{Ctx, sign_in_store};

pub const ROUTE: Route = Route::get(
    "read-sign-in-provider",
    "/sign-in-providers/{provider}",
    ADMINISTRATORS,
    "Read what is agreed with a sign-in provider",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub provider: ProviderCode,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub provider: ProviderCode,
    pub version: u64,
    pub settings: ProviderSettings,
    pub changed_at: Timestamp,
}

impl Reply {
    pub(super) fn of(provider: &Provider, version: u64) -> Self {
        let Provider { code: provider, settings, changed_at } = provider.clone();
        Self { provider, version, settings, changed_at }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let key = sign_in_store::provider_key(&call.command.provider);
    let provider = ctx.table.get(&key).await?.ok_or(Refusal::ProviderUnknown)?;
    Ok(Reply::of(&provider.value, provider.version))
}

#[cfg(test)]
mod tests {
    use super::super::set_sign_in_provider::tests::agreed;
    use super::*;
    use crate::fixtures::{by_administrator, code, ctx, university};

    #[tokio::test]
    async fn a_provider_is_shown_as_it_was_agreed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let settings = university("https://idp.example");
        let provider = agreed(&ctx, settings.clone()).await;
        let read = handle(&ctx, &by_administrator(Command { provider })).await.expect("reads");
        assert_eq!((read.version, read.settings), (1, settings));
        let nobody = by_administrator(Command { provider: ProviderCode("nobody".into()) });
        assert_eq!(code(handle(&ctx, &nobody).await), "PROVIDER_UNKNOWN");
    }
}
