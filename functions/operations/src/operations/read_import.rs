//! One import: what was found in its file, and how far it is applied.

use kernel::{ImportId, Locale, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};

use super::IMPORTERS;
use crate::Ctx;
use crate::domain::{Counts, Format, Import, Progress, SENTENCES, State};
use crate::store;

pub const ROUTE: Route =
    Route::get("read-import", "/imports/{import}", IMPORTERS, "Read an import and its progress")
        .for_clients(ClientScope::ImportsWrite);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub id: ImportId,
    pub version: u64,
    pub file_name: String,
    pub format: Format,
    pub created_at: Timestamp,
    pub state: State,
    /// Rows that there are to apply; zero until the file is validated.
    pub counts: Counts,
    pub progress: Progress,
    /// Everything found in the file and refused since; the report holds the first thousand.
    pub findings: u64,
    /// Why it failed; only in the state `failed`.
    pub failure: Option<ImportFailure>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ImportFailure {
    pub code: String,
    pub message: String,
}

impl Reply {
    pub fn of(import: &Import, version: u64, locale: Locale) -> Self {
        let failure = import.failure.as_ref().map(|code| ImportFailure {
            code: code.clone(),
            message: shell::sentence(&SENTENCES, locale, code, &[]),
        });
        let Import { id, file_name, format, created_at, state, counts, progress, .. } =
            import.clone();
        let findings = import.findings;
        Self {
            id,
            version,
            file_name,
            format,
            created_at,
            state,
            counts,
            progress,
            findings,
            failure,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let stored = store::import(&ctx.table, call.command.import).await?;
    Ok(Reply::of(&stored.value, stored.version, call.locale))
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;
    use crate::stub;

    #[tokio::test]
    async fn a_failure_is_told_in_the_language_of_the_caller() {
        let test = testkit::TestTable::new().await;
        let import = stub::import_with(&test.table, |import| {
            import.state = State::Failed;
            import.failure = Some("UPLOAD_MISSING".into());
        })
        .await;
        let call = Call { locale: Locale::Fr, ..testkit::call(Command { import }) };
        let failure = handle(&stub::ctx(&test.table), &call).await.expect("reads").failure;
        let failure = failure.expect("a failure");
        assert_eq!(failure.code, "UPLOAD_MISSING");
        assert!(failure.message.contains("fichier"), "{}", failure.message);
    }

    #[tokio::test]
    async fn an_import_that_there_is_not_is_unknown() {
        let test = testkit::TestTable::new().await;
        let call = testkit::call(Command { import: ImportId::derived_from("nothing") });
        assert_eq!(stub::code(handle(&stub::ctx(&test.table), &call).await), "IMPORT_UNKNOWN");
    }
}
