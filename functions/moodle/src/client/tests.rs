//! The client against every recorded answer, over HTTP, and what each recorded failure asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use testkit::{MoodleRecording, MoodleReplay, moodle_recording, moodle_recordings};

use super::shapes::{
    Category, Cohort, CohortMembers, Course, Created, EnrolledUser, Group, GroupMember,
    GroupMembers, SiteInfo, User, UserGrades, Warnings,
};
use super::*;
use crate::domain::{CohortRule, GroupRule};

fn client(url: &str) -> Client {
    let http = http(Duration::from_secs(5), Reachable::WithThisMachine);
    Client::new(http, url, MoodleReplay::TOKEN.into(), 200)
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

/// Every call of ours beside a recorded request of its function; fields that only one of them has are named.
struct Table {
    replay: MoodleReplay,
    tried: BTreeSet<String>,
}

impl Table {
    async fn row<R>(
        &mut self,
        case: &str,
        left_out: &[&str],
        call: impl Future<Output = Result<R, CallFailure>>,
    ) -> Result<R, CallFailure> {
        let recording = moodle_recording(case);
        self.replay.play_without(&recording, left_out);
        let result = call.await;
        assert_eq!(self.replay.take_refused(), Vec::<String>::new(), "{case}");
        self.tried.insert(recording.function);
        result
    }

    async fn done<R>(
        &mut self,
        case: &str,
        left_out: &[&str],
        call: impl Future<Output = Result<R, CallFailure>>,
    ) -> R {
        self.row(case, left_out, call).await.unwrap_or_else(|failure| panic!("{case}: {failure}"))
    }
}

async fn people(table: &mut Table, moodle: &Client) {
    let text = str::to_owned;
    let new = NewUser {
        username: text("s1004"),
        firstname: text("Ana"),
        lastname: text("Silva"),
        email: text("d@uni.test"),
        idnumber: text("SIS-1004"),
        department: String::new(),
        auth: text("manual"),
        createpassword: Some(true),
    };
    let case = "core_user_create_users/success_createpassword";
    let made = table.done(case, &["department"], moodle.create_users(&[new])).await;
    assert_eq!(made[0].id, 8);
    let change = UserChange {
        id: 5,
        firstname: text("Ana Maria"),
        lastname: text("Silva"),
        email: text("ana.silva@uni.test"),
        idnumber: text("SIS-1001"),
        department: text("Math"),
        suspended: false,
    };
    let more = ["lastname", "email", "idnumber", "suspended"];
    table.done("core_user_update_users/success", &more, moodle.update_users(&[change])).await;
    let away = UserSuspension { id: 5, suspended: true };
    table.done("core_user_update_users/suspend", &[], moodle.suspend_users(&[away])).await;
    let values = [text("SIS-1002"), text("SIS-1003"), text("SIS-NONE")];
    let call = moodle.users_by(UserField::IdNumber, &values);
    table.done("core_user_get_users_by_field/by_idnumber_multi", &[], call).await;
    table.done("core_webservice_get_site_info/success", &[], moodle.site_info()).await;
}

async fn courses(table: &mut Table, moodle: &Client) {
    let text = str::to_owned;
    let call = moodle.categories_by_id_number("CAT-ENG");
    let case = "core_course_get_categories/by_idnumber";
    assert_eq!(table.done(case, &["addsubcategories"], call).await[0].id, 2);
    let (name, idnumber) = (text("Main"), text("MAIN"));
    let category = NewCategory { name, parent: 0, idnumber };
    let call = moodle.create_category(&category);
    table.done("core_course_create_categories/success_finance", &[], call).await;
    let new = [NewCourse {
        fullname: text("Calculus I"),
        shortname: text("MAT101-2026-1"),
        categoryid: 2,
        idnumber: text("CRS-MAT101-2026-1"),
        startdate: 1_767_225_600,
        enddate: 1_782_864_000,
        enablecompletion: true,
    }];
    let more = ["summary", "summaryformat", "format", "numsections", "visible", "showgrades"];
    let call = moodle.create_courses(&new);
    assert_eq!(table.done("core_course_create_courses/success_single", &more, call).await[0].id, 2);
    let hidden = CourseChange {
        id: 2,
        fullname: text("Calculus I"),
        shortname: text("MAT101-2026-1"),
        idnumber: text("CRS-MAT101-2026-1"),
        startdate: 0,
        enddate: 0,
        visible: Some(false),
    };
    let more = ["fullname", "shortname", "idnumber", "startdate", "enddate"];
    table.done("core_course_update_courses/hide", &more, moodle.update_courses(&[hidden])).await;
    let call = moodle.courses_by("idnumber", "CRS-MAT101-2026-1");
    table.done("core_course_get_courses_by_field/by_idnumber", &[], call).await;
    let call = moodle.courses(&[2, 99_999]);
    table.done("core_course_get_courses/unknown_id_ignored", &[], call).await;
}

async fn enrolments(table: &mut Table, moodle: &Client) {
    let suspended =
        Enrolment { roleid: 5, userid: 9, courseid: 2, timestart: 0, timeend: 0, suspend: true };
    let call = moodle.enrol_users(std::slice::from_ref(&suspended));
    let case = "enrol_manual_enrol_users/success_suspended";
    table.done(case, &["timestart", "timeend"], call).await;
    let role = RoleAssignment { roleid: 3, userid: 14, contextlevel: "course", instanceid: 2 };
    table.done("core_role_unassign_roles/success", &[], moodle.unassign_roles(&[role])).await;
    let call = moodle.enrolled_users(2, "onlyactive", 0, 2);
    let case = "core_enrol_get_enrolled_users/options_fields_paging";
    assert_eq!(table.done(case, &["options[1][value]"], call).await.len(), 2);
    let call = moodle.grade_items(2, 5);
    table.done("gradereport_user_get_grade_items/one_user_graded", &[], call).await;
    let call = moodle.grade_items(2, 0);
    table.done("gradereport_user_get_grade_items/all_users", &["userid"], call).await;
    let case = "core_completion_get_course_completion_status/complete_after_cron";
    assert!(table.done(case, &[], moodle.completion(2, 5)).await.completed);
}

async fn cohorts_and_groups(table: &mut Table, moodle: &Client) {
    table.done("core_cohort_get_cohorts/all", &[], moodle.cohorts()).await;
    let more = ["description", "descriptionformat", "visible"];
    let call = moodle.create_cohort("2026 Intake", "COH-2026");
    assert_eq!(table.done("core_cohort_create_cohorts/success_system", &more, call).await.id, 1);
    let member = CohortMember { cohort: 1, user: 6 };
    let call = moodle.add_cohort_members(std::slice::from_ref(&member));
    table.done("core_cohort_add_cohort_members/success_by_ids", &[], call).await;
    let call = moodle.delete_cohort_members(std::slice::from_ref(&member));
    table.done("core_cohort_delete_cohort_members/success", &[], call).await;
    table.done("core_cohort_get_cohort_members/success", &[], moodle.cohort_members(&[1])).await;
    let [name, idnumber] = ["Turma A", "GRP-A"].map(str::to_owned);
    let new = NewGroup { courseid: 2, name, description: String::new(), idnumber };
    let second =
        ["courseid", "name", "description", "idnumber"].map(|field| format!("groups[1][{field}]"));
    let mut more: Vec<&str> = second.iter().map(String::as_str).collect();
    more.push("descriptionformat");
    let two = table.row("core_group_create_groups/success", &more, moodle.create_group(&new)).await;
    assert_eq!(two.expect_err("two were made").code, "BATCH_CUT");
    table.done("core_group_get_course_groups/success", &[], moodle.course_groups(2)).await;
    let members = [5, 6].map(|user| GroupMember { group: 1, user });
    let call = moodle.add_group_members(&members);
    table.done("core_group_add_group_members/success_null", &[], call).await;
    let call = moodle.delete_group_members(&members[1..]);
    table.done("core_group_delete_group_members/success", &[], call).await;
    table.done("core_group_get_group_members/success", &[], moodle.group_members(&[1])).await;
}

#[tokio::test]
async fn each_function_that_we_call_is_called_as_it_was_recorded() {
    let mut table = Table { replay: MoodleReplay::start().await, tried: BTreeSet::new() };
    let moodle = client(table.replay.url());
    people(&mut table, &moodle).await;
    courses(&mut table, &moodle).await;
    enrolments(&mut table, &moodle).await;
    cohorts_and_groups(&mut table, &moodle).await;
    let mut settings = crate::domain::tests_settings("https://moodle.example");
    settings.cohorts = vec![CohortRule::Hold];
    settings.groups = GroupRule::LinkedSections;
    let needed: BTreeSet<String> = needed(&settings).into_iter().map(str::to_owned).collect();
    assert_eq!(table.tried, needed);
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
async fn a_name_that_leads_into_our_own_network_is_not_asked() {
    let site = testkit::MoodleSite::start(testkit::MoodleSiteSettings::default()).await;
    let by_name = site.url().replace("127.0.0.1", "localhost");
    let asked = async |reachable| {
        let http = http(Duration::from_secs(5), reachable);
        Client::new(http, &by_name, site.token().into(), 200).site_info().await
    };
    assert!(asked(Reachable::WithThisMachine).await.is_ok());
    let refused = asked(Reachable::PublicOnly).await.expect_err("it leads to this machine");
    assert_eq!((refused.code.as_str(), refused.maybe_done), ("UNREACHABLE", false));
    assert_eq!(site.take_asked().requests.values().sum::<u64>(), 1);
}

#[tokio::test]
async fn a_site_is_asked_no_more_often_than_its_settings_say() {
    let site = testkit::MoodleSite::start(testkit::MoodleSiteSettings::default()).await;
    let http = http(Duration::from_secs(5), Reachable::WithThisMachine);
    let moodle = Client::new(http, site.url(), site.token().into(), 20);
    let began = Instant::now();
    let all = futures_util::future::join_all((0..32).map(|_| moodle.site_info())).await;
    assert!(all.iter().all(Result::is_ok));
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_millis(500),
        "a second's worth at once, and 12 more: {waited:?}"
    );
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
    let hasty = http(Duration::from_millis(200), Reachable::WithThisMachine);
    let moodle = Client::new(hasty, site.url(), MoodleReplay::TOKEN.into(), 200);
    let silent = moodle.enrol_users(&[]).await.expect_err("no answer comes");
    assert_eq!((silent.remedy, silent.maybe_done), (Remedy::LookAgain, true));
}
