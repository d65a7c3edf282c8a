//! The played site against every recording of a function that it knows.

use serde_json::{Value, json};

use super::form::nested;
use super::results::Completion;
use super::site::{Category, Circle, Course, Enrolment, Site, User};
use crate::{MoodleFault, MoodleRecording, MoodleSite, MoodleSiteSettings, moodle_recordings};

const KNOWN: [&str; 26] = [
    "core_user_create_users",
    "core_user_update_users",
    "core_user_get_users_by_field",
    "core_course_get_categories",
    "core_course_create_categories",
    "core_course_create_courses",
    "core_course_update_courses",
    "core_course_get_courses_by_field",
    "core_course_get_courses",
    "enrol_manual_enrol_users",
    "enrol_manual_unenrol_users",
    "core_enrol_get_enrolled_users",
    "gradereport_user_get_grade_items",
    "core_completion_get_course_completion_status",
    "core_role_assign_roles",
    "core_role_unassign_roles",
    "core_cohort_create_cohorts",
    "core_cohort_get_cohorts",
    "core_cohort_get_cohort_members",
    "core_cohort_add_cohort_members",
    "core_cohort_delete_cohort_members",
    "core_group_create_groups",
    "core_group_get_course_groups",
    "core_group_get_group_members",
    "core_group_add_group_members",
    "core_group_delete_group_members",
];

/// The site as it stood when most of the recordings were made: users 5 to 17, courses 2 to 4, 10 and 11.
fn recorded_site(recording: &MoodleRecording) -> Site {
    let mut site = Site::default();
    let is_first = |known: &str| recording.case.starts_with(known);
    let base = match recording.instance.as_str() {
        "finance" => Some(2_000),
        "hr" => Some(5_000),
        _ => None,
    };
    if let Some(base) = base {
        site.categories.insert(base, category(base, "MAIN"));
        site.users.insert(base, user(base, "f2001", "bruno.costa@uni.test", "SIS-2001"));
        site.courses.insert(base, course(base, "BUD1", "CRS-BUD1", base));
        site.enrolments.insert((base, base), student());
    } else {
        fill(&mut site);
    }
    if is_first("core_user_create_users/success") {
        site.users.retain(|id, _| *id <= 3);
    }
    if is_first("core_user_create_users/") {
        site.users.retain(|id, _| *id <= 7);
    }
    if is_first("core_course_create_categories/success") {
        let before = if recording.case.ends_with("children") { 2 } else { 1 };
        site.categories.retain(|id, _| *id <= before);
    }
    if is_first("core_enrol_get_enrolled_users/") && base.is_none() {
        site.enrolments.extend([9, 10, 14].map(|user| ((2, user), student())));
        if recording.case.contains("expired") {
            let ended = Enrolment { ends_at_s: 1_700_100_000, ..student() };
            site.enrolments.insert((2, 17), ended);
        }
    }
    if is_first("core_completion_get_course_completion_status/after_unenrol") {
        site.enrolments.remove(&(2, 5));
    }
    if is_first("core_completion_get_course_completion_status/suspended") {
        site.enrolments.get_mut(&(2, 6)).expect("is enrolled").suspended = true;
    }
    if is_first("gradereport_user_get_grade_items/all_users") {
        site.enrolments.extend([9, 10].map(|user| ((2, user), student())));
    }
    if is_first("gradereport_user_get_grade_items/by_group") {
        site.groups.get_mut(&1).expect("it is there").members.remove(&6);
    }
    if is_first("core_course_create_courses/success") {
        site.courses.retain(|id, _| *id == 1);
    }
    if is_first("core_course_create_courses/ampersand") {
        site.courses.retain(|id, _| *id == 1);
    }
    if is_first("core_group_create_groups/success") {
        site.groups.clear();
    }
    if is_first("core_cohort_create_cohorts/success") {
        site.cohorts.clear();
    }
    if is_first("core_cohort_add_cohort_members/success") {
        site.cohorts.values_mut().for_each(|cohort| cohort.members.clear());
    }
    site
}

fn fill(site: &mut Site) {
    for (id, id_number, parent) in [(2, "CAT-ENG", 0), (3, "CAT-ENG-SUB", 2), (4, "", 2)] {
        site.categories.insert(id, Category { parent, ..category(id, id_number) });
    }
    for id in 5..=17 {
        let (username, number) = (format!("s{}", 996 + id), format!("SIS-{}", 996 + id));
        let email = match id {
            5 => "ana.silva@uni.test".to_owned(),
            6 => "b@uni.test".to_owned(),
            _ => format!("{username}@uni.test"),
        };
        site.users.insert(id, user(id, &username, &email, &number));
    }
    site.delete_by_id_number("SIS-1012");
    // Two users with one id number: Moodle lets that happen.
    site.users.get_mut(&10).expect("it is there").id_number = "SIS-1001".to_owned();
    for (id, short, number) in [
        (2, "MAT101-2026-1", "CRS-MAT101-2026-1"),
        (3, "FIS101-2026-1", "CRS-FIS101"),
        (4, "QUI101", "CRS-QUI101"),
        (10, "CORRUPT", ""),
        (11, "NOMANUAL", ""),
    ] {
        site.courses.insert(id, course(id, short, number, 2));
    }
    site.courses.get_mut(&11).expect("it is there").manual = false;
    for (id, completion) in [(2, Completion::Followed), (3, Completion::WithoutCriteria)] {
        site.courses.get_mut(&id).expect("it is there").completion = completion;
    }
    for user in [5, 6, 7] {
        site.enrolments.insert((2, user), student());
    }
    site.cohorts.insert(1, circle(1, None, "2026 Intake", "COH-2026", &[5, 6]));
    site.cohorts.insert(2, circle(2, None, "Eng", "COH-ENG", &[]));
    site.groups.insert(1, circle(1, Some(2), "Turma A", "GRP-A", &[5, 6]));
    site.groups.insert(2, circle(2, Some(2), "Turma B", "GRP-B", &[]));
}

fn category(id: i64, id_number: &str) -> Category {
    let name = "Engineering & Science".to_owned();
    Category { id, name, id_number: id_number.to_owned(), parent: 0 }
}

fn user(id: i64, username: &str, email: &str, id_number: &str) -> User {
    let mut user = Site::default().users[&3].clone();
    user.id = id;
    user.username = username.to_owned();
    user.email = email.to_owned();
    user.id_number = id_number.to_owned();
    user
}

fn course(id: i64, short: &str, id_number: &str, category: i64) -> Course {
    let mut course = Site::default().courses[&1].clone();
    course.id = id;
    course.short_name = short.to_owned();
    course.id_number = id_number.to_owned();
    course.category = category;
    course.manual = true;
    course
}

fn student() -> Enrolment {
    Enrolment { roles: [5].into(), ..Enrolment::default() }
}

fn circle(id: i64, course: Option<i64>, name: &str, id_number: &str, members: &[i64]) -> Circle {
    let members = members.iter().copied().collect();
    Circle { id, course, name: name.to_owned(), id_number: id_number.to_owned(), members }
}

/// What of an answer decides what a client does: nothing, a failure by code, warnings by code, or so many things.
fn gist(answer: &Value) -> String {
    let codes = |warnings: &Value| {
        let warnings = warnings.as_array().map(Vec::as_slice).unwrap_or_default();
        let codes: Vec<String> = warnings.iter().map(|w| w["warningcode"].to_string()).collect();
        codes.join(",")
    };
    match answer {
        Value::Null => "null".to_owned(),
        Value::Array(items) => format!("{} things", items.len()),
        Value::Object(_) if answer["exception"].is_string() => {
            let code = answer["errorcode"].as_str().unwrap_or("without a code");
            if code.starts_with('<') { "a page".to_owned() } else { code.to_owned() }
        }
        Value::Object(_) if answer["usergrades"].is_array() => {
            format!("{} reports", answer["usergrades"].as_array().map_or(0, Vec::len))
        }
        Value::Object(_) if answer["completionstatus"].is_object() => "a completion".to_owned(),
        _ => {
            let courses = answer["courses"].as_array().map_or(0, Vec::len);
            format!("{courses} courses, warnings {}", codes(&answer["warnings"]))
        }
    }
}

/// Recordings whose site stood otherwise than the one above, and how.
const OTHERWISE: [(&str, &str); 8] = [
    ("core_cohort_get_cohorts/success", "there was one cohort"),
    ("core_cohort_get_cohorts/unknown_id", "there was one cohort"),
    ("core_course_get_categories/ampersand_default_escaped", "there was a category CR"),
    ("core_course_get_categories/ampersand_raw_setting", "there was a category CR"),
    ("core_course_get_courses_by_field/ampersand_default_escaped", "there was a course QB&1"),
    ("core_course_get_courses_by_field/ampersand_raw_setting", "there was a course QB&1"),
    ("core_course_get_courses_by_field/by_category", "there was one course more"),
    ("core_course_get_courses_by_field/no_field_all_courses", "there was one course more"),
];

#[test]
fn the_played_site_answers_as_the_recordings_do() {
    let mut different = Vec::new();
    let mut compared = 0;
    for recording in moodle_recordings() {
        let known = KNOWN.contains(&recording.function.as_str());
        let skipped = OTHERWISE.iter().any(|(case, _)| *case == recording.case);
        let Some(expected) = recording.json().filter(|_| known && !skipped) else { continue };
        if recording.case.starts_with("transport/") {
            continue;
        }
        let mut site = recorded_site(&recording);
        let form = nested(recording.form.clone());
        let answer = site.call(&recording.function, &form, false, 1_795_392_900);
        compared += 1;
        if gist(&answer) != gist(&expected) {
            different.push(format!(
                "{}: {} for {}",
                recording.case,
                gist(&answer),
                gist(&expected)
            ));
        }
    }
    assert!(different.is_empty(), "{compared} compared\n{}", different.join("\n"));
    assert!(compared > 150, "{compared}");
}

#[tokio::test]
async fn a_site_fails_when_it_is_told_to_and_counts_what_it_is_asked() {
    let site = MoodleSite::start(MoodleSiteSettings::default()).await;
    let ask = async |token: &str| {
        let form = format!(
            "wstoken={token}&wsfunction=core_webservice_get_site_info&moodlewsrestformat=json"
        );
        let url = format!("{}/webservice/rest/server.php", site.url());
        let reply = reqwest::Client::new().post(url).body(form).send().await.expect("answers");
        let status = reply.status().as_u16();
        let body: Value =
            serde_json::from_str(&reply.text().await.expect("whole")).unwrap_or(json!("a page"));
        (status, body["errorcode"].as_str().map(str::to_owned))
    };
    assert_eq!(ask(site.token()).await, (200, None));
    assert_eq!(ask("guessed").await, (200, Some("invalidtoken".into())));
    site.break_after(1, MoodleFault::MaintenancePage, 1);
    assert_eq!(ask(site.token()).await, (200, None));
    assert_eq!(ask(site.token()).await, (503, None));
    assert_eq!(ask(site.token()).await, (200, None));
    site.break_after(0, MoodleFault::TokenExpired, 1);
    assert_eq!(ask(site.token()).await, (200, Some("accessexception".into())));
    assert_eq!(ask(site.token()).await, (200, Some("invalidtoken".into())));
    site.mend();
    assert_eq!(ask(site.token()).await, (200, None));
    assert_eq!(site.take_asked().requests["core_webservice_get_site_info"], 8);
}
