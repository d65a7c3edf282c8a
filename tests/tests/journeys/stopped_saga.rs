//! An execution that dies in the middle: the schedule finds its bundle, and another execution carries it on.

use std::time::Duration;

use serde_json::json;

use crate::cloud;
use crate::courses::{Term, assert_taken};
use crate::mail::await_mail;
use crate::patience::eventually;
use crate::people::newcomer;
use crate::sagas::{await_payment, invoice, start_payment, submit_one};

/// A bundle that has moved within the last minute is left alone.
const FOUND_WITHIN: Duration = Duration::from_mins(3);

#[test]
fn a_saga_that_was_stopped_is_carried_on_by_a_second_execution() {
    let (term, student) = (Term::open(), newcomer("Stella"));
    let section = term.plain_section();
    let bundle = submit_one(&student, &term, &section);
    let id = bundle.await_invoice();
    cloud::stop_saga(&bundle.id, 1);
    // The money comes while nobody waits for it.
    let payment = start_payment(&student, &id, "pm_card_visa");
    await_payment(&student, &payment, "succeeded");
    assert_eq!(bundle.progress()["state"], "awaiting_payment");

    eventually("the stopped saga is found", FOUND_WITHIN, || {
        let reply = cloud::invoke("enrollment-reconcile-sagas", &json!({}));
        assert_eq!(reply["parked"], json!([]));
        // The deployed schedule may have come before us: the attempt tells it as well.
        let progress = bundle.progress();
        if progress["attempt"] == 2 { Ok(()) } else { Err(format!("{reply}, {progress}")) }
    });
    let progress = bundle.await_state("confirmed");
    assert_eq!((&progress["attempt"], &progress["invoice"]), (&json!(2), &json!(id)));
    assert_eq!(bundle.registration_state(), "registered");
    assert_taken(&section, 1);
    assert_eq!(student.api.list("/invoices").len(), 1, "charged once");
    assert_eq!(invoice(&student, &id)["state"], "paid");
    await_mail(&student.email, "is confirmed", 1);
}
