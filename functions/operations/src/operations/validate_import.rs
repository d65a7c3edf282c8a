//! Import step: reads the uploaded file whole, reports everything that is wrong with it, and where nothing is, writes
//! it as chunks. Done twice it does the same; once it has a verdict it only tells it.

use std::io::Cursor;

use bucket::{Content, Writer};
use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Failure, Fault, Step};
use table::Stored;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{chunk_key, upload_key};
use crate::Ctx;
use crate::domain::{Counts, Format, Import, Refusal, State, Verdict};
use crate::oneroster::report::Report;
use crate::oneroster::{
    Archive, Chunk, Examination, Limits, Stopped, Written, examine, write_chunks,
};
use crate::people_file::{self, Examined};
use crate::store::{self, ReportLine};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
    pub run: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub state: State,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    let Command { import, run } = step.command;
    let mut stored = store::import(&ctx.table, import).await?;
    if stored.value.take_over(run) {
        stored = saved(ctx, stored).await?;
    }
    if stored.value.state != State::Validating {
        return Ok(Reply { state: stored.value.state });
    }
    let Found { valid, counts, report, written } = found(ctx, import, stored.value.format).await?;
    let verdict = Verdict { valid, counts, written, findings: report.total(), lines_kept: 0 };
    store::clear_report(&ctx.table, import).await?;
    let lines: Vec<ReportLine> = report
        .into_lines()
        .into_iter()
        .zip(0..)
        .map(|(line, at)| ReportLine::found(import, at, line, step.now))
        .collect();
    store::replace_report(&ctx.table, &lines).await?;
    let lines_kept = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    stored.value.conclude_validation(Verdict { lines_kept, ..verdict });
    let stored = saved(ctx, stored).await?;
    Ok(Reply { state: stored.value.state })
}

async fn saved(ctx: &Ctx, stored: Stored<Import>) -> Result<Stored<Import>, Failure> {
    let mut transaction = ctx.table.transaction();
    transaction.update(&stored);
    transaction.commit().await?;
    Ok(Stored { version: stored.version + 1, ..stored })
}

/// What was found, and the chunks that have been written.
struct Found {
    valid: bool,
    counts: Counts,
    report: Report,
    written: Written,
}

impl Found {
    fn in_archive(examination: Examination, written: Written) -> Self {
        let (valid, counts) = (examination.is_valid(), examination.counts());
        Self { valid, counts, report: examination.report, written }
    }

    fn in_table(examined: Examined, written: Written) -> Self {
        let Examined { report, counts, is_valid } = examined;
        Self { valid: is_valid, counts, report, written }
    }
}

async fn found(ctx: &Ctx, import: ImportId, format: Format) -> Result<Found, Failure> {
    let bytes_max = people_file::bytes_max(format);
    let bytes = match ctx.imports.get(&upload_key(import, format), bytes_max).await? {
        Content::Whole(bytes) => bytes,
        Content::Missing => return Err(Refusal::UploadMissing.into()),
        Content::LargerThanAllowed if format == Format::Oneroster => {
            return Ok(Found::in_archive(Examination::too_large(bytes_max), Written::default()));
        }
        Content::LargerThanAllowed => {
            return Ok(Found::in_table(people_file::too_large(format), Written::default()));
        }
    };
    let (chunks, taken) = mpsc::channel(CHUNKS_WAITING_MAX);
    // Beside the uploads; it waits where they are slower.
    let reading = tokio::task::spawn_blocking(move || {
        let take = |chunk| chunks.blocking_send(chunk).map_err(|_| Stopped);
        match format {
            Format::Oneroster => read_archive(bytes, take),
            Format::PeopleCsv | Format::PeopleXlsx => read_table(&bytes, format, take),
        }
    });
    upload(ctx.imports.writer(), import, taken).await?;
    let outcome =
        reading.await.map_err(|error| Fault::outside("the file could not be examined", error))?;
    outcome.map_err(|Stopped| Fault::outside("a chunk was not taken", "its upload ended").into())
}

/// Chunks in memory on their way out.
const CHUNKS_WAITING_MAX: usize = 4;
const UPLOADS_AT_ONCE_MAX: usize = 8;

fn read_archive(
    bytes: Vec<u8>,
    take: impl FnMut(Chunk) -> Result<(), Stopped>,
) -> Result<Found, Stopped> {
    let Some(mut archive) = Archive::open(Cursor::new(bytes), Limits::DEFAULT) else {
        return Ok(Found::in_archive(Examination::not_an_archive(), Written::default()));
    };
    let examination = examine(&mut archive);
    if !examination.is_valid() {
        return Ok(Found::in_archive(examination, Written::default()));
    }
    let written = write_chunks(&mut archive, &examination, take)?;
    Ok(Found::in_archive(examination, written))
}

fn read_table(
    bytes: &[u8],
    format: Format,
    take: impl FnMut(Chunk) -> Result<(), Stopped>,
) -> Result<Found, Stopped> {
    let examined = people_file::examine(bytes, format);
    let written = if examined.is_valid {
        people_file::write_chunks(bytes, format, take)?
    } else {
        Written::default()
    };
    Ok(Found::in_table(examined, written))
}

async fn upload(
    writer: Writer,
    import: ImportId,
    mut chunks: mpsc::Receiver<Chunk>,
) -> Result<(), Failure> {
    let mut uploads = JoinSet::new();
    while let Some(Chunk { number, json }) = chunks.recv().await {
        if uploads.len() == UPLOADS_AT_ONCE_MAX {
            conclude(uploads.join_next().await)?;
        }
        let writer = writer.clone();
        uploads.spawn(async move { writer.put(&chunk_key(import, number), json.into()).await });
    }
    while let Some(upload) = uploads.join_next().await {
        conclude(Some(upload))?;
    }
    Ok(())
}

fn conclude(
    upload: Option<Result<Result<(), Fault>, tokio::task::JoinError>>,
) -> Result<(), Fault> {
    match upload {
        Some(Err(error)) => Err(Fault::outside("an upload ended early", error)),
        Some(Ok(result)) => result,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
