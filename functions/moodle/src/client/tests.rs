//! The client against every recorded answer, over HTTP, and what each recorded failure asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use testkit::{MoodleRecording, MoodleReplay, moodle_recording, moodle_recordings};

use super::shapes::{
    Category, Cohort, CohortMembers, Course, Created, EnrolledUser, Group, GroupMember,
    GroupMembers, SiteInfo, User, UserGrades, Warnings,
};
use super::*;

fn client(url: &str) -> Client {
    Client::new(http(Duration::from_secs(5)), url, MoodleReplay::TOKEN.into())
}

async fn asked<R: DeserializeOwned>(
    replay: &MoodleReplay,
    recording: &MoodleRecording,
) -> Result<R, CallFailure> {
    replay.play(recording);
    client(replay.url()).send(&recording.function, &recording.form).await
}

/// What a recorded answer must be taken for, said once more by hand and by the recording alone.
fn expected(recording: &MoodleRecording) -> Option<Remedy> {
    let by_status = match recording.status {
        503 | 502 => Some(Remedy::Wait),
        403 | 404 => Some(Remedy::Credentials),
        _ => None,
    };
    if by_status.is_some() {
        return by_status;
    }
    if recording.body.starts_with("<?xml") {
        return Some(Remedy::LookAgain);
    }
    let body = recording.json()?;
    if body["exception"].is_null() && body["errorcode"].is_null() {
        return None;
    }
    let code = recording.error_code().unwrap_or_default();
    let is_one_of = |codes: &[&str]| codes.contains(&code.as_str());
    Some(if is_one_of(&["sitemaintenance", "upgraderunning", "dbconnectionfailed"]) {
        Remedy::Wait
    } else if is_one_of(&["dmlwriteexception"]) {
        Remedy::Retry
    } else if code.starts_with("wsaccess")
        || is_one_of(&[
            "invalidtoken",
            "accessexception",
            "nopermissions",
            "forcepasswordchangenotice",
            "sitepolicynotagreed",
            "servicenotavailable",
            "invalidlogin",
            "cannotcreatetoken",
            "usernotallowed",
        ])
    {
        Remedy::Credentials
    } else if code.contains('<')
        || is_one_of(&[
            "wsusercannotassign",
            "wsnoinstance",
            "guestsarenotallowed",
            "useradminodelete",
            "criteriaerror",
            "cannotviewreport",
            "nocriteriaset",
            "enddatebeforestartdate",
            "errorinvalidparam",
        ])
    {
        Remedy::Permanent
    } else {
        Remedy::LookAgain
    })
}

#[tokio::test]
async fn every_recorded_answer_is_taken_for_what_it_is() {
    let replay = MoodleReplay::start().await;
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    for recording in moodle_recordings() {
        let answer = asked::<Value>(&replay, &recording).await;
        assert_eq!(replay.take_refused(), Vec::<String>::new(), "{}", recording.case);
        let remedy = answer.as_ref().err().map(|failure| failure.remedy);
        assert_eq!(remedy, expected(&recording), "{}", recording.case);
        if let Some(wait) = &recording.retry_after {
            let told = answer.as_ref().err().and_then(|failure| failure.retry_after_s);
            assert_eq!(told.map(|s| s.to_string()).as_ref(), Some(wait), "{}", recording.case);
        }
        *found.entry(format!("{remedy:?}")).or_default() += 1;
    }
    let of = |remedy: &str| found.get(remedy).copied().unwrap_or_default();
    assert_eq!(found.values().sum::<u32>(), 332);
    for remedy in ["None", "Some(Retry)", "Some(Wait)", "Some(Credentials)", "Some(Permanent)"] {
        assert!(of(remedy) > 0, "{remedy}: {found:?}");
    }
}

/// Whether the recorded answer fits the type that its function answers with.
async fn is_typed(replay: &MoodleReplay, recording: &MoodleRecording) -> Option<bool> {
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only whether it can be read matters here")]
    struct Courses {
        courses: Vec<Course>,
    }
    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only whether it can be read matters here")]
    struct Report {
        usergrades: Vec<UserGrades>,
    }
    Some(match recording.function.as_str() {
        "core_webservice_get_site_info" => asked::<SiteInfo>(replay, recording).await.is_ok(),
        "core_user_create_users"
        | "core_course_create_categories"
        | "core_course_create_courses" => asked::<Vec<Created>>(replay, recording).await.is_ok(),
        "core_user_update_users"
        | "core_course_update_courses"
        | "core_cohort_add_cohort_members" => asked::<Warnings>(replay, recording).await.is_ok(),
        "core_user_get_users_by_field" => asked::<Vec<User>>(replay, recording).await.is_ok(),
        "core_course_get_categories" => asked::<Vec<Category>>(replay, recording).await.is_ok(),
        "core_course_get_courses_by_field" => asked::<Courses>(replay, recording).await.is_ok(),
        "core_course_get_courses" => asked::<Vec<Course>>(replay, recording).await.is_ok(),
        "core_enrol_get_enrolled_users" => {
            asked::<Vec<EnrolledUser>>(replay, recording).await.is_ok()
        }
        "core_cohort_create_cohorts" | "core_cohort_get_cohorts" => {
            asked::<Vec<Cohort>>(replay, recording).await.is_ok()
        }
        "core_cohort_get_cohort_members" => {
            asked::<Vec<CohortMembers>>(replay, recording).await.is_ok()
        }
        "core_group_create_groups" | "core_group_get_course_groups" => {
            asked::<Vec<Group>>(replay, recording).await.is_ok()
        }
        "core_group_get_group_members" => {
            asked::<Vec<GroupMembers>>(replay, recording).await.is_ok()
        }
        "gradereport_user_get_grade_items" => asked::<Report>(replay, recording).await.is_ok(),
        "enrol_manual_enrol_users"
        | "core_role_unassign_roles"
        | "core_group_add_group_members"
        | "core_group_delete_group_members"
        | "core_cohort_delete_cohort_members" => asked::<()>(replay, recording).await.is_ok(),
        _ => return None,
    })
}

#[tokio::test]
async fn every_recorded_success_of_a_function_that_we_call_has_its_type() {
    let replay = MoodleReplay::start().await;
    let mut typed = 0;
    for recording in moodle_recordings().iter().filter(|one| expected(one).is_none()) {
        if let Some(is_typed) = is_typed(&replay, recording).await {
            assert!(is_typed, "{}", recording.case);
            typed += 1;
        }
    }
    assert!(typed > 100, "{typed}");
}

#[tokio::test]
async fn our_own_requests_are_the_recorded_ones() {
    let replay = MoodleReplay::start().await;
    let moodle = client(replay.url());
    let numbers = |numbers: &[&str]| numbers.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    replay.play(&moodle_recording("core_user_get_users_by_field/by_idnumber_multi"));
    let values = numbers(&["SIS-1002", "SIS-1003", "SIS-NONE"]);
    let users = moodle.users_by(UserField::IdNumber, &values).await.expect("users");
    assert_eq!(users.iter().map(|user| user.id).collect::<Vec<_>>(), [6, 7]);
    replay.play(&moodle_recording("core_course_get_courses_by_field/by_idnumber"));
    let courses = moodle.courses_by("idnumber", "CRS-MAT101-2026-1").await.expect("a course");
    assert_eq!(courses[0].enrollmentmethods, ["manual"]);
    replay.play(&moodle_recording("core_course_get_courses/unknown_id_ignored"));
    let courses = moodle.courses(&[2, 99_999]).await.expect("one of them");
    assert_eq!(courses[0].as_sent().enddate, 1_782_864_000);
    replay.play(&moodle_recording("core_group_add_group_members/success_null"));
    let member = |user| GroupMember { group: 1, user };
    moodle.add_group_members(&[member(5), member(6)]).await.expect("added");
    replay.play(&moodle_recording("core_group_get_group_members/success"));
    let members = moodle.group_members(&[1]).await.expect("members");
    assert_eq!((members[0].groupid, &members[0].userids[..]), (1, &[5, 6][..]));
    replay.play(&moodle_recording("core_cohort_get_cohort_members/success"));
    let members = moodle.cohort_members(&[1]).await.expect("members");
    assert_eq!((members[0].cohortid, &members[0].userids[..]), (1, &[5, 6][..]));
    replay.play(&moodle_recording("core_course_get_categories/by_id_no_subcategories"));
    let strange = moodle.categories_by_id_number("CAT-ENG").await.expect_err("not recorded so");
    assert_eq!(replay.take_refused().len(), 1, "{strange}");
}

#[tokio::test]
async fn a_failure_tells_neither_token_nor_person() {
    let replay = MoodleReplay::start().await;
    let recording = moodle_recording("core_user_create_users/duplicate_email");
    let failure = asked::<Value>(&replay, &recording).await.expect_err("it is refused");
    let told = format!("{failure} {failure:?} {:?}", client(replay.url()));
    for secret in [MoodleReplay::TOKEN, "ana.silva", "Silva"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn silence_is_not_success_and_an_unreachable_site_did_nothing() {
    let nowhere = client("http://127.0.0.1:9").enrol_users(&[]).await.expect_err("nobody is there");
    assert_eq!((nowhere.remedy, nowhere.maybe_done), (Remedy::Wait, false));
    let settings = testkit::MoodleSiteSettings {
        token: MoodleReplay::TOKEN.to_owned(),
        ..testkit::MoodleSiteSettings::default()
    };
    let site = testkit::MoodleSite::start(settings).await;
    site.break_after(0, testkit::MoodleFault::CarriedOutUnanswered, 1);
    let hasty = http(Duration::from_millis(200));
    let moodle = Client::new(hasty, site.url(), MoodleReplay::TOKEN.into());
    let silent = moodle.enrol_users(&[]).await.expect_err("no answer comes");
    assert_eq!((silent.remedy, silent.maybe_done), (Remedy::LookAgain, true));
}
