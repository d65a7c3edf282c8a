//! A sign-in provider, agreed upon or described anew in the place of what was read. Its issuer stays: another one would
//! call other people by the same names.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::Trail;

use super::create_service_client::ADMINISTRATORS;
use super::read_sign_in_provider::Reply;
use crate::domain::{Provider, ProviderCode, ProviderSettings, Refusal};
use crate::{Ctx, audit, sign_in_store};

pub const ROUTE: Route = Route::replace(
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
    settings.check_bound(&code)?;
    let (key, chain) = (sign_in_store::provider_key(&code), audit::chain_of_provider(&code));
    let mut batch = ctx.table.get_batch(vec![(&key).into(), Trail::key(&chain)]).await?;
    let (standing, trail) = (batch.take(&key)?, Trail::take(&mut batch, &chain)?);
    // An edit whose reply was lost comes again with the version from before it: it has had its effect.
    if let Some(standing) = standing.as_ref().filter(|known| known.value.settings == settings) {
        return Ok(Reply::of(&standing.value, standing.version));
    }
    if standing.as_ref().is_some_and(|known| known.value.settings.issuer != settings.issuer) {
        return Err(Refusal::ProviderAddressFixed.into());
    }
    let read_version = standing.as_ref().map(|standing| standing.version);
    call.check_version(read_version.unwrap_or_default())?;
    let provider = Provider { code, settings, changed_at: call.now };
    let mut transaction = ctx.table.transaction();
    transaction.put(&provider, read_version);
    let noted = audit::provider(standing.as_ref().map(|standing| &standing.value), &provider);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    transaction.commit().await?;
    Ok(Reply::of(&provider, read_version.unwrap_or_default() + 1))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::fixtures::{by_administrator, code, ctx, noted, university};

    pub async fn agreed(ctx: &Ctx, settings: ProviderSettings) -> ProviderCode {
        let provider = ProviderCode("university".into());
        let command = Command { provider: provider.clone(), settings };
        handle(ctx, &by_administrator(command)).await.expect("agreed");
        provider
    }

    fn renamed(provider: ProviderCode, title: &str, if_match: u64) -> Call<Command> {
        let mut settings = university("https://idp.example");
        settings.title = title.into();
        let call = by_administrator(Command { provider, settings });
        Call { if_match: Some(if_match), ..call }
    }

    #[tokio::test]
    async fn a_provider_is_set_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                let provider = agreed(&ctx, university("https://idp.example")).await;
                renamed(provider, "The university", 1)
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let key = sign_in_store::provider_key(&call.command.provider);
                let stored = table.get(&key).await.expect("reads").expect("it is there");
                assert_eq!(stored.version, 2);
                assert_eq!(stored.value.settings.title, "The university");
                let before = university("https://idp.example").title;
                let told = format!("sign-in-provider: title {before} → The university");
                let entries = noted(table, "provider:university", ROUTE.operation).await;
                assert_eq!((entries.len(), &entries[1]), (2, &told));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn who_has_read_another_version_overwrites_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let new = ProviderCode("university".into());
        let too_early = handle(&ctx, &renamed(new.clone(), "University", 1)).await;
        assert_eq!(code(too_early), "PRECONDITION_FAILED", "there is none of that version");
        handle(&ctx, &renamed(new.clone(), "University", 0)).await.expect("it is new");
        let late = handle(&ctx, &renamed(new.clone(), "The university", 0)).await;
        assert_eq!(code(late), "PRECONDITION_FAILED");
        let read = handle(&ctx, &renamed(new, "The university", 1)).await.expect("as it was read");
        assert_eq!(read.version, 2);
    }

    async fn refused_as_another(change: impl Fn(&mut ProviderSettings)) -> &'static str {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        agreed(&ctx, university("https://idp.example")).await;
        let mut settings = university("https://evil.example");
        settings.client_secret = Some("evil".into());
        settings.external_id.system = "idp:evil".into();
        let provider = ProviderCode("evil".into());
        let own = Command { provider: provider.clone(), settings: settings.clone() };
        change(&mut settings);
        let refused = handle(&ctx, &by_administrator(Command { provider, settings })).await;
        handle(&ctx, &by_administrator(own)).await.expect("with its own it is as good as any");
        code(refused)
    }

    #[tokio::test]
    async fn the_secret_of_one_provider_is_never_sent_to_another() {
        let refused =
            refused_as_another(|settings| settings.client_secret = Some("university".into())).await;
        assert_eq!(refused, "PROVIDER_SECRET_OF_ANOTHER");
    }

    #[tokio::test]
    async fn a_provider_names_nobody_by_the_ids_of_another() {
        let refused =
            refused_as_another(|settings| settings.external_id.system = "idp:university".into());
        assert_eq!(refused.await, "PROVIDER_IDS_OF_ANOTHER");
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
