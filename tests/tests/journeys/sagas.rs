//! A student's submissions on their way: what was submitted, how far each bundle has come, what is to be paid for it.

use serde_json::{Value, json};

use crate::courses::Term;
use crate::patience::{LIMIT, eventually};
use crate::people::{Person, staff};

/// One bundle of a submission, followed by its student.
#[derive(Debug, Clone)]
pub struct Bundle<'p> {
    pub student: &'p Person,
    pub submission: String,
    pub id: String,
    pub registration: String,
    pub section: String,
}

/// Submits sections that do not need each other: each is a bundle of its own, in the order of the sections.
pub fn submit<'p>(student: &'p Person, term: &Term, sections: &[&str]) -> Vec<Bundle<'p>> {
    let cart = json!({ "term": term.id, "sections": sections });
    let reply = student.api.post("/submissions", &cart).expect(201);
    assert_eq!(reply.body["failed"], json!([]));
    let mut bundles: Vec<Bundle<'p>> = reply.body["bundles"]
        .as_array()
        .expect("a submission has bundles")
        .iter()
        .map(|bundle| {
            let text = |pointer: &str| {
                let text = bundle.pointer(pointer).and_then(Value::as_str);
                text.unwrap_or_else(|| panic!("{pointer} in {bundle}")).to_owned()
            };
            Bundle {
                student,
                submission: reply.text("/id"),
                id: text("/bundle"),
                registration: text("/registrations/0/registration"),
                section: text("/registrations/0/section"),
            }
        })
        .collect();
    assert_eq!(bundles.len(), sections.len());
    bundles.sort_by_key(|bundle| sections.iter().position(|section| *section == bundle.section));
    bundles
}

pub fn submit_one<'p>(student: &'p Person, term: &Term, section: &str) -> Bundle<'p> {
    submit(student, term, &[section]).remove(0)
}

impl Bundle<'_> {
    pub fn progress(&self) -> Value {
        let path = format!("/submissions/{}", self.submission);
        let submission = self.student.api.get(&path).expect(200).body;
        let bundles = submission["bundles"].as_array().expect("a submission has bundles");
        let own = bundles.iter().find(|bundle| bundle["bundle"] == self.id.as_str());
        own.expect("a bundle stays with its submission").clone()
    }

    /// Waits until the bundle has come so far; a saga that has gone elsewhere for good is not waited for.
    pub fn await_state(&self, state: &str) -> Value {
        eventually(&format!("bundle {} is {state}", self.id), LIMIT, || {
            let progress = self.progress();
            let now = progress["state"].as_str().unwrap_or_default().to_owned();
            let ended = matches!(now.as_str(), "confirmed" | "released") && now != state;
            assert!(!ended, "bundle {} is not {state} but {progress}", self.id);
            assert!(progress["parked"].is_null(), "an operator has to help: {progress}");
            if now == state { Ok(progress) } else { Err(progress.to_string()) }
        })
    }

    /// Waits until there is something to pay, and answers the invoice's id.
    pub fn await_invoice(&self) -> String {
        let progress = self.await_state("awaiting_payment");
        progress["invoice"].as_str().expect("what awaits payment has an invoice").to_owned()
    }

    pub fn await_approval(&self) -> String {
        let progress = self.await_state("awaiting_approval");
        progress["approvals"][0].as_str().expect("what awaits approval has one").to_owned()
    }

    pub fn registration_state(&self) -> String {
        let path = format!("/registrations/{}", self.registration);
        self.student.api.get(&path).expect(200).text("/state")
    }

    /// Pays, and waits until the bundle is confirmed.
    pub fn pay(&self) {
        let invoice = self.await_invoice();
        let payment = start_payment(self.student, &invoice, "pm_card_visa");
        await_payment(self.student, &payment, "succeeded");
        self.await_state("confirmed");
    }
}

/// The head of department's word.
pub fn decide(approval: &str, decision: &str) -> Value {
    let path = format!("/approvals/{approval}/decision");
    let word = json!({ "decision": decision, "reason": "a journey" });
    staff().head.api.post(&path, &word).expect(200).body
}

pub fn start_payment(student: &Person, invoice: &str, method: &str) -> String {
    let payment = json!({ "invoice": invoice, "payment_method": method });
    student.api.post("/payments", &payment).expect(201).text("/id")
}

pub fn await_payment(student: &Person, payment: &str, status: &str) -> Value {
    eventually(&format!("payment {payment} is {status}"), LIMIT, || {
        let found = student.api.get(&format!("/payments/{payment}")).expect(200).body;
        let now = found["status"].as_str().unwrap_or_default();
        let ended = matches!(now, "succeeded" | "failed" | "expired") && now != status;
        assert!(!ended, "payment {payment} is not {status} but {found}");
        if now == status { Ok(found) } else { Err(found.to_string()) }
    })
}

pub fn invoice(student: &Person, invoice: &str) -> Value {
    student.api.get(&format!("/invoices/{invoice}")).expect(200).body
}

/// Of an amount in XAF: the minor unit, which is the franc itself.
#[track_caller]
pub fn francs(money: &Value) -> i64 {
    assert_eq!(money["currency"], "XAF", "{money}");
    money["minor"].as_i64().expect("an amount")
}
