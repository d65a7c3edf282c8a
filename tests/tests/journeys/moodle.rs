//! A Moodle site is kept in step: who is registered is enrolled there, who drops is suspended.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{MoodleSite, MoodleSiteSettings};

use crate::api::{self, unique};
use crate::cloud;
use crate::courses::{Offer, Term};
use crate::patience::{LIMIT, eventually};
use crate::people::{newcomer, staff};
use crate::sagas::submit_one;

const WEBHOOK_SECRET: &str = "a word between the site and us";

/// A site with the courses of a department that nobody else has. It is left in peace when it is dropped.
struct Site {
    path: String,
    department: String,
    description: Value,
}

impl Site {
    /// `mark` tells journeys of one process apart.
    fn add(mark: char, url: &str, token: &str) -> Self {
        let code = format!("{mark}{:x}{:x}", shell::now().as_millisecond(), std::process::id());
        cloud::create_secret(&format!("matricula/dev/moodle/{code}"), token);
        cloud::create_secret(&format!("matricula/dev/moodle/{code}-webhook"), WEBHOOK_SECRET);
        let department = unique("D");
        let description = json!({ "settings": {
            "title": "Academics", "url": url, "token_secret": code, "is_active": true,
            "people": [], "courses": { "kind": "departments", "departments": [department] },
            "roles": { "student": 5 }, "cohorts": [], "auth": "manual",
            "naming": {
                "username": "{email}", "course_full_name": "{course_title} ({section_code})",
                "course_short_name": "{section_code} {term_code}", "categories": ["{department}"],
            },
        } });
        let site = Self { path: format!("/moodle/sites/{code}"), department, description };
        staff().administrator.api.replace(&site.path, 0, &site.description).expect(200);
        site
    }

    fn read(&self) -> Value {
        staff().administrator.api.get(&self.path).expect(200).body
    }

    /// The state of somebody's only enrolment; people are known here once their event has come.
    fn enrolment_of(&self, person: &str) -> String {
        let path = format!("/moodle/people/{person}");
        let accounts = staff().administrator.api.get(&path).body;
        let mut sites = accounts["sites"].as_array().into_iter().flatten();
        let here = sites.find(|site| self.path.ends_with(site["site"].as_str().unwrap_or("?")));
        let state = here.and_then(|site| site["enrolments"][0]["state"].as_str());
        state.unwrap_or("not there").to_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.description["settings"]["is_active"] = false.into();
        let version = self.read()["version"].as_u64().unwrap_or_default();
        staff().administrator.api.replace(&self.path, version, &self.description);
    }
}

#[test]
fn a_registration_arrives_in_moodle_and_a_drop_suspends_it_there() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = MoodleSiteSettings::default();
    let token = settings.token.clone();
    let moodle = runtime.block_on(MoodleSite::start(settings));
    let site = Site::add('m', moodle.url(), &token);
    let checks = format!("{}/checks", site.path);
    let check = staff().administrator.api.post(&checks, &json!({})).expect(200);
    assert_eq!(check.body["is_ready"], true, "{:#}", check.body);

    let term = Term::open();
    let section = term.section_of(&site.department, Offer::PLAIN);
    let student = newcomer("Mireille");
    let bundle = submit_one(&student, &term, &section);
    bundle.pay();
    let await_state = |expected: &str| {
        eventually(&format!("{expected} in Moodle"), LIMIT, || {
            let state = site.enrolment_of(&student.id);
            if state == expected { Ok(()) } else { Err(format!("{state}: {:#}", site.read())) }
        });
    };
    await_state("in_step");
    let counts = || (moodle.users().len(), moodle.courses().len(), moodle.enrolments().len());
    assert_eq!(counts(), (1, 1, 1), "and nobody else");
    assert_eq!(moodle.users()[0]["email"], student.email.as_str());
    assert_eq!(moodle.courses()[0]["idnumber"], section.as_str());

    let drop = format!("/registrations/{}/drop", bundle.registration);
    student.api.post(&drop, &json!({})).expect(200);
    await_state("suspended");
    assert_eq!(counts(), (1, 1, 1), "nobody is unenrolled");
    assert_eq!(site.read()["stuck"]["count"], 0);
}

#[test]
fn whoever_is_confirmed_is_seen_in_moodle_soon() {
    // Once shows that it works; a bench wants to know how long it takes.
    let students = if api::is_noted() { 20 } else { 1 };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = MoodleSiteSettings { latency_per_cent: 100, ..MoodleSiteSettings::default() };
    let token = settings.token.clone();
    let moodle = runtime.block_on(MoodleSite::start(settings));
    let site = Site::add('s', moodle.url(), &token);
    let term = Term::open();
    let section = term.section_of(&site.department, Offer::PLAIN);
    for _ in 0..students {
        let student = newcomer("Odile");
        submit_one(&student, &term, &section).pay();
        let confirmed_at = Instant::now();
        let is_seen = || moodle.enrolments().iter().any(|one| one["user"] == student.id.as_str());
        while !is_seen() {
            assert!(confirmed_at.elapsed() < LIMIT, "{:#}", site.read());
            std::thread::sleep(Duration::from_millis(10));
        }
        api::note("EVENT", "seen-in-moodle", 200, confirmed_at.elapsed());
    }
}

#[test]
fn a_site_that_does_not_answer_is_left_alone_and_says_why() {
    let site = Site::add('d', "http://127.0.0.1:9", "token");
    Term::open().section_of(&site.department, Offer::PLAIN);
    eventually("the site is left alone", LIMIT, || {
        let read = site.read();
        let is_left_alone = read["breaker"]["state"] == "open";
        if is_left_alone && read["last_error"]["code"] == "SITE_UNREACHABLE" {
            Ok(())
        } else {
            Err(format!("{read:#}"))
        }
    });
}

#[test]
fn what_somebody_undid_in_moodle_is_found_told_of_and_mended_and_grades_are_read() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = MoodleSiteSettings::default();
    let token = settings.token.clone();
    let moodle = runtime.block_on(MoodleSite::start(settings));
    let site = Site::add('w', moodle.url(), &token);
    let term = Term::open();
    let section = term.section_of(&site.department, Offer::PLAIN);
    let student = newcomer("Solange");
    submit_one(&student, &term, &section).pay();
    let is_active = || moodle.enrolments().iter().any(|one| one["suspended"] == false);
    let await_enrolment = |what: &str| {
        eventually(what, LIMIT, || {
            if is_active() { Ok(()) } else { Err(format!("{:#}", site.read())) }
        });
    };
    await_enrolment("enrolled in Moodle");
    let id = |all: Vec<Value>| all[0]["id"].as_i64().expect("an id");
    let (user, course) = (id(moodle.users()), id(moodle.courses()));
    let undo = || {
        let gone = json!({ "enrolments": [{ "userid": user, "courseid": course }] });
        moodle.act("enrol_manual_unenrol_users", &gone);
    };

    undo();
    let administrator = &staff().administrator.api;
    let checks = format!("{}/drift-checks", site.path);
    administrator.post(&checks, &json!({})).expect(200);
    let report = format!("{}/drift-report", site.path);
    eventually("a report", LIMIT, || {
        let read = administrator.get(&report).expect(200).body;
        if read["report"]["tally"]["missing"] == 1 { Ok(()) } else { Err(format!("{read:#}")) }
    });
    let asked_at = administrator.get(&report).body["report"]["asked_at"].clone();
    let repair = json!({ "check_asked_at": asked_at, "approves": true });
    administrator.post(&format!("{}/drift-repairs", site.path), &repair).expect(200);
    await_enrolment("enrolled again by the repair");

    undo();
    let told = json!({
        "token": WEBHOOK_SECRET, "eventname": "\\core\\event\\user_enrolment_deleted",
        "courseid": course, "relateduserid": user,
    });
    let webhook = format!("/webhooks{}", site.path.replace("/sites", ""));
    administrator.post(&webhook, &told).expect(200);
    await_enrolment("enrolled again because the site told of it");

    moodle.grade(&section, &student.id, "15.5", false);
    let reading = json!({ "section": section });
    administrator.post(&format!("{}/readings", site.path), &reading).expect(200);
    eventually("the grade is read", LIMIT, || {
        let results = administrator.get(&format!("/moodle/sections/{section}/results")).body;
        if results["items"][0]["grade"]["raw"] == "15.5" {
            Ok(())
        } else {
            Err(format!("{results:#}"))
        }
    });
}
