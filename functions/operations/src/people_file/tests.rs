//! Tables with one mistake each, workbooks that are traps, and a large table that must not fill the memory.

use std::io::Write;

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const HEADER: &str = "source_id,given_name,family_name,email,birth_date,student_number,staff_number,roles,department,external_ids";

fn table(rows: &[&str]) -> Vec<u8> {
    [&[HEADER], rows].concat().join("\n").into_bytes()
}

/// Row, column and code of everything found.
fn found(bytes: &[u8], format: Format) -> Vec<(Option<u64>, Option<String>, String)> {
    let lines = examine(bytes, format).report.into_lines().into_iter();
    lines.map(|line| (line.row, line.column, line.code)).collect()
}

fn rows_of(bytes: &[u8], format: Format) -> Vec<Value> {
    let mut rows = Vec::new();
    let take = |chunk: Chunk| {
        let chunk: Value = serde_json::from_str(&chunk.json).expect("JSON");
        rows.extend(chunk["rows"].as_array().expect("rows").clone());
        Ok(())
    };
    write_chunks(bytes, format, take).expect("all are taken");
    rows
}

#[test]
fn a_row_becomes_a_person_in_the_words_of_identity() {
    let csv = "\u{feff}given_name;family_name;preferred_given_name;birth_date;email;student_number;roles;department;external_ids;\r\n\
               Augusta;Núñez;Ada;2001-02-03;ada@matricula.example;S-1;Student teacher;maths;moodle:academics:17 idp:x:a;\r\n\
               ;;;;;;;;;\r\n";
    let examined = examine(csv.as_bytes(), Format::PeopleCsv);
    assert!(examined.is_valid, "{:?}", examined.report);
    let person = json!({
        "row": 2,
        "source": "student-number:s-1",
        "given_name": "Augusta",
        "family_name": "Núñez",
        "preferred_name": { "given": "Ada", "family": "Núñez" },
        "birth_date": "2001-02-03",
        "email": "ada@matricula.example",
        "student_number": "S-1",
        "roles": ["student", "teacher"],
        "department": "MATHS",
        "external_ids": ["moodle:academics:17", "idp:x:a"],
    });
    assert_eq!(rows_of(csv.as_bytes(), Format::PeopleCsv), [person]);
}

#[test]
fn every_mistake_is_reported_on_its_line_and_the_other_rows_are_applied() {
    let mut bytes = table(&[
        "p1,Ana,Roy,ana@matricula.example,,,,student,,",
        "p2,,Roy,,,,,,,",
        "p3,Max,Roy,not an address,,,,,,",
        "p4,Max,Roy,,3.2.2001,,,,,",
        "p5,Max,Roy,,,,,administrator,,",
        "p6,Max,Roy,,,,,,,no id",
        ",Max,Roy,,,,,,,",
        "p1,Max,Roy,,,,,,,",
        "p9,Max,Roy,ANA@matricula.example,,,,,,",
        "p10,Max,N\u{c3}\u{ba}\u{c3}\u{b1}ez,,,,,,,",
        "p11,Max,Roy",
    ]);
    bytes.extend(b"\np12,Max,N\xfa\xf1ez,,,,,,,\np13,Zoe,Roy,,,,,teacher,,");
    let line = |row: u64, column: &str, code: &str| {
        (Some(row), (!column.is_empty()).then(|| column.to_owned()), code.to_owned())
    };
    let expected = [
        line(3, "given_name", "VALUE_REQUIRED"),
        line(4, "email", "EMAIL_WRONG"),
        line(5, "birth_date", "DATE_WRONG"),
        line(6, "roles", "NOT_ONE_OF"),
        line(7, "external_ids", "EXTERNAL_ID_WRONG"),
        line(8, "source_id", "VALUE_REQUIRED"),
        line(9, "source_id", "SOURCED_ID_TWICE"),
        line(10, "email", "EMAIL_TWICE"),
        line(11, "family_name", "DOUBLE_ENCODED"),
        line(12, "", "FIELDS_WRONG_COUNT"),
        line(13, "family_name", "NOT_UTF8_FIELD"),
    ];
    assert_eq!(found(&bytes, Format::PeopleCsv), expected);
    assert!(examine(&bytes, Format::PeopleCsv).is_valid);
    let rows = rows_of(&bytes, Format::PeopleCsv);
    let numbers: Vec<_> = rows.iter().map(|row| row["row"].as_u64()).collect();
    assert_eq!(numbers, [Some(2), Some(14)]);
}

#[test]
fn a_table_whose_columns_are_not_ours_is_not_applied_at_all() {
    for (header, code) in [
        ("", "HEADER_MISSING"),
        ("name,mail", "HEADER_MISSING"),
        ("given_name,mail", "COLUMN_MISSING"),
        ("given_name,family_name,birthdate", "COLUMN_UNKNOWN"),
        ("given_name,family_name,email,email", "COLUMN_TWICE"),
        ("given_name,family_name,source_id", "NOTHING_TO_IMPORT"),
    ] {
        let examined = examine(header.as_bytes(), Format::PeopleCsv);
        assert!(!examined.is_valid, "{header}");
        let codes = found(header.as_bytes(), Format::PeopleCsv);
        assert_eq!(codes.first().map(|(.., found)| found.as_str()), Some(code), "{header}");
    }
}

/// A workbook of one sheet, as small as Excel still opens it.
fn workbook(sheet: &str, texts: &str) -> Vec<u8> {
    const TYPES: &str = r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#;
    const ROOT: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
    const BOOK: &str = r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="People" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
    const PARTS: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
    const STYLES: &str = r#"<?xml version="1.0"?><styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#;
    let sheet = format!(
        r#"<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{sheet}</sheetData></worksheet>"#
    );
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", ROOT),
        ("xl/workbook.xml", BOOK),
        ("xl/_rels/workbook.xml.rels", PARTS),
        ("xl/styles.xml", STYLES),
        ("xl/sharedStrings.xml", texts),
        ("xl/worksheets/sheet1.xml", &sheet),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).expect("a part begins");
        zip.write_all(content.as_bytes()).expect("it is written");
    }
    zip.finish().expect("a zip").into_inner()
}

fn texts(texts: &[&str]) -> String {
    let all: Vec<String> = texts.iter().map(|text| format!("<si><t>{text}</t></si>")).collect();
    let all = all.concat();
    let count = texts.len();
    format!(
        r#"<?xml version="1.0"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" count="{count}" uniqueCount="{count}">{all}</sst>"#
    )
}

fn typed(place: &str, text: &str) -> String {
    format!(r#"<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>"#)
}

fn headed(rows: &str) -> String {
    let header = ["student_number", "given_name", "family_name", "birth_date"];
    let columns = ["A", "B", "C", "D"].map(|column| format!("{column}1"));
    let header: String = columns.iter().zip(header).map(|(at, text)| typed(at, text)).collect();
    format!(r#"<row r="1">{header}</row>{rows}"#)
}

#[test]
fn a_workbook_is_read_as_somebody_would_have_typed_it() {
    let rows = format!(
        r#"<row r="3"><c r="A3"><v>1234567890</v></c><c r="B3" t="s"><v>0</v></c>{}<c r="D3" s="1"><v>36925</v></c></row><row r="5"><c r="A5"><v>7</v></c><c r="B5" t="e"><v>#N/A</v></c>{}</row><row r="6"><c r="XFD6"><v>1</v></c></row>"#,
        typed("C3", "Núñez"),
        typed("C5", "Roy"),
    );
    let file = workbook(&headed(&rows), &texts(&["Zoë"]));
    let expected = [(Some(5), Some("given_name".to_owned()), "CELL_WRONG".to_owned())];
    assert_eq!(found(&file, Format::PeopleXlsx), expected);
    let person = json!({
        "row": 3,
        "source": "student-number:1234567890",
        "given_name": "Zoë",
        "family_name": "Núñez",
        "birth_date": "2001-02-03",
        "student_number": "1234567890",
        "roles": [],
        "external_ids": [],
    });
    assert_eq!(rows_of(&file, Format::PeopleXlsx), [person]);
}

#[test]
fn what_is_no_workbook_is_refused() {
    let whole = workbook(&headed(""), &texts(&[]));
    for (file, code) in [
        (b"given_name,family_name".to_vec(), "WORKBOOK_UNREADABLE"),
        (whole[..whole.len() / 2].to_vec(), "WORKBOOK_UNREADABLE"),
        (workbook("", &texts(&[])), "HEADER_MISSING"),
        (workbook("<row r=\"1\"><c", &texts(&[])), "WORKBOOK_UNREADABLE"),
        (whole, "NOTHING_TO_IMPORT"),
    ] {
        let examined = examine(&file, Format::PeopleXlsx);
        assert!(!examined.is_valid);
        let found = examined.report.into_lines();
        assert_eq!(found.first().map(|line| line.code.as_str()), Some(code));
    }
}

#[test]
fn a_workbook_that_unpacks_to_more_than_it_may_is_not_understood_at_all() {
    let limits = Limits { unpacked_bytes: 64 * 1024, ..WORKBOOK_LIMITS };
    let blown_up = workbook(&headed(&" ".repeat(100 * 1024)), &texts(&[]));
    let mut report = Report::default();
    assert!(!workbook::read(&blown_up, limits, &mut report, |_| panic!("nothing is read")));
    let lines = report.into_lines();
    assert_eq!(lines[0].code, "UNPACKED_TOO_LARGE");
    for count in ["99999999999999", "none", "9999999999999999999999999"] {
        let claimed = texts(&[]).replace("uniqueCount=\"0\"", &format!("uniqueCount = '{count}'"));
        let codes = found(&workbook(&headed(""), &claimed), Format::PeopleXlsx);
        assert_eq!(codes[0].2, "UNPACKED_TOO_LARGE", "{count}");
    }
}

#[test]
fn a_large_table_costs_a_few_bytes_a_row() {
    const ROWS: u64 = 50_000;
    let mut csv = String::from("source_id,given_name,family_name,email\n");
    for row in 0..ROWS {
        csv += &["p", &row.to_string(), ",Ana,Roy,p", &row.to_string(), "@matricula.example\n"]
            .concat();
    }
    let budget = Budget::new(CSV_LIMITS);
    let reader = budget.bounded(Cursor::new(csv.as_bytes()));
    let mut report = Report::default();
    let mut rows = 0;
    rows::read_delimited(b',', reader, File::PeopleCsv, &budget, &mut report, |_| rows += 1);
    assert_eq!(rows, ROWS);
    assert!(budget.largest_row() < 100, "one row is in memory at a time");
    let mut largest = 0;
    let written = write_chunks(csv.as_bytes(), Format::PeopleCsv, |chunk| {
        largest = largest.max(chunk.json.len());
        Ok(())
    });
    let chunks = u32::try_from(ROWS / 100).expect("a thousand");
    assert_eq!(written, Ok(Written { chunks, of_people: chunks }));
    assert!(largest < 160 * 1024);
}
