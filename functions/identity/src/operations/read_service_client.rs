//! A service client: what it is allowed, until when, and which of its secrets are in use.

use kernel::{ClientSecretId, PersonId, ServiceClientId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::create_service_client::ADMINISTRATORS;
use crate::Ctx;
use crate::client_store::{self, KnownClient};
use crate::domain::{self, ClientSettings, ClientUses};

pub const ROUTE: Route = Route::get(
    "read-service-client",
    "/service-clients/{client}",
    ADMINISTRATORS,
    "Read what another system may call",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub client: ServiceClientId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub id: ServiceClientId,
    pub version: u64,
    pub settings: ClientSettings,
    /// The oldest first; those that have ended are gone with the next rotation.
    pub secrets: Vec<Secret>,
    pub created_at: Timestamp,
    pub created_by: PersonId,
    pub ended_at: Option<Timestamp>,
    /// When it last got an access token, as any of its secrets tells.
    pub last_used_at: Option<Timestamp>,
}

/// What is told of a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Secret {
    pub id: ClientSecretId,
    pub made_at: Timestamp,
    pub ends_at: Option<Timestamp>,
    /// Within some minutes.
    pub last_used_at: Option<Timestamp>,
}

impl Reply {
    pub(super) fn of(client: &domain::Client, uses: &ClientUses, version: u64) -> Self {
        let secret = |secret: &domain::ClientSecret| Secret {
            id: secret.id,
            made_at: secret.made_at,
            ends_at: secret.ends_at,
            last_used_at: uses.last_of(secret.id),
        };
        let secrets: Vec<Secret> = client.secrets.iter().map(secret).collect();
        Self {
            id: client.id,
            version,
            settings: client.settings.clone(),
            last_used_at: secrets.iter().filter_map(|secret| secret.last_used_at).max(),
            secrets,
            created_at: client.created_at,
            created_by: client.created_by,
            ended_at: client.ended_at,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let found = client_store::client(&ctx.table, call.command.client).await?;
    let KnownClient { client, uses: (uses, _), .. } = found;
    Ok(Reply::of(&client.value, &uses, client.version))
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::super::create_service_client::{self, tests::library};
    use super::*;
    use crate::fixtures::{by_administrator, code, ctx};

    #[tokio::test]
    async fn a_client_is_shown_as_it_was_made_without_its_secret() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let made = create_service_client::handle(&ctx, &by_administrator(library())).await;
        let made = made.expect("made");
        let client = made.client.id;
        let read = handle(&ctx, &by_administrator(Command { client })).await.expect("reads");
        assert_eq!(read, made.client);
        assert!(!serde_json::json!(read).to_string().contains(&made.secret.expect("shown")));
        let nobody = by_administrator(Command { client: Id::derived_from("nobody") });
        assert_eq!(code(handle(&ctx, &nobody).await), "CLIENT_UNKNOWN");
    }
}
