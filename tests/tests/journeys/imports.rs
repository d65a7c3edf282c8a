//! A university moves in: its file is uploaded, judged, approved and applied; a broken file changes nothing.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::api::{agent, unique};
use crate::patience::eventually;
use crate::people::{log_in, newcomer, register, staff, verify};
use crate::{cloud, mail, people};

/// Chunk by chunk through a state machine, with pauses for what travels by events.
const APPLIED_WITHIN: Duration = Duration::from_mins(4);
const VALIDATED_WITHIN: Duration = Duration::from_secs(90);

#[test]
fn a_university_moves_in_once_and_its_students_claim_their_accounts() {
    let file = generated_university();
    let first = upload(&file);
    let validated = await_state(&first, "validated", VALIDATED_WITHIN);
    let rows = rows(&validated);
    assert!(rows > 0, "{validated}");
    let report = staff().registrar.api.list(&format!("/imports/{first}/report"));
    assert!(report.iter().all(|line| line["severity"] == "note"), "{report:?}");
    let applied = approve_and_await(&first);
    let progress = &applied["progress"];
    assert_eq!((&progress["applied"], &progress["refused"]), (&json!(rows), &json!(0)));

    let second = upload(&file);
    await_state(&second, "validated", VALIDATED_WITHIN);
    let again = approve_and_await(&second);
    let progress = &again["progress"];
    let counted = (&progress["applied"], &progress["unchanged"], &progress["refused"]);
    assert_eq!(counted, (&json!(0), &json!(rows), &json!(0)), "everything stood there already");

    let (address, number) = some_student(&file);
    let account = register(&address, "Whatever");
    // Behind what the events of hundreds of new people set in motion.
    let code = eventually("the imported student's code", APPLIED_WITHIN, || {
        let mails = mail::to(&address);
        mails.iter().find_map(|mail| mail.code().map(str::to_owned)).ok_or(format!("{mails:?}"))
    });
    verify(&account, &code);
    let student = log_in(&address);
    let me = student.api.get("/me").expect(200).body;
    assert_eq!(me["student_number"], number.as_str(), "{me}");
    assert_eq!(me["roles"], json!([{ "role": "student", "department": null }]));
    assert_ne!(me["name"]["given"], "Whatever", "the register's name stands");
    assert_eq!(log_in(&number).id, student.id, "the number is a log-in too");
}

#[test]
fn whose_address_is_somebody_elses_is_told_before_anybody_approves() {
    let taken = newcomer("Tilda").email;
    let (first, second) = (unique("o"), unique("o"));
    let manifest = "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\n\
                    file.academicSessions,absent\nfile.classes,absent\nfile.courses,absent\n\
                    file.enrollments,absent\nfile.orgs,absent\nfile.roles,bulk\nfile.users,bulk\n";
    let users = format!(
        "sourcedId,givenName,familyName,identifier,email\n\
         {first},Til,Other,{first},{taken}\n{second},Ana,Other,{second},{}\n",
        people::address(&second)
    );
    let roles = format!(
        "sourcedId,userSourcedId,role,orgSourcedId\n\
         r{first},{first},student,\nr{second},{second},student,\n"
    );
    let file = archive([
        ("manifest.csv", manifest.to_owned()),
        ("users.csv", users),
        ("roles.csv", roles),
    ]);
    let import = upload(&file);
    await_validated(&import);
    let report = staff().registrar.api.list(&format!("/imports/{import}/report"));
    let refusal = report.iter().find(|line| line["code"] == "WOULD_BE_REFUSED");
    let refusal = refusal.unwrap_or_else(|| panic!("{report:?}"));
    assert_eq!((&refusal["file"], &refusal["row"]), (&json!("users.csv"), &json!(2)));
    assert!(refusal.to_string().contains("EMAIL_TAKEN"), "{refusal}");
    let progress = &approve_and_await(&import)["progress"];
    assert_eq!((&progress["applied"], &progress["refused"]), (&json!(1), &json!(1)));
}

#[test]
fn a_broken_file_is_explained_and_changes_nothing() {
    let import = upload(&broken_university());
    let judged = await_state(&import, "invalid", VALIDATED_WITHIN);
    assert_eq!(judged["progress"]["applied"], 0, "{judged}");
    let path = format!("/imports/{import}/report");
    let registrar = &staff().registrar.api;
    let report = registrar.list(&path);
    let wanted = [
        ("academicSessions.csv", 2, "startDate", "DATE_WRONG"),
        ("courses.csv", 2, "title", "DOUBLE_ENCODED"),
        ("courses.csv", 3, "orgSourcedId", "REFERENCE_DANGLING"),
        ("users.csv", 2, "email", "EMAIL_WRONG"),
        ("classes.csv", 2, "courseSourcedId", "REFERENCE_DANGLING"),
    ];
    for (file, row, column, code) in wanted {
        let is_meant =
            |line: &&Value| line["file"] == file && line["row"] == row && line["column"] == column;
        let line = report.iter().find(is_meant);
        let line = line.unwrap_or_else(|| panic!("{file}:{row} {column} is not in {report:#?}"));
        assert_eq!((&line["code"], &line["severity"]), (&json!(code), &json!("error")));
    }
    let sentences = ["en", "fr", "es"].map(|language| {
        let page = registrar.call("GET", &path).language(language).send().expect(200);
        page.text("/items/0/message")
    });
    assert!(sentences[0] != sentences[1] && sentences[1] != sentences[2], "{sentences:?}");

    let again = registrar.post(&format!("/imports/{import}/validation"), &json!({}));
    again.expect_refusal(409, "IMPORT_INVALID");
    let approval =
        registrar.post(&format!("/imports/{import}/approval"), &json!({ "approve": true }));
    approval.expect_refusal(409, "IMPORT_NOT_VALIDATED");
    let terms = registrar.list("/terms");
    assert!(terms.iter().all(|term| term["title"] != BROKEN_TERM), "{terms:?}");
}

#[test]
fn what_is_no_archive_at_all_is_explained_too() {
    let import = upload(b"this is no zip archive");
    await_state(&import, "invalid", VALIDATED_WITHIN);
    let report = staff().registrar.api.list(&format!("/imports/{import}/report"));
    assert_eq!(report.len(), 1, "{report:?}");
    assert_eq!(report[0]["code"], "ARCHIVE_UNREADABLE");
}

#[test]
fn an_import_whose_execution_was_stopped_goes_on_where_it_was() {
    /// Of three chunks.
    const PEOPLE: u32 = 250;
    let own = unique("stopped");
    let person =
        |number: u32| format!("{own}-{number},Ana,{own} {number},{own}-{number},student\n");
    let people: Vec<String> = (0..PEOPLE).map(person).collect();
    let header = "source_id,given_name,family_name,student_number,roles";
    let table = format!("{header}\n{}", people.concat());
    let import = upload_as("people_csv", table.as_bytes());
    let validated = await_validated(&import);
    assert_eq!((rows(&validated), &validated["progress"]["chunks"]), (250, &json!(3)));
    let registrar = &staff().registrar.api;
    let path = format!("/imports/{import}");
    let decision = json!({ "approve": true });
    registrar.post(&format!("{path}/approval"), &decision).expect(200);
    eventually("its first chunk is applied", APPLIED_WITHIN, || {
        let found = registrar.get(&path).expect(200).body;
        let done = found["progress"]["chunks_done"].as_u64() > Some(0);
        if done { Ok(()) } else { Err(found.to_string()) }
    });
    cloud::stop_import(&import, 1);
    let stopped = registrar.get(&path).expect(200).body;
    assert_eq!(stopped["state"], "applying", "it was stopped too late to show anything: {stopped}");

    registrar.post(&format!("{path}/validation"), &json!({})).expect(200);
    let applied = await_state(&import, "applied", APPLIED_WITHIN);
    let progress = &applied["progress"];
    assert_eq!(progress["chunks_done"], progress["chunks"], "{applied}");
    // A chunk that was being applied at the stop is found standing there by the next run.
    let number = |name: &str| progress[name].as_u64().expect("a number");
    assert_eq!(number("applied") + number("unchanged"), u64::from(PEOPLE), "{applied}");
    assert_eq!(number("refused"), 0, "{applied}");
    assert_eq!(cloud::import_status(&import, 1), "ABORTED");
    eventually("the second execution has ended well", APPLIED_WITHIN, || {
        let status = cloud::import_status(&import, 2);
        if status == "SUCCEEDED" { Ok(()) } else { Err(status) }
    });

    let again = upload_as("people_csv", table.as_bytes());
    await_validated(&again);
    let progress = &approve_and_await(&again)["progress"];
    let counted = (&progress["applied"], &progress["unchanged"], &progress["refused"]);
    assert_eq!(counted, (&json!(0), &json!(PEOPLE), &json!(0)), "each was applied once");
}

fn upload(file: &[u8]) -> String {
    upload_as("oneroster", file)
}

/// Begins an import with this file, and answers its id.
pub fn upload_as(format: &str, file: &[u8]) -> String {
    let registrar = &staff().registrar.api;
    let import = json!({ "file_name": "université", "format": format });
    let begun = registrar.post("/imports", &import).expect(201);
    assert_eq!(begun.body["state"], "created");
    let id = begun.text("/id");
    let response =
        agent().put(begun.text("/upload_url")).send(file).expect("the upload is answered");
    let status = response.status();
    let text = response.into_body().read_to_string().unwrap_or_default();
    assert_eq!(status, 200, "the upload was refused: {text}");
    registrar.post(&format!("/imports/{id}/validation"), &json!({})).expect(200);
    id
}

pub fn await_validated(import: &str) -> Value {
    await_state(import, "validated", VALIDATED_WITHIN)
}

pub fn approve_and_await(import: &str) -> Value {
    let path = format!("/imports/{import}/approval");
    let reply = staff().registrar.api.post(&path, &json!({ "approve": true })).expect(200);
    assert_eq!(reply.body["approved"], true);
    await_state(import, "applied", APPLIED_WITHIN)
}

fn await_state(import: &str, state: &str, limit: Duration) -> Value {
    eventually(&format!("import {import} is {state}"), limit, || {
        let found = staff().registrar.api.get(&format!("/imports/{import}")).expect(200).body;
        let now = found["state"].as_str().unwrap_or_default();
        let ended = matches!(now, "invalid" | "failed" | "applied") && now != state;
        if ended {
            let report = staff().registrar.api.list(&format!("/imports/{import}/report"));
            panic!("import {import} is not {state} but {found}: {report:#?}");
        }
        if now == state { Ok(found) } else { Err(found.to_string()) }
    })
}

fn rows(import: &Value) -> u64 {
    let counts = import["counts"].as_object().expect("counts");
    counts.values().filter_map(Value::as_u64).sum()
}

/// A small university, the same in every run.
fn generated_university() -> Vec<u8> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("university-of-a-journey.zip");
    let size = ["--seed", "7", "--students", "40", "--sections", "8", "--out"];
    let made = Command::new(generator()).args(size).arg(&out).output();
    let made = made.expect("the generator can be started");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(out).expect("the generator wrote its file")
}

/// It lies beside the folder of the tests; where only the tests were built, it is built now.
fn generator() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a file");
    let folder = own.ancestors().nth(2).expect("tests lie below the profile's folder");
    let generator = folder.join("university");
    if !generator.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--workspace", "--bin", "university"]);
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(built.is_ok_and(|status| status.success()), "the generator cannot be built");
    }
    generator
}

/// An imported student's address and number.
fn some_student(file: &[u8]) -> (String, String) {
    let users = table(file, "users.csv");
    let roles = table(file, "roles.csv");
    let is_student = |user: &&Value| {
        let role = |name: &str| {
            roles
                .iter()
                .any(|role| role["userSourcedId"] == user["sourcedId"] && role["role"] == name)
        };
        let told = |column: &str| user[column].as_str().is_some_and(|text| !text.is_empty());
        role("student") && !role("teacher") && told("email") && told("identifier")
    };
    let student = users.iter().find(is_student).expect("a student with an address and a number");
    let text = |column: &str| student[column].as_str().expect("a text").to_owned();
    (text("email"), text("identifier"))
}

/// The rows of a file in the archive, each by its columns.
fn table(archive: &[u8], name: &str) -> Vec<Value> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).expect("an archive");
    let mut text = String::new();
    let mut file = archive.by_name(name).expect("the file is there");
    file.read_to_string(&mut text).expect("it is text");
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().expect("a header").clone();
    rows.records()
        .map(|row| {
            let row = row.expect("a row");
            let fields = header.iter().zip(row.iter());
            fields.map(|(column, field)| (column.to_owned(), Value::from(field))).collect()
        })
        .collect()
}

const BROKEN_TERM: &str = "A term that never comes";

/// Each kind of mistake once, beside rows that are as they must be.
fn broken_university() -> Vec<u8> {
    let files = [
        (
            "manifest.csv",
            "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\n\
             file.academicSessions,bulk\nfile.classes,bulk\nfile.courses,bulk\nfile.enrollments,absent\n\
             file.orgs,bulk\nfile.roles,bulk\nfile.users,bulk\n"
                .to_owned(),
        ),
        ("orgs.csv", "sourcedId,name,type,identifier\nbo1,Broken,department,BROKEN\n".to_owned()),
        (
            "academicSessions.csv",
            format!(
                "sourcedId,title,type,startDate,endDate\nbt1,{BROKEN_TERM},term,31.01.2027,2027-06-30\n\
                 bt2,Another,term,2027-09-01,2027-12-20\n"
            ),
        ),
        (
            "courses.csv",
            "sourcedId,title,courseCode,orgSourcedId\nbc1,GÃ©omÃ©trie,BRK1,bo1\nbc2,Algebra,BRK2,nowhere\n"
                .to_owned(),
        ),
        (
            "users.csv",
            format!(
                "sourcedId,givenName,familyName,identifier,email\nbu1,Ana,One,B-1,not an address\n\
                 bu2,Leo,Two,B-2,{}\n",
                people::address("broken")
            ),
        ),
        (
            "roles.csv",
            "sourcedId,userSourcedId,role,orgSourcedId\nbr1,bu2,student,bo1\n".to_owned(),
        ),
        (
            "classes.csv",
            "sourcedId,courseSourcedId,classCode,termSourcedIds\nbk1,nothing,BRK-A,bt2\n".to_owned(),
        ),
    ];
    archive(files)
}

fn archive<const N: usize>(files: [(&str, String); N]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name, SimpleFileOptions::default()).expect("a file begins");
        zip.write_all(content.as_bytes()).expect("it is written");
    }
    zip.finish().expect("the archive ends").into_inner()
}
