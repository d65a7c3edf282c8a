//! The cloud itself is stopped in mid-saga and started again: every execution dies, and the reconciler finds
//! their bundles. These are two halves: `cargo matricula test` leaves both out of the other journeys, and runs the
//! first, restarts the cloud, and runs the second.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud;
use crate::courses::{Offer, Term, assert_taken};
use crate::mail::await_mail;
use crate::patience::eventually;
use crate::people::{log_in, newcomer};
use crate::sagas::{Bundle, decide, submit};

/// A bundle that has moved within the last minute is left alone.
const FOUND_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn before_the_restart_one_bundle_awaits_approval_and_one_its_payment() {
    let (term, student) = (Term::open(), newcomer("Renate"));
    let guarded = term.section(Offer { approval_required: true, ..Offer::PLAIN });
    let bundles = submit(&student, &term, &[&guarded, &term.plain_section()]);
    bundles[0].await_approval();
    bundles[1].await_invoice();
    let note = |bundle: &Bundle<'_>| {
        json!([bundle.submission, bundle.id, bundle.registration, bundle.section])
    };
    let note = json!({
        "email": student.email,
        "bundles": bundles.iter().map(note).collect::<Value>(),
    });
    fs::write(place(), note.to_string()).expect("the note can be written");
}

#[test]
fn after_the_restart_both_are_carried_on_to_their_end() {
    let note = fs::read_to_string(place()).expect("the first half has left its note");
    let note: Value = serde_json::from_str(&note).expect("a note is JSON");
    let student = log_in(note["email"].as_str().expect("an address"));
    let bundle = |at: usize| {
        let text = |part: usize| {
            note["bundles"][at][part].as_str().expect("a bundle is noted by its ids").to_owned()
        };
        Bundle {
            student: &student,
            submission: text(0),
            id: text(1),
            registration: text(2),
            section: text(3),
        }
    };
    let (guarded, plain) = (bundle(0), bundle(1));
    for bundle in [&guarded, &plain] {
        eventually("the dead saga is found", FOUND_WITHIN, || {
            cloud::invoke("enrollment-reconcile-sagas", &json!({}));
            let progress = bundle.progress();
            if progress["attempt"] == 2 { Ok(()) } else { Err(progress.to_string()) }
        });
    }
    assert_eq!(decide(&guarded.await_approval(), "approve")["state"], "approved");
    for bundle in [&guarded, &plain] {
        bundle.pay();
        assert_eq!(bundle.registration_state(), "registered");
        assert_taken(&bundle.section, 1);
    }
    assert_eq!(student.api.list("/invoices").len(), 2, "each was charged once");
    await_mail(&student.email, "is confirmed", 2);
}

fn place() -> PathBuf {
    let api = cloud::setting("MATRICULA_API_ID");
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("restart-of-{api}.json"))
}
