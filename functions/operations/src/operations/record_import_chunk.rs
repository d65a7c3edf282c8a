//! Import step: counts what became of a chunk, or what would become of it as things stand. Counting it twice changes
//! nothing.

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
    /// Whether its rows were only tried.
    #[serde(default)]
    pub dry_run: bool,
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
    let Command { import, chunk, dry_run, file, skipped, .. } = &step.command;
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
            let (file, code) = (file.clone(), refused.code.clone());
            if *dry_run {
                let line = Line::would_be_refused(file, refused.row, code);
                ReportLine::tried(*import, *chunk, at, line, step.now)
            } else {
                let line = Line::refused(file, refused.row, code);
                ReportLine::refused(*import, *chunk, at, line, step.now)
            }
        })
        .collect();
    let kept = u32::try_from(lines.len()).unwrap_or(room);
    let is_news = if *dry_run {
        let refused = u64::try_from(result.refused.len()).unwrap_or(u64::MAX);
        stored.value.record_check(*chunk, refused, kept)
    } else {
        stored.value.record_chunk(*chunk, file, &result, kept)
    };
    if is_news {
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
    use kernel::Locale;
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
        let (file, dry_run) = ("users.csv".into(), false);
        Command { import, chunk, dry_run, file, result: imported(), skipped: vec![101] }
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
    async fn a_chunk_that_was_tried_is_counted_once_and_told_line_by_line() {
        testkit::under_every_fault(
            async |table| {
                let import = stub::import_with(table, |import| {
                    import.state = State::Checking;
                    import.progress.chunks = 2;
                    import.progress.chunks_to_check = 2;
                })
                .await;
                testkit::step(Command { dry_run: true, skipped: Vec::new(), ..command(import, 1) })
            },
            async |table, step| handle(&stub::ctx(table), step).await.map(drop),
            async |table, step| {
                let import = store::import(table, step.command.import).await.expect("an import");
                let import = import.value;
                assert_eq!((import.state, import.progress.chunks_checked), (State::Checking, 1));
                assert_eq!((import.progress.chunks_done, import.progress.refused), (0, 0));
                assert_eq!((import.lines_kept, import.findings), (98, 98));
                let page = PageRequest { after: None, limit: 100 };
                let lines = table.query(&store::report(import.id), &page).await;
                let lines = lines.expect("a report").records;
                assert_eq!(lines.len(), 98);
                let sentence = lines[0].value.line.sentence(Locale::En);
                assert!(sentence.contains("EMAIL_TAKEN"), "{sentence}");
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
