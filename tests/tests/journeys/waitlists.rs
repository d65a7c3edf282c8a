//! A full section has a line: who is first in it gets the seat that somebody gives back.

use serde_json::json;

use crate::courses::{Offer, Term, assert_taken};
use crate::patience::{LIMIT, eventually};
use crate::people::{newcomer, staff};
use crate::sagas::submit_one;

#[test]
fn a_dropped_seat_is_offered_to_who_waits_and_nobody_jumps_the_line() {
    let term = Term::open();
    let section = term.section(Offer { capacity: 1, ..Offer::PLAIN });
    let (first, second, third) = (newcomer("Vera"), newcomer("Wim"), newcomer("Xena"));
    let held = submit_one(&first, &term, &section);
    held.pay();
    held.await_state("confirmed");
    let registrar = &staff().registrar.api;
    let read = registrar.get(&format!("/sections/{section}")).expect(200);
    let waitlist = json!({ "waitlist": { "mode": "confirmation", "capacity": 5 } });
    let edit = registrar.call("PATCH", &format!("/sections/{section}")).json(&waitlist);
    edit.header("if-match", read.header("etag")).send().expect(200);

    let place = json!({ "term": term.id, "section": section });
    let joined = eventually("the line is open", LIMIT, || {
        let reply = second.api.post("/waitlist-entries", &place);
        if reply.status == 201 { Ok(reply) } else { Err(reply.body.to_string()) }
    });
    assert_eq!((&joined.body["rank"], &joined.body["state"]), (&json!(1), &json!("waiting")));
    let path = format!("/registrations/{}/drop", held.registration);
    first.api.post(&path, &json!({})).expect(200);
    let offered = eventually("the seat is offered", LIMIT, || {
        let entry = second.api.list("/waitlist-entries").remove(0);
        if entry["state"] == "offered" { Ok(entry) } else { Err(entry.to_string()) }
    });
    let cart = json!({ "term": term.id, "sections": [section] });
    third.api.post("/submissions", &cart).expect_refusal(409, "CLOSED");
    let entry = offered["id"].as_str().expect("an id");
    let accept = format!("/waitlist-entries/{entry}/acceptance");
    let taken = second.api.post(&accept, &json!({})).expect(200);
    assert_eq!(taken.body["state"], "registered");
    assert_taken(&section, 1);
    let registrations = second.api.list("/registrations");
    assert_eq!(registrations[0]["state"], "seat_held");
}
