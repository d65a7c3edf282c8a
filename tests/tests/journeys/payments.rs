//! Payments that do not go as they should: declined, unanswered, told twice, told late. Money is booked exactly once.

use serde_json::{Value, json};

use crate::courses::Term;
use crate::people::{Person, newcomer};
use crate::sagas::{await_payment, francs, invoice, start_payment, submit_one};

#[test]
fn a_declined_payment_leaves_the_invoice_open_for_the_next() {
    let (term, student) = (Term::open(), newcomer("Dora"));
    let bundle = submit_one(&student, &term, &term.plain_section());
    let id = bundle.await_invoice();
    let declined = start_payment(&student, &id, "pm_card_chargeDeclined");
    let failed = await_payment(&student, &declined, "failed");
    assert_eq!(failed["failure_reason"], "card_declined");
    let open = invoice(&student, &id);
    assert_eq!((&open["state"], &open["payment_under_way"]), (&json!("issued"), &json!(null)));
    assert_eq!(bundle.progress()["state"], "awaiting_payment");
    assert_eq!(bundle.registration_state(), "seat_held");
    bundle.pay();
    assert_settled_once(&student, &id);
    assert_eq!(bundle.registration_state(), "registered");
}

#[test]
fn a_payment_that_the_provider_never_answered_is_found() {
    assert_booked_once("Tilda", "pm_sim_timeout");
}

#[test]
fn a_payment_that_is_told_twice_is_booked_once() {
    assert_booked_once("Zoe", "pm_sim_twice");
}

#[test]
fn a_payment_that_is_told_late_is_awaited_and_no_second_one_is_begun() {
    let (term, student) = (Term::open(), newcomer("Lars"));
    let bundle = submit_one(&student, &term, &term.plain_section());
    let id = bundle.await_invoice();
    let payment = start_payment(&student, &id, "pm_sim_late");
    let second = json!({ "invoice": id, "payment_method": "pm_card_visa" });
    student.api.post("/payments", &second).expect_refusal(409, "PAYMENT_IN_PROGRESS");
    assert_eq!(invoice(&student, &id)["payment_under_way"], payment.as_str());
    await_payment(&student, &payment, "succeeded");
    bundle.await_state("confirmed");
    assert_settled_once(&student, &id);
}

#[test]
fn a_payer_who_is_asked_on_the_telephone_pays_once_even_if_it_is_told_twice_or_late() {
    for number in ["+46733123461", "+46733123462"] {
        let (term, student) = (Term::open(), newcomer("Tessa"));
        let bundle = submit_one(&student, &term, &term.plain_section());
        let id = bundle.await_invoice();
        let pushed = json!({ "invoice": id, "phone": number });
        let payment = student.api.post("/payments", &pushed).expect(201);
        assert_eq!(payment.text("/channel"), "mobile_money");
        assert!(!payment.body.to_string().contains(&number[1..]), "a number is shown whole");
        await_payment(&student, &payment.text("/id"), "succeeded");
        bundle.await_state("confirmed");
        assert_settled_once(&student, &id);
    }
}

#[test]
fn a_payer_who_declines_on_the_telephone_leaves_the_invoice_open() {
    let (term, student) = (Term::open(), newcomer("Doro"));
    let bundle = submit_one(&student, &term, &term.plain_section());
    let id = bundle.await_invoice();
    let pushed = json!({ "invoice": id, "phone": "+46733123451" });
    let payment = student.api.post("/payments", &pushed).expect(201).text("/id");
    let failed = await_payment(&student, &payment, "failed");
    assert_eq!(failed["failure_reason"], "approval_rejected");
    assert_eq!(invoice(&student, &id)["state"], "issued");
}

fn assert_booked_once(given: &str, method: &str) {
    let (term, student) = (Term::open(), newcomer(given));
    let bundle = submit_one(&student, &term, &term.plain_section());
    let id = bundle.await_invoice();
    let payment = start_payment(&student, &id, method);
    await_payment(&student, &payment, "succeeded");
    bundle.await_state("confirmed");
    assert_settled_once(&student, &id);
    // Nothing is left over as the student's unapplied cash: the next section waits for its own payment.
    let next = submit_one(&student, &term, &term.plain_section());
    let due = invoice(&student, &next.await_invoice());
    assert_eq!((francs(&due["paid"]), &due["open"]), (0, &due["total"]));
}

#[track_caller]
fn assert_settled_once(student: &Person, id: &str) {
    let paid: Value = invoice(student, id);
    assert_eq!(paid["state"], "paid");
    assert_eq!(paid["paid"], paid["total"]);
    assert_eq!(francs(&paid["open"]), 0);
}
