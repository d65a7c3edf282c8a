//! The next secret of a service client, shown this once; the one before stands for a while beside it.

use kernel::{ServiceClientId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::create_service_client::{ADMINISTRATORS, Reply};
use super::read_service_client::Reply as Client;
use crate::client_store::{self, KnownClient};
use crate::{Ctx, audit, client_secrets};

pub const ROUTE: Route = Route::act(
    "rotate-client-secret",
    "/service-clients/{client}/secrets",
    ADMINISTRATORS,
    "Give another system its next secret",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub client: ServiceClientId,
    /// When the secret before ends: a week from now where it is absent, 90 days at most; in the past, it ends at once.
    pub old_ends_at: Option<Timestamp>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { client, old_ends_at } = call.command;
    let found = client_store::client(&ctx.table, client).await?;
    let KnownClient { mut client, uses: (uses, uses_version), trail } = found;
    let standing = client.value.clone();
    let secret = client_secrets::new_secret()?;
    let next = (call.new_id(), client_secrets::digest_of(&secret));
    client.value.rotate(next, old_ends_at, &uses, call.now)?;
    let shown = Client::of(&client.value, &uses, client.version + 1);
    let reply = Reply { client: shown, secret: None };
    let mut transaction = ctx.table.transaction();
    transaction.update(&client);
    // A secret that somebody begins to use meanwhile is not taken for one whose reply was lost.
    transaction.check(&client_store::uses_key(client.value.id), uses_version);
    let noted = audit::client(Some(&standing), &client.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(Reply { secret: Some(secret), ..reply })
}

#[cfg(test)]
mod tests {
    use super::super::create_service_client::{self, tests::library};
    use super::*;
    use crate::fixtures::{by_administrator, ctx, noted};

    #[tokio::test]
    async fn a_secret_is_added_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let call = by_administrator(library());
                let made = create_service_client::handle(&ctx(table), &call).await.expect("made");
                by_administrator(Command { client: made.client.id, old_ends_at: None })
            },
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let id = call.command.client;
                let client = client_store::client(table, id).await.expect("reads").client;
                assert_eq!((client.version, client.value.secrets.len()), (2, 2));
                let [old, new] = client.value.secrets.as_slice() else { panic!("two of them") };
                assert!(old.ends_at.is_some() && new.ends_at.is_none());
                let told = format!(
                    "service-client: secrets {} → {} until 2027-01-22T08:30:00Z; {}",
                    old.id, old.id, new.id
                );
                assert_eq!(noted(table, id, ROUTE.operation).await, [told]);
            },
        )
        .await;
    }
}
