//! The same request twice: whoever repeats it under its key gets the first reply, and nothing happens a second time.

use std::thread;

use serde_json::json;

use crate::api::{Api, unique};
use crate::courses::{Term, assert_taken};
use crate::people::{PASSWORD, address, newcomer, staff};
use crate::sagas::{await_payment, invoice, submit_one};

#[test]
fn a_submission_that_is_repeated_takes_one_seat() {
    let (term, student) = (Term::open(), newcomer("Ines"));
    let (section, other) = (term.plain_section(), term.plain_section());
    let cart = json!({ "term": term.id, "sections": [section] });
    let key = unique("cart");
    let first = student.api.post_with_key("/submissions", &key, &cart).expect(201);
    let again = student.api.post_with_key("/submissions", &key, &cart).expect(201);
    assert_eq!(first.body, again.body);
    assert_taken(&section, 1);
    let other = json!({ "term": term.id, "sections": [other] });
    let reused = student.api.post_with_key("/submissions", &key, &other);
    reused.expect_refusal(422, "IDEMPOTENCY_KEY_REUSED");
    let keyless = student.api.call("POST", "/submissions").json(&cart).send();
    keyless.expect_refusal(400, "IDEMPOTENCY_KEY_REQUIRED");
    let blank = student.api.call("POST", "/submissions").key("with blank").json(&cart).send();
    blank.expect_refusal(400, "IDEMPOTENCY_KEY_INVALID");
    // Another person's key is another key.
    let neighbour = newcomer("Ivan");
    let theirs = neighbour.api.post_with_key("/submissions", &key, &cart).expect(201);
    assert_ne!(theirs.body["id"], first.body["id"]);
    assert_taken(&section, 2);
}

#[test]
fn the_same_submission_sent_at_the_same_time_takes_one_seat() {
    const TIMES: usize = 6;
    let (term, student) = (Term::open(), newcomer("Sina"));
    let section = term.plain_section();
    let cart = json!({ "term": term.id, "sections": [section] });
    let key = unique("twins");
    let replies: Vec<_> = thread::scope(|scope| {
        let send = || student.api.post_with_key("/submissions", &key, &cart);
        let twins: Vec<_> = (0..TIMES).map(|_| scope.spawn(send)).collect();
        twins.into_iter().map(|twin| twin.join().expect("it sends")).collect()
    });
    let carried_out: Vec<_> = replies.iter().filter(|reply| reply.status == 201).collect();
    assert!(!carried_out.is_empty(), "{replies:?}");
    assert!(carried_out.iter().all(|reply| reply.body == carried_out[0].body), "{replies:?}");
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.clone().expect_refusal(409, "IN_PROGRESS");
    }
    assert_taken(&section, 1);
}

#[test]
fn an_account_and_a_term_that_are_repeated_are_made_once() {
    let account = json!({
        "email": address("Olga"),
        "password": PASSWORD,
        "name": { "given": "Olga", "family": "Journey" },
    });
    let key = unique("account");
    let register = || Api::anonymous().post_with_key("/accounts", &key, &account).expect(201).body;
    assert_eq!(register(), register());
    let mut other = account.clone();
    other["email"] = address("Otto").into();
    let reused = Api::anonymous().post_with_key("/accounts", &key, &other);
    reused.expect_refusal(422, "IDEMPOTENCY_KEY_REUSED");

    let term = json!({
        "code": unique("T"),
        "title": "Twice",
        "first_day": "2027-02-01",
        "last_day": "2027-06-30",
        "registration_opens_at": "2027-01-01T00:00:00Z",
        "registration_closes_at": "2027-02-15T00:00:00Z",
    });
    let key = unique("term");
    let registrar = &staff().registrar.api;
    let first = registrar.post_with_key("/terms", &key, &term).expect(201).body;
    assert_eq!(first, registrar.post_with_key("/terms", &key, &term).expect(201).body);
    registrar.post("/terms", &term).expect_refusal(409, "TERM_CODE_TAKEN");
}

#[test]
fn a_payment_that_is_repeated_is_asked_for_once() {
    let (term, student) = (Term::open(), newcomer("Pia"));
    let bundle = submit_one(&student, &term, &term.plain_section());
    let id = bundle.await_invoice();
    let payment = json!({ "invoice": id, "payment_method": "pm_sim_late" });
    let key = unique("payment");
    let first = student.api.post_with_key("/payments", &key, &payment).expect(201).body;
    let again = student.api.post_with_key("/payments", &key, &payment).expect(201).body;
    assert_eq!(first, again);
    let other = json!({ "invoice": id, "payment_method": "pm_card_visa" });
    let reused = student.api.post_with_key("/payments", &key, &other);
    reused.expect_refusal(422, "IDEMPOTENCY_KEY_REUSED");
    await_payment(&student, first["id"].as_str().expect("an id"), "succeeded");
    let paid = invoice(&student, &id);
    assert_eq!(paid["paid"], paid["total"]);
    // Its reply stays the first one, whatever became of it since.
    let later = student.api.post_with_key("/payments", &key, &payment).expect(201).body;
    assert_eq!(first, later);
}
