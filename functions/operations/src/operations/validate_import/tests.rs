//! Validation from the uploaded file to its chunks, through a bucket that the test holds.

use bucket::Bucket;
use table::{PageRequest, Table};

use super::*;
use crate::oneroster::tests::university;
use crate::stub::{self, Stub};

fn ctx(table: &Table, stub: &Stub) -> Ctx {
    Ctx { imports: Bucket::at(&stub.config(), "in"), ..stub::ctx(table) }
}

fn upload_to(stub: &Stub, import: ImportId, file: impl Into<Vec<u8>>) {
    stub.put_object(&format!("/in/{}", upload_key(import, Format::Oneroster)), file);
}

async fn validated(ctx: &Ctx, import: ImportId, run: u32) -> Result<State, Failure> {
    let step = testkit::step(Command { import, run });
    shell::run_step(async || handle(ctx, &step).await).await.map(|reply| reply.state)
}

async fn codes(table: &Table, import: ImportId) -> Vec<String> {
    let page = table.query(&store::report(import), &PageRequest::default()).await;
    page.expect("a report").records.into_iter().map(|line| line.value.line.code).collect()
}

#[tokio::test]
async fn a_file_is_validated_whatever_happens_on_the_wire() {
    let stub = Stub::start().await;
    testkit::under_every_fault_anew(
        async |table| {
            let import = stub::new_import(table).await;
            upload_to(&stub, import, university(&[]));
            testkit::step(Command { import, run: 1 })
        },
        async |table, step| handle(&ctx(table, &stub), step).await.map(drop),
        async |table, step| {
            let import = step.command.import;
            let stored = store::import(table, import).await.expect("an import").value;
            let progress = stored.progress;
            assert_eq!(
                (stored.state, progress.chunks, progress.chunks_to_check),
                (State::Checking, 5, 1)
            );
            assert_eq!((stored.findings, stored.lines_kept), (4, 4));
            assert_eq!(codes(table, import).await.len(), 4);
            for chunk in 1..=5 {
                let key = format!("/in/{}", chunk_key(import, chunk));
                assert!(stub.objects().contains_key(&key), "{key}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_bad_file_is_invalid_and_its_report_says_why() {
    let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
    let ctx = ctx(&test.table, &stub);
    let import = stub::new_import(&test.table).await;
    upload_to(&stub, import, university(&[("users.csv", b"")]));
    assert_eq!(validated(&ctx, import, 1).await.expect("a verdict"), State::Invalid);
    assert_eq!(codes(&test.table, import).await, ["FILE_MISSING"]);
    assert_eq!(stub.objects().len(), 1, "no chunk is written");
    upload_to(&stub, import, university(&[]));
    assert_eq!(validated(&ctx, import, 2).await.expect("a verdict"), State::Invalid, "it stands");
    let import = stub::new_import(&test.table).await;
    upload_to(&stub, import, "no zip");
    assert_eq!(validated(&ctx, import, 1).await.expect("a verdict"), State::Invalid);
    assert_eq!(codes(&test.table, import).await, ["ARCHIVE_UNREADABLE"]);
}

#[tokio::test]
async fn a_file_above_the_limit_is_not_even_opened() {
    let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
    let import = stub::new_import(&test.table).await;
    upload_to(&stub, import, vec![0; Limits::ARCHIVE_BYTES + 1]);
    let state = validated(&ctx(&test.table, &stub), import, 1).await;
    assert_eq!(state.expect("a verdict"), State::Invalid);
    assert_eq!(codes(&test.table, import).await, ["ARCHIVE_TOO_LARGE"]);
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_waited_for_by_a_later_run() {
    let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
    let ctx = ctx(&test.table, &stub);
    let import = stub::new_import(&test.table).await;
    assert_eq!(stub::code(validated(&ctx, import, 1).await), "UPLOAD_MISSING");
    upload_to(&stub, import, university(&[]));
    assert_eq!(validated(&ctx, import, 2).await.expect("a verdict"), State::Checking);
    assert_eq!(validated(&ctx, import, 3).await.expect("a verdict"), State::Checking);
    assert_eq!(stub.calls("GET"), 2, "a verdict is told, not found again");
}

#[tokio::test]
async fn lines_of_a_validation_cut_short_do_not_stay() {
    let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
    let ctx = ctx(&test.table, &stub);
    let import = stub::new_import(&test.table).await;
    upload_to(&stub, import, university(&[("courses.csv", b"")]));
    let left = crate::oneroster::Line::refused("users.csv".into(), 9, "OLD".into());
    let left = ReportLine::found(import, 900, left, testkit::now());
    store::replace_report(&test.table, &[left]).await.expect("writes");
    validated(&ctx, import, 1).await.expect("a verdict");
    assert_eq!(codes(&test.table, import).await, ["FILE_MISSING"]);
}

#[tokio::test]
async fn when_the_bucket_takes_no_chunk_there_is_no_verdict() {
    let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
    let ctx = ctx(&test.table, &stub);
    let import = stub::new_import(&test.table).await;
    upload_to(&stub, import, university(&[]));
    stub.fail("PUT");
    let result = validated(&ctx, import, 1).await;
    assert!(matches!(result, Err(Failure::Fault(fault)) if fault.retryable));
    stub.mend();
    assert_eq!(validated(&ctx, import, 1).await.expect("a verdict"), State::Checking);
}

const PEOPLE: &str = "source_id,given_name,family_name,email,roles
p1,Ana,N\u{fa}\u{f1}ez,ana@matricula.example,student
p2,L\u{e9}o,Mbarga,not an address,teacher
p3,Max,Roy,,teacher
";

#[tokio::test]
async fn a_table_of_people_is_validated_without_the_rows_that_are_wrong() {
    let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
    let ctx = ctx(&test.table, &stub);
    let import = stub::import_with(&test.table, |import| import.format = Format::PeopleCsv).await;
    stub.put_object(&format!("/in/imports/{import}/upload.csv"), PEOPLE);
    assert_eq!(validated(&ctx, import, 1).await.expect("a verdict"), State::Checking);
    assert_eq!(codes(&test.table, import).await, ["EMAIL_WRONG"]);
    let stored = store::import(&test.table, import).await.expect("an import").value;
    assert_eq!((stored.counts.people, stored.progress.chunks, stored.findings), (2, 1, 1));
    let chunk = &stub.objects()[&format!("/in/{}", chunk_key(import, 1))];
    let chunk: serde_json::Value = serde_json::from_slice(chunk).expect("JSON");
    assert_eq!((&chunk["target"], &chunk["file"]), (&"people".into(), &"people.csv".into()));
    let rows = chunk["rows"].as_array().expect("rows");
    let numbers: Vec<_> = rows.iter().map(|row| row["row"].as_u64()).collect();
    assert_eq!(numbers, [Some(2), Some(4)]);
}

#[tokio::test]
async fn a_workbook_above_the_limit_is_not_even_opened() {
    let (test, stub) = (testkit::TestTable::new().await, Stub::start().await);
    let ctx = ctx(&test.table, &stub);
    let import = stub::import_with(&test.table, |import| import.format = Format::PeopleXlsx).await;
    let bytes = vec![0; crate::people_file::bytes_max(Format::PeopleXlsx) + 1];
    stub.put_object(&format!("/in/imports/{import}/upload.xlsx"), bytes);
    assert_eq!(validated(&ctx, import, 1).await.expect("a verdict"), State::Invalid);
    assert_eq!(codes(&test.table, import).await, ["ARCHIVE_TOO_LARGE"]);
}
