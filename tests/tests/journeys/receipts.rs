//! What students show that they paid with: its file goes straight into the bucket, and the bursar is led to it.

use serde_json::{Value, json};

use crate::api::{agent, unique};
use crate::people::{Person, newcomer, staff};

const FILE: &[u8] = b"%PDF-1.7 a receipt";
const SHA256: &str = "90ee892e36cc2bc0f3d43cb04922f47e0ace20ebea716a11a499be62f60926f7";

/// A receipt that was handed in with its file, and its id.
pub fn hand_in(student: &Person) -> String {
    let receipt = student.api.post("/receipts", &transfer(&student.id)).expect(201).text("/id");
    upload(student, &receipt, FILE).expect("the upload is answered");
    receipt
}

pub fn transfer(student: &str) -> Value {
    json!({
        "student": student, "channel": "bank_transfer", "bank": "Afriland",
        "reference": unique("TX"), "amount": { "minor": 100, "currency": "XAF" },
        "paid_on": "2026-01-15",
    })
}

/// What is announced of the file.
pub fn announcement(student: &str) -> Value {
    let file = json!({ "kind": "application/pdf", "bytes": FILE.len(), "sha256": SHA256 });
    json!({ "student": student, "file": file })
}

fn upload(student: &Person, receipt: &str, file: &[u8]) -> Result<u16, ureq::Error> {
    let path = format!("/receipts/{receipt}/file");
    let announced = student.api.post(&path, &announcement(&student.id)).expect(200);
    let mut put = agent().put(announced.text("/upload_url"));
    let headers = announced.body["headers"].as_object().expect("headers");
    // The client counts the bytes by itself.
    for (name, value) in headers.iter().filter(|(name, _)| *name != "content-length") {
        put = put.header(name, value.as_str().expect("a text"));
    }
    put.send(file).map(|response| response.status().as_u16())
}

#[test]
fn the_bursar_is_led_to_the_file_of_a_receipt() {
    let student = newcomer("Rita");
    let receipt = hand_in(&student);
    let path = format!("/receipts/{receipt}/file?student={}", student.id);
    let shown = staff().bursar.api.get(&path).expect(200);
    assert_eq!(shown.body["file"]["sha256"], SHA256);
    let mut file = agent().get(shown.text("/download_url")).call().expect("the file is there");
    assert_eq!(file.body_mut().read_to_vec().expect("whole"), FILE);
    newcomer("Egon").api.get(&path).expect_refusal(404, "RECEIPT_UNKNOWN");
}

#[test]
fn nobody_is_led_to_another_file_than_was_announced() {
    let student = newcomer("Rolf");
    let receipt = student.api.post("/receipts", &transfer(&student.id)).expect(201).text("/id");
    let path = format!("/receipts/{receipt}/file");
    student.api.get(&path).expect_refusal(404, "RECEIPT_FILE_UNKNOWN");
    // S3 takes it or does not: whatever it does, nobody is led there.
    let taken = upload(&student, &receipt, b"%PDF-1.7 a RECEIPT").is_ok_and(|status| status == 200);
    let code = if taken { (409, "RECEIPT_FILE_DIFFERS") } else { (404, "RECEIPT_FILE_UNKNOWN") };
    student.api.get(&path).expect_refusal(code.0, code.1);
}
