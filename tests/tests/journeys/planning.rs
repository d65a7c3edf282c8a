//! A term is planned: drafted, given rooms and prerequisites, published; students see it then and not before.

use serde_json::{Value, json};

use crate::api::unique;
use crate::courses::{Term, seats};
use crate::patience::{LIMIT, eventually};
use crate::people::{DEPARTMENT, newcomer, staff};

fn course(prerequisites: &str) -> Value {
    json!({
        "code": unique("C"), "title": "Planned analysis", "credits_hundredths": 450,
        "department": DEPARTMENT, "prerequisites": prerequisites,
    })
}

fn move_term(term: &str, to: &str) -> Value {
    let path = format!("/terms/{term}/state");
    staff().registrar.api.post(&path, &json!({ "to": to })).expect(200).body
}

#[test]
fn a_planned_section_is_seen_when_its_term_is_published() {
    let (registrar, student) = (&staff().registrar.api, newcomer("Greta"));
    let term = json!({
        "code": unique("T"), "title": "A planned term", "state": "draft",
        "first_day": "2027-02-01", "last_day": "2027-06-30",
        "registration_opens_at": "2020-01-01T00:00:00Z",
        "registration_closes_at": "2120-01-01T00:00:00Z",
    });
    let term = registrar.post("/terms", &term).expect(201).text("/id");
    let course = registrar.post("/courses", &course("")).expect(201).text("/id");
    let room = json!({ "building": unique("B"), "name": "12" });
    let meeting = json!({
        "weekdays": ["monday"], "starts_at": "09:00", "ends_at": "11:00",
        "first_day": "2027-02-01", "last_day": "2027-06-30", "room": room,
    });
    let section = |code: &str, state: &str| {
        json!({
            "code": code, "term": term, "course": course, "capacity": 5,
            "price_group": "standard", "state": state, "meetings": [meeting],
        })
    };
    let first = registrar.post("/sections", &section("A", "approved")).expect(201).text("/id");
    let second = registrar.post("/sections", &section("B", "approved"));
    second.expect_refusal(409, "TIMETABLE_CLASH");
    let drafted = registrar.post("/sections", &section("B", "draft")).expect(201);
    assert_eq!(drafted.body["clashes"][0]["with"], first.as_str());
    let offer = json!({ "to": "offered" });
    registrar.post(&format!("/sections/{first}/state"), &offer).expect(200);
    let path = format!("/sections/{first}");
    student.api.get(&path).expect_refusal(404, "SECTION_UNKNOWN");
    for state in ["open", "locked", "final_edits", "published"] {
        assert_eq!(move_term(&term, state)["state"], state);
    }
    assert_eq!(student.api.get(&path).expect(200).body["code"], "A");
    assert_eq!(student.api.list(&format!("/sections?term={term}")).len(), 1);
}

#[test]
fn a_missing_prerequisite_is_explained_and_a_suspended_section_takes_nobody() {
    let (registrar, student) = (&staff().registrar.api, newcomer("Ilse"));
    let base = registrar.post("/courses", &course("")).expect(201).text("/code");
    let needed = format!("course({base})");
    let next = registrar.post("/courses", &course(&needed)).expect(201).text("/id");
    let term = Term::open();
    let section = json!({
        "code": unique("S"), "term": term.id, "course": next, "capacity": 5,
        "price_group": "standard",
    });
    let section = registrar.post("/sections", &section).expect(201).text("/id");
    eventually("the section is known to registration", LIMIT, || {
        seats(&section).ok_or_else(|| "nothing".to_owned())
    });
    let cart = json!({ "term": term.id, "sections": [section] });
    let refused = student.api.post("/submissions", &cart).expect_refusal(409, "PREREQ_NOT_MET");
    assert_eq!(refused.body["errors"][0]["missing"], json!([needed]));
    let suspend = json!({ "to": "suspended", "reason": "No teacher yet." });
    registrar.post(&format!("/sections/{section}/state"), &suspend).expect(200);
    eventually("registration knows that it is suspended", LIMIT, || {
        let refused = student.api.post("/submissions", &cart);
        let errors = refused.body["errors"].as_array().cloned().unwrap_or_default();
        let found = errors.iter().any(|error| error["code"] == "SECTION_NOT_OFFERED");
        if found { Ok(()) } else { Err(refused.body.to_string()) }
    });
}
