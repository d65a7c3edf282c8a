//! Small files with one mistake each, and a large one that must not fill the memory.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const MANIFEST: &str = "propertyName,value
manifest.version,1.0
oneroster.version,1.2
file.academicSessions,bulk
file.classes,bulk
file.courses,bulk
file.enrollments,bulk
file.orgs,bulk
file.roles,bulk
file.users,bulk
file.demographics,absent
";
const ORGS: &str = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId
o1,,,Université de l'Été,school,,
o2,,,Mathématiques,department,MATH,o1
";
const SESSIONS: &str =
    "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear
y1,,,2026-2027,schoolYear,2026-09-01,2027-08-31,,2027
t1,,,Printemps 2027,term,2027-02-01,2027-06-30,y1,2027
";
const COURSES: &str = "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes,metadata.matricula.credits
c1,,,,Analyse I,math 101,,o2,,,4.5
c2,,,,Rédaction,RÉD-1,,o1,,,
";
const USERS: &str = "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email
u1,,,true,ana,,Ana,Núñez,,S-1,ana@matricula.example
u2,,,true,leo,,Léo,Mbarga,,T-1,leo@matricula.example
u3,,,true,max,,Max,Roy,,,
";
const ROLES: &str = "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId
r1,,,u1,primary,student,,,o1,
r2,,,u2,primary,teacher,,,o2,
r3,,,u3,primary,guardian,,,o1,
";
const CLASSES: &str = "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods,metadata.matricula.capacity,metadata.matricula.priceGroup,metadata.matricula.approvalRequired,metadata.matricula.meetings
k1,,,Analyse I A,,c1,MATH101-A,scheduled,,o1,t1,,,,12,lab,true,MO WE 09:00-10:30
k2,,,Rédaction A,,c2,RED-A,scheduled,,o1,t1,,,,,,,
";
const ENROLLMENTS: &str = "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate
e1,,,k1,o1,u1,student,,,
e2,,,k1,o1,u2,teacher,true,,
";

fn zipped(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a file begins");
        zip.write_all(content).expect("it is written");
    }
    zip.finish().expect("the archive ends").into_inner()
}

/// The good file, with the changed ones in place of its own; an empty one is left out.
pub fn university(changed: &[(&str, &[u8])]) -> Vec<u8> {
    let good = [
        ("manifest.csv", MANIFEST),
        ("orgs.csv", ORGS),
        ("academicSessions.csv", SESSIONS),
        ("courses.csv", COURSES),
        ("users.csv", USERS),
        ("roles.csv", ROLES),
        ("classes.csv", CLASSES),
        ("enrollments.csv", ENROLLMENTS),
    ];
    let files: Vec<(&str, Vec<u8>)> = good
        .iter()
        .map(|(name, content)| {
            let own = changed.iter().find(|(changed, _)| changed == name);
            (*name, own.map_or(content.as_bytes(), |(_, content)| content).to_vec())
        })
        .filter(|(_, content)| !content.is_empty())
        .collect();
    zipped(&files)
}

fn examined_within(bytes: Vec<u8>, limits: Limits) -> Examination {
    examine(&mut Archive::open(Cursor::new(bytes), limits).expect("an archive"))
}

/// What is found when one file is changed, as `file:row column CODE`.
fn found(name: &str, content: impl AsRef<[u8]>) -> Vec<String> {
    let bytes = university(&[(name, content.as_ref())]);
    told(examined_within(bytes, Limits::DEFAULT))
}

fn told(examination: Examination) -> Vec<String> {
    let lines = examination.report.into_lines().into_iter();
    let errors = lines.filter(|line| line.severity == Severity::Error);
    errors
        .map(|line| {
            let row = line.row.map_or("-".to_owned(), |row| row.to_string());
            format!("{}:{row} {} {}", line.file, line.column.as_deref().unwrap_or("-"), line.code)
        })
        .collect()
}

fn chunks(bytes: Vec<u8>) -> Vec<Value> {
    let mut archive = Archive::open(Cursor::new(bytes), Limits::DEFAULT).expect("an archive");
    let examination = examine(&mut archive);
    assert!(examination.is_valid(), "{:?}", told(examination));
    let mut chunks = Vec::new();
    let written = write_chunks(&mut archive, &examination, |chunk| {
        chunks.push(serde_json::from_str(&chunk.json).expect("a chunk is JSON"));
        Ok(())
    });
    assert_eq!(written.map(|written| written.chunks as usize), Ok(chunks.len()));
    chunks
}

#[test]
fn a_good_file_becomes_rows_in_our_words_and_in_order() {
    let chunks = chunks(university(&[]));
    assert_eq!(
        chunks,
        [
            json!({ "target": "people", "file": "users.csv", "settle": false, "rows": [
                { "row": 2, "source": "u1", "given_name": "Ana", "family_name": "Núñez", "email": "ana@matricula.example", "student_number": "S-1", "roles": ["student"] },
                { "row": 3, "source": "u2", "given_name": "Léo", "family_name": "Mbarga", "email": "leo@matricula.example", "staff_number": "T-1", "roles": ["teacher"], "department": "MATH" },
            ] }),
            json!({ "target": "catalog", "file": "academicSessions.csv", "settle": false, "rows": [
                { "kind": "term", "row": 3, "source": "t1", "code": "PRINTEMPS-2027", "title": "Printemps 2027",
                  "first_day": "2027-02-01", "last_day": "2027-06-30",
                  "registration_opens_at": "2027-01-02T00:00:00Z", "registration_closes_at": "2027-02-15T00:00:00Z" },
            ] }),
            json!({ "target": "catalog", "file": "courses.csv", "settle": false, "rows": [
                { "kind": "course", "row": 2, "source": "c1", "code": "MATH-101", "title": "Analyse I", "credits_hundredths": 450, "department": "MATH" },
                { "kind": "course", "row": 3, "source": "c2", "code": "RED-1", "title": "Rédaction", "credits_hundredths": 600, "department": "GENERAL" },
            ] }),
            json!({ "target": "catalog", "file": "classes.csv", "settle": false, "rows": [
                { "kind": "section", "row": 2, "source": "k1", "code": "MATH101-A", "term": "t1", "course": "c1", "capacity": 12, "price_group": "lab", "approval_required": true,
                  "meetings": [{ "weekdays": ["monday", "wednesday"], "starts_at": "09:00:00", "ends_at": "10:30:00", "first_day": "2027-02-01", "last_day": "2027-06-30" }] },
                { "kind": "section", "row": 3, "source": "k2", "code": "RED-A", "term": "t1", "course": "c2", "capacity": 30, "price_group": "standard", "approval_required": false, "meetings": [] },
            ] }),
            json!({ "target": "history", "file": "enrollments.csv", "settle": true, "rows": [
                { "row": 2, "student": "u1", "section": "k1", "student_row": 2, "section_row": 2 },
            ] }),
        ]
    );
}

#[test]
fn what_is_left_out_is_noted_once_with_its_number() {
    let examination = examined_within(university(&[]), Limits::DEFAULT);
    assert_eq!(examination.counts().rows(), 1 + 2 + 2 + 2 + 1);
    let notes: Vec<String> = examination
        .report
        .into_lines()
        .into_iter()
        .map(|line| format!("{} {} {}", line.file, line.code, line.detail.unwrap_or_default()))
        .collect();
    assert_eq!(
        notes,
        [
            "academicSessions.csv SESSION_IGNORED schoolYear: 1",
            "users.csv USER_IGNORED 1",
            "roles.csv ROLE_IGNORED guardian: 1",
            "enrollments.csv ROLE_IGNORED teacher: 1",
        ]
    );
}

#[test]
fn the_manifest_says_what_is_there() {
    let delta = MANIFEST.replace("file.users,bulk", "file.users,delta");
    assert_eq!(found("manifest.csv", delta), ["manifest.csv:10 value DELTA_UNSUPPORTED"]);
    let wrong = MANIFEST.replace("file.users,bulk", "file.users,full");
    assert_eq!(found("manifest.csv", wrong), ["manifest.csv:10 value MANIFEST_VALUE_WRONG"]);
    let old = MANIFEST.replace("oneroster.version,1.2", "oneroster.version,1.1");
    assert_eq!(
        found("manifest.csv", old),
        ["manifest.csv:- oneroster.version VERSION_UNSUPPORTED"]
    );
    assert_eq!(found("manifest.csv", ""), ["manifest.csv:- - FILE_MISSING"]);
    assert_eq!(found("roles.csv", ""), ["roles.csv:- - FILE_MISSING"]);
    let empty = "propertyName,value\noneroster.version,1.2\nfile.users,absent\n";
    assert_eq!(found("manifest.csv", empty), ["manifest.csv:- - NOTHING_TO_IMPORT"]);
}

#[test]
fn headers_and_columns_are_checked_before_rows() {
    let headless = "u1,,,true,ana,,Ana,Roy,,S-1,ana@matricula.example\n";
    assert_eq!(found("users.csv", headless)[0], "users.csv:1 - HEADER_MISSING");
    let without = COURSES.replace("courseCode", "code");
    assert_eq!(found("courses.csv", without)[0], "courses.csv:1 courseCode COLUMN_MISSING");
    let twice = COURSES.replace("subjectCodes", "subjects");
    assert_eq!(found("courses.csv", twice)[0], "courses.csv:1 subjects COLUMN_TWICE");
    let typo = COURSES.replace("metadata.matricula.credits", "metadata.matricula.credit");
    assert_eq!(
        found("courses.csv", typo),
        ["courses.csv:1 metadata.matricula.credit COLUMN_UNKNOWN"]
    );
    let foreign = COURSES.replace("metadata.matricula.credits", "metadata.other.credits");
    assert_eq!(found("courses.csv", foreign), Vec::<String>::new(), "others' columns are theirs");
    let marked = format!("\u{feff}{USERS}");
    assert_eq!(found("users.csv", marked), Vec::<String>::new(), "a byte order mark is no text");
}

/// Each wrong value, and what is said of it.
#[test]
fn every_wrong_value_is_reported_with_its_row_and_column() {
    let cases = [
        ("academicSessions.csv", SESSIONS, "2027-06-30", "30/06/2027", "3 endDate DATE_WRONG"),
        ("academicSessions.csv", SESSIONS, "2027-06-30", "2027-02-30", "3 endDate DATE_WRONG"),
        ("academicSessions.csv", SESSIONS, "2027-06-30", "2027-01-30", "3 endDate DATES_BACKWARDS"),
        ("academicSessions.csv", SESSIONS, ",term,", ",trimester,", "3 type NOT_ONE_OF"),
        ("academicSessions.csv", SESSIONS, "Printemps", "春", "3 title CODE_WRONG"),
        ("courses.csv", COURSES, "4.5", "4,5", "2 - FIELDS_WRONG_COUNT"),
        ("courses.csv", COURSES, "4.5", "four", "2 metadata.matricula.credits NUMBER_WRONG"),
        ("courses.csv", COURSES, "RÉD-1", "Math 101", "3 courseCode CODE_TWICE"),
        ("courses.csv", COURSES, "RÉD-1", "RED_1", "3 courseCode CODE_WRONG"),
        ("courses.csv", COURSES, "c2,", "c1,", "3 sourcedId SOURCED_ID_TWICE"),
        ("courses.csv", COURSES, ",o2,", ",o9,", "2 orgSourcedId REFERENCE_DANGLING"),
        ("users.csv", USERS, "Ana,", ",", "2 givenName VALUE_REQUIRED"),
        ("users.csv", USERS, "leo@", "leo", "3 email EMAIL_WRONG"),
        ("users.csv", USERS, "leo@", "ANA@", "3 email EMAIL_TWICE"),
        ("users.csv", USERS, "Núñez", "NÃºÃ±ez", "2 familyName DOUBLE_ENCODED"),
        ("users.csv", USERS, "u2,,", "u2,tobedeleted,", "3 status NOT_ONE_OF"),
        ("roles.csv", ROLES, "u3,primary", "u9,primary", "4 userSourcedId REFERENCE_DANGLING"),
        ("roles.csv", ROLES, "guardian", "dean", "4 role NOT_ONE_OF"),
        ("classes.csv", CLASSES, ",c2,", ",c9,", "3 courseSourcedId REFERENCE_DANGLING"),
        ("classes.csv", CLASSES, "t1,,,,12", "t9,,,,12", "2 termSourcedIds REFERENCE_DANGLING"),
        ("classes.csv", CLASSES, "t1,,,,12", "y1,,,,12", "2 termSourcedIds NOT_A_TERM"),
        ("classes.csv", CLASSES, "t1,,,,12", "\"t1,t2\",,,,12", "2 termSourcedIds NOT_ONE_TERM"),
        ("classes.csv", CLASSES, "RED-A", "MATH101-A", "3 classCode CODE_TWICE"),
        ("classes.csv", CLASSES, ",12,", ",-12,", "2 metadata.matricula.capacity NUMBER_WRONG"),
        (
            "classes.csv",
            CLASSES,
            ",true,",
            ",yes,",
            "2 metadata.matricula.approvalRequired NOT_ONE_OF",
        ),
        ("classes.csv", CLASSES, "MO WE", "LU MI", "2 metadata.matricula.meetings MEETINGS_WRONG"),
        (
            "enrollments.csv",
            ENROLLMENTS,
            "e1,,,k1",
            "e1,,,k9",
            "2 classSourcedId REFERENCE_DANGLING",
        ),
        (
            "enrollments.csv",
            ENROLLMENTS,
            "u1,student",
            "u2,student",
            "2 userSourcedId NOT_A_STUDENT",
        ),
        ("orgs.csv", ORGS, "department", "faculty", "3 type NOT_ONE_OF"),
    ];
    for (file, content, good, wrong, expected) in cases {
        let changed = content.replacen(good, wrong, 1);
        assert_ne!(changed, content, "{good} stands in {file}");
        let found = found(file, &changed);
        assert!(found.contains(&format!("{file}:{expected}")), "{good} → {wrong}: {found:?}");
    }
}

/// The student's enrollment with a final grade.
fn graded(grade: &str, scale: &str, passed: &str, credits: &str) -> String {
    let header = "metadata.matricula.grade,metadata.matricula.gradeScale,metadata.matricula.passed,metadata.matricula.creditsEarned";
    let mut lines = ENROLLMENTS.lines();
    let first = lines.next().expect("a header");
    let student = lines.next().expect("a student");
    let teacher = lines.next().expect("a teacher");
    format!("{first},{header}\n{student},{grade},{scale},{passed},{credits}\n{teacher},,,,\n")
}

#[test]
fn a_final_grade_comes_with_its_scale_and_whether_it_is_good_enough() {
    let row = |enrollments: &str| {
        let chunks = chunks(university(&[("enrollments.csv", enrollments.as_bytes())]));
        chunks.last().expect("history")["rows"][0]["grade"].clone()
    };
    let expected = json!({
        "grade": "B", "scale": ["F", "D", "C", "B", "A"], "passed": true,
        "credits_earned_hundredths": 450,
    });
    assert_eq!(row(&graded("B", "F D C B A", "true", "4.5")), expected);
    let failed = json!({ "grade": "9.5", "scale": ["9.5", "10"], "passed": false });
    assert_eq!(row(&graded("9.5", "9.5 10", "false", "")), failed);
    assert_eq!(row(&graded("", "", "", "")), Value::Null, "it is under way");
    for (wrong, expected) in [
        (graded("E", "F D C B A", "true", ""), "2 metadata.matricula.grade NOT_ONE_OF"),
        (graded("B", "", "true", ""), "2 metadata.matricula.gradeScale VALUE_REQUIRED"),
        (graded("B", "B A", "", ""), "2 metadata.matricula.passed VALUE_REQUIRED"),
        (graded("B", "B A", "yes", ""), "2 metadata.matricula.passed NOT_ONE_OF"),
        (graded("B", "B A", "true", "many"), "2 metadata.matricula.creditsEarned NUMBER_WRONG"),
        (graded("", "", "", "4.5"), "2 metadata.matricula.grade VALUE_REQUIRED"),
    ] {
        assert_eq!(found("enrollments.csv", &wrong), [format!("enrollments.csv:{expected}")]);
    }
}

#[test]
fn text_that_is_too_long_or_no_utf_8_is_reported_and_all_at_once() {
    let mut bytes = USERS.replace("Max,Roy", &format!("{},", "x".repeat(101))).into_bytes();
    let at = bytes.windows(3).position(|three| three == "Léo".as_bytes().split_at(3).0);
    let at = at.expect("the name stands there") + 1;
    bytes.splice(at..at + 2, [0xE9]);
    assert_eq!(
        found("users.csv", bytes),
        [
            "users.csv:3 givenName NOT_UTF8_FIELD",
            "users.csv:4 givenName VALUE_TOO_LONG",
            "users.csv:4 familyName VALUE_REQUIRED",
            // The teacher of row 3 is not known, and so on: what follows from a mistake is told too.
            "roles.csv:3 userSourcedId REFERENCE_DANGLING",
            "roles.csv:4 userSourcedId REFERENCE_DANGLING",
            "enrollments.csv:3 userSourcedId REFERENCE_DANGLING",
        ]
    );
}

#[test]
fn the_report_is_bounded_and_tells_the_true_total() {
    let mut roles = ROLES.to_owned();
    roles.extend((0..1_500).map(|number| format!("x{number},,,nobody,primary,student,,,o1,\n")));
    let examination =
        examined_within(university(&[("roles.csv", roles.as_bytes())]), Limits::DEFAULT);
    assert_eq!(examination.report.total(), 1_500 + 4);
    assert_eq!(examination.report.into_lines().len(), 1_000);
}

#[test]
fn what_is_no_archive_or_has_no_end_is_refused() {
    assert!(
        Archive::open(Cursor::new(b"PK\x03\x04 not really".to_vec()), Limits::DEFAULT).is_none()
    );
    assert!(Archive::open(Cursor::new(Vec::new()), Limits::DEFAULT).is_none());
    let limits = Limits { rows: 12, ..Limits::DEFAULT };
    let found = told(examined_within(university(&[]), limits));
    assert_eq!(found.first().map(String::as_str), Some("orgs.csv:- - ROWS_TOO_MANY"));
    let bomb = format!("{USERS}u4,,,true,\"{}", "0".repeat(3_000_000));
    let bytes = university(&[("users.csv", bomb.as_bytes())]);
    assert!(bytes.len() < 20_000, "it is packed well");
    let small = Limits { unpacked_bytes: 1_000_000, row_bytes: 10_000_000, ..Limits::DEFAULT };
    let found_small = told(examined_within(bytes.clone(), small));
    assert_eq!(found_small[0], "users.csv:5 - UNPACKED_TOO_LARGE");
    let found_long = told(examined_within(bytes, Limits::DEFAULT));
    assert_eq!(found_long[0], "users.csv:5 - ROW_TOO_LONG");
}

#[test]
fn two_hundred_thousand_rows_take_no_more_memory_at_a_time_than_a_few() {
    const STUDENTS: u64 = 100_000;
    let mut users = USERS.to_owned();
    let mut roles = ROLES.to_owned();
    users.extend((0..STUDENTS).map(|number| {
        format!("s{number},,,true,s{number},,Ana,Núñez,,N-{number},s{number}@matricula.example\n")
    }));
    roles.extend(
        (0..STUDENTS).map(|number| format!("q{number},,,s{number},primary,student,,,o1,\n")),
    );
    let bytes = university(&[("users.csv", users.as_bytes()), ("roles.csv", roles.as_bytes())]);
    drop((users, roles));
    let mut archive = Archive::open(Cursor::new(bytes), Limits::DEFAULT).expect("an archive");
    let examination = examine(&mut archive);
    assert!(examination.is_valid());
    assert_eq!(examination.counts().people, STUDENTS + 2);
    assert!(examination.largest_row < 1024, "{}", examination.largest_row);
    let (mut largest, mut rows) = (0, 0);
    let written = write_chunks(&mut archive, &examination, |chunk| {
        largest = largest.max(chunk.json.len());
        rows += chunk.json.matches("\"row\":").count();
        Ok(())
    });
    assert_eq!(rows, 1 + 2 + 100_002 + 2 + 1);
    assert_eq!(written, Ok(Written { chunks: 1_001 + 1 + 1 + 1 + 1, of_people: 1_001 }));
    assert!(largest < 32 * 1024, "{largest}");
}

#[test]
fn long_rows_make_small_chunks() {
    let meetings = (8..18).map(|hour| format!("MO TU WE TH FR {hour:02}:00-{hour:02}:30"));
    let meetings = meetings.collect::<Vec<_>>().join(";");
    let mut classes = CLASSES.to_owned();
    classes.extend(
        (0..300).map(|number| {
            format!("z{number},,,Z,,c1,Z-{number},scheduled,,o1,t1,,,,,,,{meetings}\n")
        }),
    );
    let bytes = university(&[("classes.csv", classes.as_bytes())]);
    let chunks = chunks(bytes);
    let sections: Vec<&Value> =
        chunks.iter().filter(|chunk| chunk["file"] == "classes.csv").collect();
    assert!(sections.len() > 3);
    assert!(sections.iter().all(|chunk| chunk.to_string().len() < 170 * 1024));
}

#[test]
fn whoever_takes_the_chunks_can_stop_them() {
    let mut archive = Archive::open(Cursor::new(university(&[])), Limits::DEFAULT).expect("opens");
    let examination = examine(&mut archive);
    let mut taken = 0;
    let stopped = write_chunks(&mut archive, &examination, |_| {
        taken += 1;
        Err(Stopped)
    });
    assert_eq!((stopped, taken), (Err(Stopped), 1));
}

#[test]
fn the_made_up_university_can_be_imported() {
    let settings = testkit::UniversitySettings::default();
    let bytes = testkit::university(&settings).archive;
    let mut archive = Archive::open(Cursor::new(bytes), Limits::DEFAULT).expect("an archive");
    let examination = examine(&mut archive);
    let counts = examination.counts();
    assert!(examination.is_valid(), "{:?}", told(examination));
    assert_eq!((counts.terms, counts.courses, counts.sections), (2, 60, 150));
    assert_eq!(counts.people, 2_050);
    assert!(counts.history > 100);
}
