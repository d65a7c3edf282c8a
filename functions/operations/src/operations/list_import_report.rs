//! What was found in an import's file, and which rows were refused when they were applied.

use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Listing, Route};

use super::IMPORTERS;
use crate::Ctx;
use crate::oneroster::{Line, Severity};
use crate::store;

pub const ROUTE: Route = Route::list(
    "list-import-report",
    "/imports/{import}/report",
    IMPORTERS,
    "List what was found in an import's file: errors first, then notes, then rows refused later",
)
.for_clients(ClientScope::ImportsWrite);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub severity: Severity,
    /// As spreadsheets number them: the header is row 1. Null where the whole file is meant.
    pub row: Option<u64>,
    pub file: String,
    pub column: Option<String>,
    pub code: String,
    /// A sentence in the caller's language.
    pub message: String,
}

pub type Reply = Listing<Item>;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let import = call.command.import;
    let page = ctx.table.query(&store::report(import), &call.page).await?;
    if page.records.is_empty() && call.page.after.is_none() {
        // An import without findings is not the same as no import.
        store::import(&ctx.table, import).await?;
    }
    let item = |line: Line| {
        let message = line.sentence(call.locale);
        let Line { severity, row, file, column, code, .. } = line;
        Item { severity, row, file, column, code, message }
    };
    let items = page.records.into_iter().map(|record| item(record.value.line)).collect();
    Ok(Listing { items, next_cursor: page.next })
}

#[cfg(test)]
mod tests {
    use kernel::{Id, Locale};
    use table::PageRequest;

    use super::*;
    use crate::store::ReportLine;
    use crate::stub;

    fn line(row: u64, code: &str) -> Line {
        Line {
            severity: Severity::Error,
            row: Some(row),
            file: "users.csv".into(),
            column: None,
            code: code.into(),
            detail: Some("40".into()),
        }
    }

    #[tokio::test]
    async fn the_report_comes_in_pages_and_in_the_language_of_the_caller() {
        let test = testkit::TestTable::new().await;
        let import = stub::new_import(&test.table).await;
        let found = |at| ReportLine::found(import, at, line(1, "VALUE_TOO_LONG"), testkit::now());
        let lines: Vec<ReportLine> = (0..119).map(found).collect();
        store::replace_report(&test.table, &lines).await.expect("writes");
        let refused = Line::refused("users.csv".into(), 7, "EMAIL_TAKEN".into());
        let refused = ReportLine::refused(import, 1, 0, refused, testkit::now());
        store::replace_report(&test.table, &[refused]).await.expect("writes");
        let ctx = stub::ctx(&test.table);
        let mut items = Vec::new();
        let mut after = None;
        for _ in 0..3 {
            let page = PageRequest { after, limit: 50 };
            let call = Call { page, locale: Locale::Es, ..testkit::call(Command { import }) };
            let reply = handle(&ctx, &call).await.expect("a page");
            items.extend(reply.items);
            after = reply.next_cursor;
        }
        assert!(after.is_none());
        assert_eq!(items.len(), 120);
        assert!(items[0].message.contains("40"), "{}", items[0].message);
        assert_ne!(items[0].message, line(1, "VALUE_TOO_LONG").sentence(Locale::En));
        assert_eq!(items[119].code, "EMAIL_TAKEN");
        assert!(items[119].message.contains("EMAIL_TAKEN"), "another context's code is told");
    }

    #[tokio::test]
    async fn an_import_without_findings_has_an_empty_report_and_no_import_has_none() {
        let test = testkit::TestTable::new().await;
        let import = stub::new_import(&test.table).await;
        let ctx = stub::ctx(&test.table);
        let reply = handle(&ctx, &testkit::call(Command { import })).await.expect("a page");
        assert_eq!(reply.items, []);
        let unknown = Command { import: ImportId::derived_from("nothing") };
        assert_eq!(stub::code(handle(&ctx, &testkit::call(unknown)).await), "IMPORT_UNKNOWN");
    }
}
