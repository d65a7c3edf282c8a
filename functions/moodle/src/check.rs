//! The onboarding check: proves on the site itself that token, functions, rights, role and PHP's limits are as they
//! must be, without changing anything there.

use kernel::Locale;
use schemars::JsonSchema;
use serde::Serialize;
use shell::sentence;

use crate::client::{
    CallFailure, Client, Enrolment, NewCourse, NewUser, SiteInfo, UserField, UserSuspension, needed,
};
use crate::domain::{SENTENCES, SiteSettings};
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

    /// What a call that is made to fail proves: a failure of the site, or a right that is lacking, or nothing wrong.
    fn right(&mut self, result: Result<(), CallFailure>, function: &str) {
        let function = vec![("function", function.to_owned())];
        match result {
            Err(failure)
                if failure.code == "nopermissions" || failure.code == "accessexception" =>
            {
                self.failed("CHECK_RIGHT_LACKING", &function);
            }
            Err(failure) if failure.is_of_site() => self.failed(sentence_code(&failure), &[]),
            _ => self.say(true, "CHECK_RIGHT_HELD", &function),
        }
    }
}

pub(crate) async fn check(
    client: &Client,
    settings: &SiteSettings,
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
    let created = client.create_users(&[own_name_again]).await.map(drop);
    findings.right(created, "core_user_create_users");
    let nobody = UserSuspension { id: 0, suspended: true };
    let changed = client.suspend_users(&[nobody]).await.map(drop);
    findings.right(changed, "core_user_update_users");
    if let Some(front) =
        client.courses_by("id", "1").await.ok().and_then(|found| found.into_iter().next())
    {
        let front_again = NewCourse {
            fullname: front.fullname,
            shortname: front.shortname,
            categoryid: 1,
            idnumber: String::new(),
            startdate: 0,
            enddate: 0,
            enablecompletion: true,
        };
        let created = client.create_courses(&[front_again]).await.map(drop);
        findings.right(created, "core_course_create_courses");
    }
    for role in std::iter::once(settings.roles.student).chain(settings.roles.teacher) {
        check_role(findings, client, info, role).await;
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
        }
        Err(failure) if failure.code == "wsnoinstance" => {
            findings.say(true, "CHECK_ROLE_ASSIGNABLE", &told);
        }
        other => findings.right(other, "enrol_manual_enrol_users"),
    }
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
