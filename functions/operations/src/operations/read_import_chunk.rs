//! Import step: the next chunk that nobody has applied yet, and who applies it; or, before the approval, the next
//! one of people that nobody has tried yet.

use bucket::Content;
use kernel::ImportId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shell::{Failure, Fault, Step};

use super::chunk_key;
use crate::Ctx;
use crate::domain::{Import, NextChunk, Refusal};
use crate::oneroster::Target;
use crate::store;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub import: ImportId,
    pub run: u32,
}

/// What the state machine chooses its next step by.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "next", rename_all = "lowercase")]
pub enum Reply {
    Apply(Box<ApplyChunk>),
    /// Every chunk has been tried.
    Approval,
    /// Every chunk has been applied.
    Done,
    /// A younger execution works on the import: this one has nothing left to do.
    Superseded,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApplyChunk {
    pub chunk: u32,
    /// Whether its rows are only tried, so that nothing of them stays.
    pub dry_run: bool,
    #[serde(flatten)]
    pub content: ChunkContent,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkContent {
    pub target: Target,
    pub file: String,
    /// Whether to wait a little first, because what the rows refer to travels by events.
    pub settle: bool,
    pub rows: Vec<Value>,
    /// Rows that are not tried, because they refer to refused ones.
    #[serde(default)]
    pub skipped: Vec<u64>,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Reply, Failure> {
    /// Far above what a chunk is written with.
    const BYTES_MAX: usize = 1024 * 1024;
    let Command { import, run } = step.command;
    let stored = store::import(&ctx.table, import).await?;
    let (chunk, dry_run) = match stored.value.next_chunk(run)? {
        NextChunk::Number(chunk) => (chunk, false),
        NextChunk::ToCheck(chunk) => (chunk, true),
        NextChunk::AllChecked => return Ok(Reply::Approval),
        NextChunk::AllDone => return Ok(Reply::Done),
        NextChunk::Superseded => return Ok(Reply::Superseded),
    };
    let Content::Whole(body) = ctx.imports.get(&chunk_key(import, chunk), BYTES_MAX).await? else {
        return Err(Refusal::ChunkMissing.into());
    };
    let mut content: ChunkContent = serde_json::from_slice(&body)
        .map_err(|error| Fault::defect(format!("a chunk cannot be read: {error}")))?;
    if content.target == Target::History {
        skip_refused(&stored.value, &mut content);
    }
    Ok(Reply::Apply(Box::new(ApplyChunk { chunk, dry_run, content })))
}

/// Takes out the rows of history whose student or section was refused: they would wait for it for ever.
fn skip_refused(import: &Import, content: &mut ChunkContent) {
    content.rows.retain_mut(|row| {
        let mut take = |name: &str| {
            let number = row.as_object_mut().and_then(|fields| fields.remove(name));
            number.and_then(|number| number.as_u64()).unwrap_or_default()
        };
        let refused = import.has_refused(take("student_row"), take("section_row"));
        if refused {
            content.skipped.push(row["row"].as_u64().unwrap_or_default());
        }
        !refused
    });
}

#[cfg(test)]
mod tests {
    use bucket::Bucket;
    use serde_json::json;

    use super::*;
    use crate::domain::State;
    use crate::stub::{self, Stub};

    async fn approved(table: &table::Table, done: u32) -> ImportId {
        stub::import_with(table, |import| {
            import.state = State::Applying;
            import.validated = true;
            import.approval = Some(true);
            import.run = 2;
            import.progress.chunks = 3;
            import.progress.chunks_done = done;
        })
        .await
    }

    #[tokio::test]
    async fn the_next_chunk_is_read_until_all_are_done() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let ctx = Ctx { imports: Bucket::at(&stub.config(), "in"), ..stub::ctx(&test.table) };
        let import = approved(&test.table, 1).await;
        let read = async |import, run| {
            let reply = handle(&ctx, &testkit::step(Command { import, run })).await;
            reply.map(|reply| json!(reply))
        };
        assert_eq!(stub::code(read(import, 2).await), "CHUNK_MISSING");
        let content = json!({ "target": "people", "file": "users.csv", "settle": false, "rows": [{ "row": 2 }] });
        stub.put_object(&format!("/in/{}", chunk_key(import, 2)), content.to_string());
        assert_eq!(
            read(import, 2).await.expect("a chunk"),
            json!({ "next": "apply", "chunk": 2, "dry_run": false, "target": "people", "file": "users.csv", "settle": false, "rows": [{ "row": 2 }], "skipped": [] })
        );
        assert_eq!(read(import, 1).await.expect("an answer"), json!({ "next": "superseded" }));
        let import = approved(&test.table, 3).await;
        assert_eq!(read(import, 2).await.expect("an answer"), json!({ "next": "done" }));
    }

    #[tokio::test]
    async fn the_chunks_of_people_are_read_to_be_tried_and_then_somebody_has_to_approve() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let ctx = Ctx { imports: Bucket::at(&stub.config(), "in"), ..stub::ctx(&test.table) };
        let checking = async |state| {
            stub::import_with(&test.table, |import| {
                import.state = state;
                import.validated = state == State::Validated;
                import.progress.chunks = 1;
            })
            .await
        };
        let read = async |import| {
            let reply = handle(&ctx, &testkit::step(Command { import, run: 1 })).await;
            json!(reply.expect("an answer"))
        };
        let import = checking(State::Checking).await;
        let content = json!({ "target": "people", "file": "people.csv", "settle": false, "rows": [{ "row": 2 }] });
        stub.put_object(&format!("/in/{}", chunk_key(import, 1)), content.to_string());
        let reply = read(import).await;
        assert_eq!((&reply["chunk"], &reply["dry_run"]), (&json!(1), &json!(true)));
        let import = checking(State::Validated).await;
        assert_eq!(read(import).await, json!({ "next": "approval" }));
    }

    #[tokio::test]
    async fn history_of_refused_people_and_sections_is_skipped() {
        let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
        let ctx = Ctx { imports: Bucket::at(&stub.config(), "in"), ..stub::ctx(&test.table) };
        let import = stub::import_with(&test.table, |import| {
            import.validated = true;
            import.approval = Some(true);
            import.progress.chunks = 1;
            import.refused_people = vec![7];
            import.refused_sections = vec![8];
        })
        .await;
        let row = |row: u64, student_row: u64, section_row: u64| json!({ "row": row, "student": "u", "section": "k", "student_row": student_row, "section_row": section_row });
        let rows = [row(2, 7, 9), row(3, 8, 9), row(4, 9, 8)];
        let content =
            json!({ "target": "history", "file": "enrollments.csv", "settle": true, "rows": rows });
        stub.put_object(&format!("/in/{}", chunk_key(import, 1)), content.to_string());
        let step = testkit::step(Command { import, run: 1 });
        let reply = json!(handle(&ctx, &step).await.expect("a chunk"));
        assert_eq!(reply["rows"], json!([{ "row": 3, "student": "u", "section": "k" }]));
        assert_eq!(reply["skipped"], json!([2, 4]));
    }

    #[tokio::test]
    async fn nothing_is_applied_that_nobody_approved() {
        let test = testkit::TestTable::new().await;
        let import = stub::new_import(&test.table).await;
        let step = testkit::step(Command { import, run: 1 });
        assert_eq!(stub::code(handle(&stub::ctx(&test.table), &step).await), "IMPORT_NOT_APPROVED");
    }
}
