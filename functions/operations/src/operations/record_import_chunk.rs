//! Import step: counts what became of a chunk. Counting it twice changes nothing.

use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Imported, RefusedRow, Step};

use crate::Ctx;
use crate::oneroster::{Line, Problem, REPORT_LINES_MAX};
use crate::store::{self, ReportLine};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
    pub chunk: u32,
    #[schemars(length(max = 255))]
    pub file: String,
    pub result: Imported,
    /// Rows that were not even tried, because they refer to refused ones.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub skipped: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    /// Whether a fresh execution has to go on.
    pub hand_over: bool,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let Command { import, chunk, file, skipped, .. } = &step.command;
    let mut result = step.command.result.clone();
    let code = Problem::RefersToRefused.code().to_owned();
    result.refused.extend(skipped.iter().map(|row| RefusedRow { row: *row, code: code.clone() }));
    let mut stored = store::import(&ctx.table, *import).await?;
    let room = REPORT_LINES_MAX.saturating_sub(stored.value.lines_kept);
    let lines: Vec<ReportLine> = result
        .refused
        .iter()
        .zip(0..room)
        .zip(0..)
        .map(|((refused, _), at)| {
            let line = Line::refused(file.clone(), refused.row, refused.code.clone());
            ReportLine::refused(*import, *chunk, at, line, step.now)
        })
        .collect();
    let kept = u32::try_from(lines.len()).unwrap_or(room);
    if stored.value.record_chunk(*chunk, file, &result, kept) {
        // The last lines go with the count; those before them can be written again without harm.
        let (before, last) =
            lines.split_at(lines.len().saturating_sub(store::LINES_PER_TRANSACTION));
        store::replace_report(&ctx.table, before).await?;
        let mut transaction = ctx.table.transaction();
        transaction.update(&stored);
        for line in last {
            transaction.overwrite(line);
        }
        transaction.commit().await?;
    }
    Ok(Reply { hand_over: stored.value.hands_over_after(*chunk) })
}

#[cfg(test)]
mod tests {
    use table::PageRequest;

    use super::*;
    use crate::domain::State;
    use crate::stub;

    async fn approved(table: &table::Table) -> ImportId {
        stub::import_with(table, |import| {
            import.state = State::Approved;
            import.validated = true;
            import.approval = Some(true);
            import.progress.chunks = 2;
        })
        .await
    }

    fn imported() -> Imported {
        let refused = (0..98).map(|row| RefusedRow { row, code: "EMAIL_TAKEN".into() }).collect();
        Imported { applied: 1, unchanged: 1, refused }
    }

    fn command(import: ImportId, chunk: u32) -> Command {
        let file = "users.csv".into();
        Command { import, chunk, file, result: imported(), skipped: vec![101] }
    }

    #[tokio::test]
    async fn a_chunk_is_counted_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| testkit::step(command(approved(table).await, 1)),
            async |table, step| handle(&stub::ctx(table), step).await.map(drop),
            async |table, step| {
                let import = store::import(table, step.command.import).await.expect("an import");
                let progress = import.value.progress;
                assert_eq!((progress.chunks_done, progress.applied, progress.refused), (1, 1, 99));
                assert_eq!((import.value.lines_kept, import.value.findings), (99, 99));
                let page = PageRequest { after: None, limit: 100 };
                let lines = table.query(&store::report(step.command.import), &page).await;
                assert_eq!(lines.expect("a report").records.len(), 99);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn late_and_early_chunks_change_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = stub::ctx(&test.table);
        let import = approved(&test.table).await;
        for chunk in [2, 1, 1, 3, 2, 2, 1] {
            handle(&ctx, &testkit::step(command(import, chunk))).await.expect("counts");
        }
        let progress = store::import(&test.table, import).await.expect("an import").value.progress;
        assert_eq!((progress.chunks_done, progress.applied, progress.unchanged), (2, 2, 2));
    }
}
