//! The onboarding check: proves on the site itself that token, functions, rights, role and PHP's limits are as they
//! must be, without changing anything there.

use kernel::Locale;
use schemars::JsonSchema;
use serde::Serialize;
use shell::sentence;

use crate::client::{
    CallFailure, Client, Enrolment, NewCategory, NewCourse, NewUser, RoleAssignment, SiteInfo,
    UserField, UserSuspension, needed,
};
use crate::domain::{GroupRule, SENTENCES, SiteSettings};
use crate::sync::sentence_code;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    pub code: String,
    pub is_passed: bool,
    /// For the site's administrator: what is found, and what to do about it.
    pub sentence: String,
}

/// The front page is a course that nobody can be enrolled into by hand: asked for it, Moodle checks rights and role
/// first, and refuses in the end.
const FRONT_PAGE: i64 = 1;
/// More than PHP reads as it is shipped, fewer than Moodle wants it to read.
const PROBED_INPUT_VARS: usize = 1_100;
const RELEASE_MIN: (u32, u32) = (4, 5);

struct Findings {
    locale: Locale,
    found: Vec<Finding>,
}

impl Findings {
    fn say(&mut self, is_passed: bool, code: &str, arguments: &[(&'static str, String)]) {
        let sentence = sentence(&SENTENCES, self.locale, code, arguments);
        self.found.push(Finding { code: code.to_owned(), is_passed, sentence });
    }

    fn passed(&mut self, code: &str) {
        self.say(true, code, &[]);
    }

    fn failed(&mut self, code: &str, arguments: &[(&'static str, String)]) {
        self.say(false, code, arguments);
    }

    /// What a call proves that only reads, or that Moodle refuses with one of these codes after it has looked at the
    /// right: a right that is held or lacking, a failure of the site, or nothing.
    fn right<R>(&mut self, result: Result<R, CallFailure>, function: &str, refusals: &[&str]) {
        let told = |code: &str| vec![("function", function.to_owned()), ("code", code.to_owned())];
        match result {
            Ok(_) => self.say(true, "CHECK_RIGHT_HELD", &told("")),
            Err(failure) => match failure.code.as_str() {
                "nopermissions" | "accessexception" => {
                    self.failed("CHECK_RIGHT_LACKING", &told(&failure.code));
                }
                _ if failure.is_of_site() => self.failed(sentence_code(&failure), &[]),
                code if refusals.contains(&code) => {
                    self.say(true, "CHECK_RIGHT_HELD", &told(code));
                }
                code => self.failed("CHECK_RIGHT_UNPROVEN", &told(code)),
            },
        }
    }
}

/// `course` is one of ours: what is read of courses is tried with it.
pub(crate) async fn check(
    client: &Client,
    settings: &SiteSettings,
    course: Option<i64>,
    locale: Locale,
) -> Vec<Finding> {
    let mut findings = Findings { locale, found: Vec::new() };
    let info = match client.site_info().await {
        Ok(info) => info,
        Err(failure) => {
            findings.failed(sentence_code(&failure), &[]);
            return findings.found;
        }
    };
    findings.passed("CHECK_TOKEN_GOOD");
    look_at_info(&mut findings, settings, &info);
    // The site's own description stays readable while a password change is forced: only a second call proves more.
    match client.users_by(UserField::Id, &[info.userid.to_string()]).await {
        Ok(users) if users.iter().any(|user| user.username == info.username) => {
            findings.passed("CHECK_USERS_READABLE");
        }
        Ok(_) => findings.failed("CHECK_USERS_HIDDEN", &[]),
        Err(failure) => {
            findings.failed(sentence_code(&failure), &[]);
            return findings.found;
        }
    }
    check_rights(&mut findings, client, settings, &info).await;
    match course {
        Some(course) => check_course(&mut findings, client, settings, course).await,
        None => findings.passed("CHECK_COURSE_NONE"),
    }
    check_input_vars(&mut findings, client, &info).await;
    findings.found
}

fn look_at_info(findings: &mut Findings, settings: &SiteSettings, info: &SiteInfo) {
    let mut numbers = info.release.split(['.', ' ']).filter_map(|part| part.parse::<u32>().ok());
    let release = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let told = [("release", info.release.clone())];
    if release >= RELEASE_MIN {
        findings.say(true, "CHECK_RELEASE_GOOD", &told);
    } else {
        findings.failed("CHECK_RELEASE_OLD", &told);
    }
    let lacking: Vec<&str> = needed(settings)
        .into_iter()
        .filter(|needed| !info.functions.iter().any(|function| function.name == *needed))
        .collect();
    if lacking.is_empty() {
        findings.passed("CHECK_FUNCTIONS_THERE");
    } else {
        findings.failed("CHECK_FUNCTIONS_LACKING", &[("functions", lacking.join(", "))]);
    }
    if info.userissiteadmin {
        findings.failed("CHECK_USER_IS_ADMINISTRATOR", &[("username", info.username.clone())]);
    }
}

/// Each request is one that Moodle refuses after it has looked at the right: nothing is ever made by it.
async fn check_rights(
    findings: &mut Findings,
    client: &Client,
    settings: &SiteSettings,
    info: &SiteInfo,
) {
    let own_name_again = NewUser {
        username: info.username.clone(),
        firstname: "-".to_owned(),
        lastname: "-".to_owned(),
        email: "check@matricula.invalid".to_owned(),
        idnumber: String::new(),
        department: String::new(),
        auth: settings.auth.clone(),
        createpassword: (settings.auth == "manual").then_some(true),
    };
    let created = client.create_users(&[own_name_again]).await;
    findings.right(created, "core_user_create_users", &["invalidparameter"]);
    let nobody = UserSuspension { id: 0, suspended: true };
    findings.right(client.suspend_users(&[nobody]).await, "core_user_update_users", &[]);
    let categories = client.categories_by_id_number("matricula-check").await;
    findings.right(categories, "core_course_get_categories", &[]);
    let (name, idnumber) = (String::new(), String::new());
    let created = client.create_category(&NewCategory { name, parent: 0, idnumber }).await;
    findings.right(created, "core_course_create_categories", &["categorynamerequired"]);
    let front = client.courses(&[FRONT_PAGE]).await;
    let names = front.as_ref().ok().and_then(|found| found.first().cloned());
    findings.right(front, "core_course_get_courses", &[]);
    let found = client.courses_by("id", &FRONT_PAGE.to_string()).await;
    findings.right(found, "core_course_get_courses_by_field", &[]);
    if let Some(front) = names {
        let front_again = NewCourse {
            fullname: front.fullname,
            shortname: front.shortname,
            categoryid: 1,
            idnumber: String::new(),
            startdate: 0,
            enddate: 0,
            enablecompletion: true,
        };
        let created = client.create_courses(&[front_again]).await;
        findings.right(created, "core_course_create_courses", &["shortnametaken"]);
    }
    if !settings.cohorts.is_empty() {
        findings.right(client.cohorts().await, "core_cohort_get_cohorts", &[]);
    }
    for role in settings.roles.ours() {
        check_role(findings, client, info, role).await;
    }
}

/// What is read of a course, of the first one who is in it.
async fn check_course(
    findings: &mut Findings,
    client: &Client,
    settings: &SiteSettings,
    course: i64,
) {
    let listed = client.enrolled_users(course, "onlyactive", 0, 1).await;
    let user = listed.as_ref().ok().and_then(|listed| listed.first().map(|user| user.id));
    findings.right(listed, "core_enrol_get_enrolled_users", &[]);
    if let Some(user) = user {
        let grades = client.grade_items(course, user).await;
        findings.right(grades, "gradereport_user_get_grade_items", &[]);
        let completion = client.completion(course, user).await;
        let function = "core_completion_get_course_completion_status";
        // That nobody follows it is no lack of a right.
        findings.right(completion, function, &["nocriteriaset", "cannotviewreport"]);
    }
    if settings.groups != GroupRule::None {
        findings.right(client.course_groups(course).await, "core_group_get_course_groups", &[]);
    }
}

async fn check_role(findings: &mut Findings, client: &Client, info: &SiteInfo, role: i64) {
    let into_front_page = Enrolment {
        roleid: role,
        userid: info.userid,
        courseid: FRONT_PAGE,
        timestart: 0,
        timeend: 0,
        suspend: true,
    };
    let told = [("role", role.to_string())];
    match client.enrol_users(&[into_front_page]).await {
        Err(failure) if failure.code == "wsusercannotassign" => {
            findings.failed("CHECK_ROLE_NOT_ASSIGNABLE", &told);
            return;
        }
        Err(failure) if failure.code == "wsnoinstance" => {
            findings.say(true, "CHECK_ROLE_ASSIGNABLE", &told);
        }
        other => findings.right(other, "enrol_manual_enrol_users", &[]),
    }
    // Nobody has a role on the front page, and who has none loses none.
    let nothing = RoleAssignment {
        roleid: role,
        userid: info.userid,
        contextlevel: "course",
        instanceid: FRONT_PAGE,
    };
    let unassigned = client.unassign_roles(&[nothing]).await;
    findings.right(unassigned, "core_role_unassign_roles", &[]);
}

/// Asks for many users, the last of whom is there: a form that was cut does not reach it.
async fn check_input_vars(findings: &mut Findings, client: &Client, info: &SiteInfo) {
    let nobody = |number: usize| format!("matricula-check-{number}");
    let names: Vec<String> =
        (0..PROBED_INPUT_VARS).map(nobody).chain([info.username.clone()]).collect();
    match client.users_by(UserField::Username, &names).await {
        Ok(users) if users.iter().any(|user| user.username == info.username) => {
            findings.passed("CHECK_INPUT_VARS_GOOD");
        }
        Ok(_) => findings.failed("CHECK_INPUT_VARS_LOW", &[]),
        Err(failure) => findings.failed(sentence_code(&failure), &[]),
    }
}
