//! The end of a service client: its tokens are no good within a minute, and it gets no others.

use kernel::ServiceClientId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::create_service_client::ADMINISTRATORS;
use crate::client_store::{self, KnownClient};
use crate::{Ctx, audit};

pub const ROUTE: Route = Route::delete(
    "end-service-client",
    "/service-clients/{client}",
    ADMINISTRATORS,
    "Let another system call no more",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub client: ServiceClientId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<(), Failure> {
    let found = client_store::client(&ctx.table, call.command.client).await?;
    let KnownClient { mut client, trail, .. } = found;
    let standing = client.value.clone();
    if !client.value.end(call.now) {
        return Ok(());
    }
    let mut transaction = ctx.table.transaction();
    transaction.update(&client);
    let noted = audit::client(Some(&standing), &client.value);
    trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::super::create_service_client::{self, tests::library};
    use super::*;
    use crate::fixtures::{by_administrator, ctx, noted};

    #[tokio::test]
    async fn a_client_ends_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let call = by_administrator(library());
                let made = create_service_client::handle(&ctx(table), &call).await;
                Command { client: made.expect("made").client.id }
            },
            async |table, command| handle(&ctx(table), &by_administrator(command.clone())).await,
            async |table, command| {
                let client = client_store::client(table, command.client).await;
                let client = client.expect("reads").client;
                assert_eq!((client.version, client.value.ended_at), (2, Some(testkit::now())));
                let told = format!("service-client: ended_at – → {}", testkit::NOW);
                assert_eq!(noted(table, command.client, ROUTE.operation).await, [told]);
            },
        )
        .await;
    }
}
