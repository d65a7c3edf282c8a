//! What a student has to attend: the week as the portal shows it, and the calendar that their programs subscribe to.

use serde_json::{Value, json};

use crate::api::{Api, Reply};
use crate::courses::Term;
use crate::patience::{LIMIT, eventually};
use crate::people::{newcomer, staff};
use crate::sagas::submit_one;

/// The calendar at an address, for whoever knows it.
fn calendar(address: &str) -> Reply {
    let at = address.find("/schedule-feeds/").expect("it is an address of the API");
    Api::anonymous().get(&address[at..])
}

#[test]
fn a_week_and_a_calendar_show_what_a_student_has_to_attend() {
    let (term, student) = (Term::open(), newcomer("Silvia"));
    let section = term.plain_section();
    let registrar = &staff().registrar.api;
    let read = registrar.get(&format!("/sections/{section}")).expect(200);
    let meetings = json!({ "override_reason": "The room was found late.", "meetings": [{
        "weekdays": ["tuesday"], "starts_at": "10:00", "ends_at": "12:00",
        "first_day": "2027-02-01", "last_day": "2027-06-30",
    }] });
    let edit = registrar.call("PATCH", &format!("/sections/{section}")).json(&meetings);
    edit.header("if-match", read.header("etag")).send().expect(200);
    submit_one(&student, &term, &section);
    let path = format!("/schedules/{}?week=2027-02-01", term.id);
    let week = eventually("the meetings are known to registration", LIMIT, || {
        let week = student.api.get(&path).expect(200).body;
        if week["meetings"] == json!([]) { Err(week.to_string()) } else { Ok(week) }
    });
    let meeting = &week["meetings"][0];
    assert_eq!((&meeting["day"], &meeting["section"]), (&json!("2027-02-02"), &json!(section)));

    let issue = || student.api.call("POST", "/schedule-feed").json(&json!({})).send().expect(200);
    let first = issue().text("/address");
    let second = issue().text("/address");
    calendar(&first).expect_refusal(404, "SCHEDULE_FEED_UNKNOWN");
    let read = calendar(&second).expect(200);
    assert!(read.header("content-type").starts_with("text/calendar"));
    let Value::String(text) = &read.body else { panic!("it is no text: {}", read.body) };
    assert!(
        text.starts_with("BEGIN:VCALENDAR\r\n") && text.contains("RRULE:FREQ=WEEKLY"),
        "{text}"
    );
    student.api.call("DELETE", "/schedule-feed").send().expect(204);
    calendar(&second).expect_refusal(404, "SCHEDULE_FEED_UNKNOWN");
}
