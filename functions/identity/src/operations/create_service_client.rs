//! A service client with its first secret, which is shown this once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};
use table::Trail;

use super::read_service_client::Reply as Client;
use crate::domain::{self, ClientSettings, ClientUses};
use crate::{Ctx, audit, client_secrets};

/// Whoever keeps the service clients.
pub(super) const ADMINISTRATORS: Access =
    Access::Roles(&[Allow { role: Role::Administrator, scope: Scope::All }]);

pub const ROUTE: Route = Route::create(
    "create-service-client",
    "/service-clients",
    ADMINISTRATORS,
    "Let another system call the API",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub settings: ClientSettings,
}

#[derive(Clone, Serialize, JsonSchema)]
pub struct Reply {
    pub client: Client,
    /// Shown once: the reply to a repeated call has none. Rotate the secrets where it was lost.
    pub secret: Option<String>,
}

/// Secrets do not reach a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, …)", self.client.id)
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let settings = call.command.settings.clone();
    settings.check(call.now)?;
    let secret = client_secrets::new_secret()?;
    let mut client = domain::Client {
        id: call.new_id(),
        settings,
        secrets: Vec::new(),
        created_at: call.now,
        created_by: call.person(),
        ended_at: None,
    };
    let uses = ClientUses::none_of(client.id);
    client.rotate((call.new_id(), client_secrets::digest_of(&secret)), None, &uses, call.now)?;
    let reply = Reply { client: Client::of(&client, &uses, 1), secret: None };
    let mut transaction = ctx.table.transaction();
    transaction.create(&client);
    let noted = audit::client(None, &client);
    Trail::begin(client.id).append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(Reply { secret: Some(secret), ..reply })
}

#[cfg(test)]
pub mod tests {
    use jiff::SignedDuration;
    use shell::ClientScope;
    use table::PageRequest;

    use super::*;
    use crate::client_store;
    use crate::domain::Client;
    use crate::fixtures::{by_administrator, code, ctx, noted};

    pub fn library() -> Command {
        let settings = ClientSettings {
            name: "Library".into(),
            scopes: vec![ClientScope::CatalogRead, ClientScope::EnrollmentRead],
            expires_at: testkit::now() + SignedDuration::from_hours(24),
        };
        Command { settings }
    }

    #[tokio::test]
    async fn a_client_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| by_administrator(library()),
            async |table, call| {
                let reply = handle(&ctx(table), call).await?;
                assert!(reply.secret.is_some_and(|secret| secret.starts_with("mcs_")));
                Ok(())
            },
            async |table, _| {
                let page = table.query(&client_store::clients(), &PageRequest::default()).await;
                let made = page.expect("reads").records;
                assert_eq!(made.len(), 1);
                let Client { id, secrets, .. } = &made[0].value;
                let told = format!(
                    "service-client: name – → Library, scopes – → catalog:read; enrollment:read, \
                     expires_at – → 2027-01-16T08:30:00Z, secrets – → {}",
                    secrets[0].id
                );
                assert_eq!(noted(table, *id, ROUTE.operation).await, [told]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn neither_the_table_nor_a_repeated_reply_holds_the_secret() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let call = by_administrator(library());
        let first = shell::http::carry_out(&ctx, &handle, &call).await.expect("made");
        let secret = first["secret"].as_str().expect("it is shown").to_owned();
        let again = shell::http::carry_out(&ctx, &handle, &call).await.expect("made before");
        assert_eq!(
            (&again["secret"], &again["client"]),
            (&serde_json::Value::Null, &first["client"])
        );
        let id = first["client"]["id"].as_str().expect("an id").parse().expect("an id");
        let stored = client_store::client(&ctx.table, id).await.expect("reads").client.value;
        assert!(!serde_json::json!(stored).to_string().contains(&secret));
        assert!(!format!("{stored:?}").contains(&stored.secrets[0].digest.0));
    }

    #[tokio::test]
    async fn a_client_without_an_end_in_sight_is_refused() {
        let test = testkit::TestTable::new().await;
        let mut command = library();
        command.settings.expires_at = testkit::now() + SignedDuration::from_hours(3 * 365 * 24);
        let refused = handle(&ctx(&test.table), &by_administrator(command)).await;
        assert_eq!(code(refused), "CLIENT_EXPIRY_INVALID");
    }
}
