//! A service client's name, what it is allowed, or when it expires, changed. Tokens that it has follow within a minute.

use kernel::{ServiceClientId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, ClientScope, Failure, Route};

use super::create_service_client::ADMINISTRATORS;
use super::read_service_client::Reply;
use crate::client_store::{self, KnownClient};
use crate::domain::ClientSettings;
use crate::{Ctx, audit};

pub const ROUTE: Route = Route::edit(
    "edit-service-client",
    "/service-clients/{client}",
    ADMINISTRATORS,
    "Change what another system may call",
);

/// What is absent stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub client: ServiceClientId,
    #[schemars(length(min = 1, max = 100))]
    pub name: Option<String>,
    #[schemars(length(min = 1, max = 5), extend("uniqueItems" = true))]
    pub scopes: Option<Vec<ClientScope>>,
    pub expires_at: Option<Timestamp>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { client, name, scopes, expires_at } = call.command.clone();
    let found = client_store::client(&ctx.table, client).await?;
    let KnownClient { mut client, uses: (uses, _), trail } = found;
    let standing = client.value.clone();
    let before = &standing.settings;
    let settings = ClientSettings {
        name: name.unwrap_or_else(|| before.name.clone()),
        scopes: scopes.unwrap_or_else(|| before.scopes.clone()),
        expires_at: expires_at.unwrap_or(before.expires_at),
    };
    // An edit whose reply was lost comes again with the version from before it: it has had its effect.
    if settings == *before {
        return Ok(Reply::of(&client.value, &uses, client.version));
    }
    call.check_version(client.version)?;
    client.value.edit(settings, call.now)?;
    let mut transaction = ctx.table.transaction();
    transaction.update(&client);
    let noted = audit::client(Some(&standing), &client.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    transaction.commit().await?;
    Ok(Reply::of(&client.value, &uses, client.version + 1))
}

#[cfg(test)]
mod tests {
    use super::super::create_service_client::{self, tests::library};
    use super::super::end_service_client;
    use super::*;
    use crate::fixtures::{by_administrator, code, ctx, noted};

    async fn less(ctx: &Ctx) -> Call<Command> {
        let made = create_service_client::handle(ctx, &by_administrator(library())).await;
        let client = made.expect("made").client.id;
        let scopes = Some(vec![ClientScope::CatalogRead]);
        let command = Command { client, name: None, scopes, expires_at: None };
        Call { if_match: Some(1), ..by_administrator(command) }
    }

    #[tokio::test]
    async fn a_client_is_changed_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| less(&ctx(table)).await,
            async |table, call| {
                let reply = handle(&ctx(table), call).await?;
                assert_eq!((reply.version, reply.settings.scopes.len()), (2, 1));
                assert_eq!(reply.settings.name, "Library");
                Ok(())
            },
            async |table, call| {
                let id = call.command.client;
                let found = client_store::client(table, id).await.expect("reads");
                assert_eq!(found.client.version, 2);
                let told = "service-client: scopes catalog:read; enrollment:read → catalog:read";
                assert_eq!(noted(table, id, ROUTE.operation).await, [told]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_client_that_has_changed_meanwhile_or_has_ended_is_not_changed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = less(&ctx).await;
        let stale = Call { if_match: Some(0), ..call.clone() };
        assert_eq!(code(handle(&ctx, &stale).await), "PRECONDITION_FAILED");
        let end = end_service_client::Command { client: call.command.client };
        end_service_client::handle(&ctx, &by_administrator(end)).await.expect("ends");
        let late = Call { if_match: Some(2), ..call };
        assert_eq!(code(handle(&ctx, &late).await), "CLIENT_ENDED");
    }
}
