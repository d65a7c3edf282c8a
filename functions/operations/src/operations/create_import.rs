//! A new import, with an address to upload its file to.

use std::time::Duration;

use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};

use super::{IMPORTERS, upload_key};
use crate::Ctx;
use crate::domain::{Format, Import, State};

pub const ROUTE: Route = Route::create(
    "create-import",
    "/imports",
    IMPORTERS,
    "Begin an import: upload a OneRoster 1.2 zip, or a table of people, to the address in the reply",
)
.for_clients(ClientScope::ImportsWrite);

/// How long the file may be uploaded.
const UPLOAD_VALID: Duration = Duration::from_mins(15);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What the file is called at home; for people only.
    #[schemars(length(min = 1, max = 200))]
    pub file_name: String,
    /// OneRoster where it is left out.
    #[serde(default)]
    pub format: Format,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: ImportId,
    pub state: State,
    /// PUT the file here within 15 minutes; whoever holds the address may.
    pub upload_url: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { file_name, format } = call.command.clone();
    let creator = call.caller.as_ref().map(|caller| caller.person);
    let import = Import::new(call.new_id(), file_name, format, creator, call.now);
    let upload_url = ctx.imports.upload_url(&upload_key(import.id, format), UPLOAD_VALID).await?;
    let reply = Reply { id: import.id, state: import.state, upload_url };
    let mut transaction = ctx.table.transaction();
    transaction.create(&import);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use bucket::Bucket;

    use super::*;
    use crate::stub;

    fn command() -> Command {
        Command { file_name: "autumn.zip".into(), format: Format::Oneroster }
    }

    #[tokio::test]
    async fn an_import_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |_| testkit::call(command()),
            async |table, call| handle(&stub::ctx(table), call).await.map(drop),
            async |table, call| {
                let key = table::StoredReply::key_of(
                    &call.idempotency_key.as_ref().expect("a key").scope,
                );
                assert!(table.get(&key).await.expect("reads").is_some());
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_address_takes_the_file_and_no_other_for_a_quarter_of_an_hour() {
        let (test, stub) = (testkit::TestTable::new().await, stub::Stub::start().await);
        let imports = Bucket::at(&stub.config(), "imports");
        let ctx = Ctx { imports, ..stub::ctx(&test.table) };
        let reply = handle(&ctx, &testkit::call(command())).await.expect("an import");
        let (address, query) = reply.upload_url.split_once('?').expect("a signed address");
        assert!(address.ends_with(&format!("/imports/imports/{}/upload.zip", reply.id)));
        assert!(query.contains("X-Amz-Expires=900"));
        assert!(!query.contains("checksum"), "nobody knows the file's checksum yet: {query}");
    }
}
