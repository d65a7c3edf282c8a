//! The main job: from an account to registered, paid and told; and back again by a drop.

use serde_json::json;

use crate::courses::{CREDITS_HUNDREDTHS, Offer, Term, assert_taken};
use crate::mail::await_mail;
use crate::patience::{LIMIT, eventually};
use crate::people::{PER_CREDIT, Person, newcomer, staff};
use crate::sagas::{
    Bundle, await_payment, decide, francs, invoice, start_payment, submit, submit_one,
};

/// 4.5 credits at the price of the staff.
const PRICE: i64 = PER_CREDIT * CREDITS_HUNDREDTHS / 100;

#[test]
fn a_student_registers_pays_and_is_told() {
    let term = Term::open();
    let free = term.plain_section();
    let guarded = term.section(Offer { approval_required: true, ..Offer::PLAIN });
    let student = newcomer("Nadia");
    let bundles = submit(&student, &term, &[&free, &guarded]);
    for section in [&free, &guarded] {
        assert_taken(section, 1);
    }
    assert!(bundles.iter().all(|bundle| bundle.registration_state() == "seat_held"));

    let approval = bundles[1].await_approval();
    let waiting = staff().head.api.list("/approvals");
    assert!(waiting.iter().any(|item| item["id"] == approval.as_str()), "{waiting:?}");
    assert_eq!(decide(&approval, "approve")["state"], "approved");

    let paid: Vec<String> = bundles.iter().map(|bundle| pay_and_check(&student, bundle)).collect();
    assert_ne!(paid[0], paid[1]);
    for bundle in &bundles {
        let progress = bundle.await_state("confirmed");
        assert_eq!((&progress["attempt"], &progress["reason"]), (&json!(1), &json!(null)));
        assert_eq!(bundle.registration_state(), "registered");
        assert_taken(&bundle.section, 1);
    }
    let listed = student.api.list("/registrations");
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|registration| registration["state"] == "registered"));
    let invoices = student.api.list("/invoices");
    assert_eq!(invoices.len(), 2);
    assert_ne!(invoices[0]["number"], invoices[1]["number"]);

    await_mail(&student.email, &format!("Your registration for {} is confirmed", term.code), 2);
    eventually("both messages are noted as sent", LIMIT, || {
        let messages = student.api.list("/messages");
        let sent = |message: &&serde_json::Value| {
            message["kind"] == "registered" && message["state"] == "sent"
        };
        if messages.iter().filter(sent).count() == 2 {
            Ok(())
        } else {
            Err(format!("{messages:?}"))
        }
    });
}

fn pay_and_check(student: &Person, bundle: &Bundle<'_>) -> String {
    let id = bundle.await_invoice();
    let issued = invoice(student, &id);
    assert_eq!(issued["state"], "issued");
    assert_eq!((francs(&issued["total"]), francs(&issued["open"])), (PRICE, PRICE));
    assert_eq!(issued["lines"][0]["registration"], bundle.registration.as_str());
    let payment = start_payment(student, &id, "pm_card_visa");
    let booked = await_payment(student, &payment, "succeeded");
    assert_eq!(francs(&booked["amount"]), PRICE);
    let paid = invoice(student, &id);
    assert_eq!((&paid["state"], &paid["number"]), (&json!("paid"), &issued["number"]));
    assert_eq!((francs(&paid["paid"]), francs(&paid["open"])), (PRICE, 0));
    assert_eq!(paid["payment_under_way"], json!(null));
    let again = json!({ "invoice": id, "payment_method": "pm_card_visa" });
    student.api.post("/payments", &again).expect_refusal(409, "INVOICE_PAID");
    id
}

#[test]
fn a_profile_is_edited_only_as_it_was_read() {
    let person = newcomer("Paula");
    let read = person.api.get("/me").expect(200);
    let etag = read.header("etag").to_owned();
    assert_eq!(read.body["roles"], json!([{ "role": "student", "department": null }]));
    let edit = |name: &str| {
        let name = json!({ "given": name, "family": "Rivière" });
        person.api.call("PATCH", "/me").json(&json!({ "preferred_name": name }))
    };
    edit("Paule").send().expect_refusal(428, "IF_MATCH_REQUIRED");
    let edited = edit("Paule").header("if-match", &etag).send().expect(200);
    assert_ne!(edited.header("etag"), etag);
    edit("Pauline").header("if-match", &etag).send().expect_refusal(412, "PRECONDITION_FAILED");
    // The reply to the first edit was lost: it is sent again as it was, and has had its effect.
    edit("Paule").header("if-match", &etag).send().expect(200);
    let now = person.api.get("/me").expect(200);
    assert_eq!(now.body["name"], json!({ "given": "Paule", "family": "Rivière" }));
    assert_eq!(now.header("etag"), edited.header("etag"));
}

#[test]
fn a_drop_frees_the_seat_and_its_money_pays_for_the_next_section() {
    let term = Term::open();
    let only_seat = term.section(Offer { capacity: 1, ..Offer::PLAIN });
    let (first, second) = (newcomer("Dana"), newcomer("Emil"));
    let dropped = submit_one(&first, &term, &only_seat);
    dropped.pay();
    let cart = json!({ "term": term.id, "sections": [only_seat] });
    second.api.post("/submissions", &cart).expect_refusal(409, "CLOSED");

    let path = format!("/registrations/{}/drop", dropped.registration);
    let reply = first.api.post(&path, &json!({})).expect(200);
    assert_eq!(reply.body["state"], "dropped");
    assert_taken(&only_seat, 0);
    let id = dropped.progress()["invoice"].as_str().expect("it was invoiced").to_owned();
    let credited = eventually("the invoice is credited", LIMIT, || {
        let credited = invoice(&first, &id);
        if credited["state"] == "credited" { Ok(credited) } else { Err(credited.to_string()) }
    });
    assert_eq!((francs(&credited["credited"]), francs(&credited["open"])), (PRICE, 0));
    let note = credited["credits"][0]["credit_note_number"].as_str().expect("a number");
    assert!(note.starts_with("MAT-CN-"), "{note}");

    let told =
        await_mail(&first.email, &format!("You dropped a registration for {}", term.code), 1);
    assert!(told[0].text.contains("Analysis for beginners"), "{told:?}");

    let taken = submit_one(&second, &term, &only_seat);
    assert_taken(&only_seat, 1);
    taken.await_invoice();
    let next = submit_one(&first, &term, &term.plain_section());
    let progress = next.await_state("confirmed");
    let settled = invoice(&first, progress["invoice"].as_str().expect("an invoice"));
    assert_eq!((&settled["state"], francs(&settled["open"])), (&json!("paid"), 0));
}
