//! Registrations that come to nothing: whatever their saga did is taken back, and the student is told why.

use kernel::Id;
use serde_json::json;

use crate::api::unique;
use crate::cloud;
use crate::courses::{Offer, Term, assert_taken};
use crate::mail::await_mail;
use crate::patience::{LIMIT, eventually};
use crate::people::{newcomer, staff};
use crate::sagas::{Bundle, decide, submit_one};

#[test]
fn a_rejected_registration_leaves_nothing_behind() {
    let term = Term::open();
    let section = term.section(Offer { approval_required: true, ..Offer::PLAIN });
    let student = newcomer("Rita");
    let bundle = submit_one(&student, &term, &section);
    let approval = bundle.await_approval();
    assert_taken(&section, 1);
    assert_eq!(decide(&approval, "reject")["state"], "rejected");
    assert_undone(&bundle, "approval_rejected", "The department did not approve the registration.");
    assert_eq!(student.api.list("/invoices"), Vec::<serde_json::Value>::new());
    let path = format!("/approvals/{approval}/decision");
    let other = json!({ "decision": "approve" });
    staff().head.api.post(&path, &other).expect_refusal(409, "APPROVAL_DECIDED");
    let waiting = staff().head.api.list("/approvals");
    assert!(waiting.iter().all(|item| item["id"] != approval.as_str()));
    // The place is the student's to take again.
    submit_one(&student, &term, &section).await_approval();
}

#[test]
fn a_registration_that_cannot_be_charged_is_undone_and_told() {
    let term = Term::open();
    let price_group = unique("unpriced");
    let section = term.section(Offer { price_group: &price_group, ..Offer::PLAIN });
    let student = newcomer("Ugo");
    let bundle = submit_one(&student, &term, &section);
    assert_undone(&bundle, "charge_refused", "The registration could not be charged.");
    assert_eq!(student.api.list("/invoices"), Vec::<serde_json::Value>::new());
}

/// Seats back, charge reversed before it was ever posted, student told with the reason.
fn assert_undone(bundle: &Bundle<'_>, reason: &str, sentence: &str) {
    let progress = bundle.await_state("released");
    assert_eq!(progress["reason"], reason, "{progress}");
    assert_eq!(progress["invoice"], json!(null), "{progress}");
    assert_taken(&bundle.section, 0);
    assert_eq!(bundle.registration_state(), "released");
    let mails = await_mail(&bundle.student.email, "did not go through", 1);
    assert!(mails[0].text.contains(sentence), "{mails:?}");
    let charge = kernel::ChargeId::derived_from(&bundle.id);
    eventually("the charge is marked as reversed", LIMIT, || {
        let charge = cloud::stored("billing", &format!("CHARGE#{charge}"), "CHARGE");
        let state = charge.as_ref().and_then(|charge| charge.pointer("/state/S"));
        if state == Some(&json!("reversed")) { Ok(()) } else { Err(format!("{charge:?}")) }
    });
}
