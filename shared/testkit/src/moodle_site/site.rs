//! What a site knows, and which function does what with it. A batch is carried out whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::form::{list, text};
use super::results::{Completion, Grade};

#[derive(Debug, Clone)]
pub struct User {
    pub id: i64,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub id_number: String,
    pub department: String,
    pub auth: String,
    pub lang: String,
    pub suspended: bool,
    pub deleted: bool,
}

#[derive(Debug, Clone)]
pub struct Course {
    pub id: i64,
    pub full_name: String,
    pub short_name: String,
    pub id_number: String,
    pub category: i64,
    pub starts_at_s: i64,
    pub ends_at_s: i64,
    pub visible: bool,
    /// Whether the manual way of enrolling is there and switched on.
    pub manual: bool,
    pub completion: Completion,
}

#[derive(Debug, Clone)]
pub struct Category {
    pub id: i64,
    pub name: String,
    pub id_number: String,
    pub parent: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Enrolment {
    pub roles: BTreeSet<i64>,
    pub starts_at_s: i64,
    pub ends_at_s: i64,
    pub suspended: bool,
    pub last_access_s: i64,
}

/// A cohort, or a group of a course.
#[derive(Debug, Clone)]
pub struct Circle {
    pub id: i64,
    /// Of a group; a cohort has none.
    pub course: Option<i64>,
    pub name: String,
    pub id_number: String,
    pub members: BTreeSet<i64>,
}

#[derive(Debug, Clone)]
pub struct Site {
    pub users: BTreeMap<i64, User>,
    pub categories: BTreeMap<i64, Category>,
    pub courses: BTreeMap<i64, Course>,
    /// By course and user.
    pub enrolments: BTreeMap<(i64, i64), Enrolment>,
    /// Course totals, by course and user.
    pub grades: BTreeMap<(i64, i64), Grade>,
    /// When a user completed a course.
    pub completions: BTreeMap<(i64, i64), i64>,
    pub cohorts: BTreeMap<i64, Circle>,
    pub groups: BTreeMap<i64, Circle>,
    /// A database never gives an id again.
    pub last_course: i64,
    /// Whether lists are others at each page.
    pub moves_lists: bool,
}

/// Roles that the integration may give: editing teacher, teacher, student.
pub const ASSIGNABLE_ROLES: [i64; 3] = [3, 4, 5];
const SITE_COURSE: i64 = 1;
const GUEST: i64 = 1;
const ADMINISTRATOR: i64 = 2;
const INTEGRATION: i64 = 3;

/// What a function answers when it refuses.
pub type Refused = Value;
pub type Answer = Result<Value, Refused>;

pub fn failure(code: &str, message: &str) -> Value {
    json!({ "exception": "core\\exception\\moodle_exception", "errorcode": code, "message": message })
}

/// All that Moodle says of a wrong parameter while debugging is off.
pub fn invalid_parameter() -> Value {
    failure("invalidparameter", "Invalid parameter value detected")
}

pub fn missing_record(table: &str) -> Value {
    failure("invalidrecord", &format!("Can't find data record in database table {table}."))
}

/// The parameter that holds the items of a function that takes several.
const LISTS: [(&str, &str); 16] = [
    ("core_user_create_users", "users"),
    ("core_user_update_users", "users"),
    ("core_user_get_users_by_field", "values"),
    ("core_course_create_categories", "categories"),
    ("core_course_create_courses", "courses"),
    ("core_course_update_courses", "courses"),
    ("enrol_manual_enrol_users", "enrolments"),
    ("enrol_manual_unenrol_users", "enrolments"),
    ("core_role_assign_roles", "assignments"),
    ("core_role_unassign_roles", "unassignments"),
    ("core_cohort_create_cohorts", "cohorts"),
    ("core_cohort_add_cohort_members", "members"),
    ("core_cohort_delete_cohort_members", "members"),
    ("core_group_create_groups", "groups"),
    ("core_group_add_group_members", "members"),
    ("core_group_delete_group_members", "members"),
];

/// How many items a request carries; one where it carries no list.
pub fn items(function: &str, form: &Value) -> u64 {
    let name = LISTS.iter().find(|(known, _)| *known == function).map(|(_, name)| *name);
    name.map_or(1, |name| list(&form[name]).len() as u64)
}

pub fn is_write(function: &str) -> bool {
    ["create", "update", "enrol_users", "unenrol", "assign_roles", "add_", "delete_"]
        .iter()
        .any(|word| function.contains(word))
}

/// Time for a request with this many items, as measured on Moodle 4.5.6 behind nginx and FPM: what one item takes,
/// and what each further one adds, in microseconds.
const LATENCIES_US: [(&str, u32, u32); 16] = [
    ("core_webservice_get_site_info", 23_000, 0),
    ("core_user_get_users_by_field", 33_000, 4_900),
    ("core_user_create_users", 43_000, 15_200),
    ("core_user_update_users", 30_000, 3_000),
    ("core_course_create_categories", 50_000, 10_000),
    ("core_course_create_courses", 63_000, 33_300),
    ("core_course_get_courses_by_field", 30_000, 0),
    ("core_course_update_courses", 23_000, 20_000),
    ("enrol_manual_enrol_users", 38_000, 7_900),
    ("enrol_manual_unenrol_users", 59_000, 10_000),
    ("core_enrol_get_enrolled_users", 111_000, 0),
    ("gradereport_user_get_grade_items", 67_000, 0),
    ("core_completion_get_course_completion_status", 44_000, 0),
    ("core_role_assign_roles", 32_000, 3_000),
    ("core_cohort_add_cohort_members", 43_000, 2_000),
    ("core_group_add_group_members", 40_000, 2_000),
];

pub fn latency(function: &str, items: u64) -> Duration {
    let measured = LATENCIES_US.iter().find(|(known, ..)| *known == function);
    let (first, more) = measured.map_or((30_000, 0), |(_, first, more)| (*first, *more));
    let further = u32::try_from(items).unwrap_or(u32::MAX).saturating_sub(1);
    Duration::from_micros(u64::from(first) + u64::from(more) * u64::from(further))
}

impl Default for Site {
    fn default() -> Self {
        let user = |id, username: &str| User {
            id,
            username: username.to_owned(),
            first_name: username.to_owned(),
            last_name: username.to_owned(),
            email: format!("{username}@moodle.test"),
            id_number: String::new(),
            department: String::new(),
            auth: "manual".to_owned(),
            lang: "en".to_owned(),
            suspended: false,
            deleted: false,
        };
        let users = [(GUEST, "guest"), (ADMINISTRATOR, "admin"), (INTEGRATION, "ws_integration")];
        let first =
            Category { id: 1, name: "Category 1".to_owned(), id_number: String::new(), parent: 0 };
        let front = Course {
            id: SITE_COURSE,
            full_name: "Academics Moodle".to_owned(),
            short_name: "ACAD".to_owned(),
            id_number: String::new(),
            category: 0,
            starts_at_s: 0,
            ends_at_s: 0,
            visible: true,
            manual: false,
            completion: Completion::Off,
        };
        Self {
            users: users.map(|(id, username)| (id, user(id, username))).into(),
            categories: BTreeMap::from([(1, first)]),
            courses: BTreeMap::from([(SITE_COURSE, front)]),
            enrolments: BTreeMap::new(),
            grades: BTreeMap::new(),
            completions: BTreeMap::new(),
            cohorts: BTreeMap::new(),
            groups: BTreeMap::new(),
            last_course: SITE_COURSE,
            moves_lists: false,
        }
    }
}

impl Site {
    /// Carries a function out, or answers why not; a refused batch leaves nothing behind.
    pub fn call(&mut self, function: &str, form: &Value, raw: bool, now_s: i64) -> Value {
        let all_or_nothing = is_write(function).then(|| self.clone());
        let answer = self.dispatch(function, form, raw, now_s);
        match (answer, all_or_nothing) {
            (Ok(answer), _) => answer,
            (Err(refused), before) => {
                // Weak passwords spoil the answer of an update only after the other users were changed.
                let keeps = function == "core_user_update_users"
                    && refused["errorcode"] == "invalidresponse";
                if let Some(before) = before.filter(|_| !keeps) {
                    *self = before;
                }
                refused
            }
        }
    }

    fn dispatch(&mut self, function: &str, form: &Value, raw: bool, now_s: i64) -> Answer {
        match function {
            "core_webservice_get_site_info" => Ok(site_info()),
            "core_user_create_users" => self.create_users(form),
            "core_user_update_users" => self.update_users(form),
            "core_user_get_users_by_field" => self.users_by_field(form),
            "core_course_get_categories" => self.get_categories(form, raw),
            "core_course_create_categories" => self.create_categories(form, raw),
            "core_course_create_courses" => self.create_courses(form),
            "core_course_update_courses" => self.update_courses(form),
            "core_course_get_courses" => Ok(self.courses_by_ids(form, raw)),
            "core_course_get_courses_by_field" => self.courses_by_field(form, raw),
            "enrol_manual_enrol_users" => self.enrol_users(form),
            "enrol_manual_unenrol_users" => self.unenrol_users(form),
            "core_enrol_get_enrolled_users" => self.enrolled_users(form, now_s),
            "gradereport_user_get_grade_items" => self.grade_items(form),
            "core_completion_get_course_completion_status" => self.completion_status(form, now_s),
            "core_role_assign_roles" => self.assign_roles(form),
            "core_role_unassign_roles" => self.unassign_roles(form),
            "core_cohort_create_cohorts" => self.create_cohorts(form),
            "core_cohort_get_cohorts" => Ok(self.get_cohorts()),
            "core_cohort_get_cohort_members" => self.get_cohort_members(form),
            "core_cohort_add_cohort_members" => Ok(self.add_cohort_members(form)),
            "core_cohort_delete_cohort_members" => Ok(self.delete_cohort_members(form)),
            "core_group_create_groups" => self.create_groups(form),
            "core_group_get_course_groups" => Ok(self.get_course_groups(form)),
            "core_group_get_group_members" => self.get_group_members(form),
            "core_group_add_group_members" => self.add_group_members(form),
            "core_group_delete_group_members" => Ok(self.delete_group_members(form)),
            _ => Err(missing_record("external_functions")),
        }
    }

    pub fn delete_by_id_number(&mut self, id_number: &str) {
        for user in self.users.values_mut().filter(|user| user.id_number == id_number) {
            user.deleted = true;
            user.username = format!("{}.1795392878", user.email);
            user.id_number.clear();
            user.email = format!("{:032x}", user.id);
        }
        self.courses.retain(|_, course| course.id_number != id_number);
        let (users, courses) = (&self.users, &self.courses);
        self.enrolments.retain(|(course, user), _| {
            courses.contains_key(course) && users.get(user).is_some_and(|user| !user.deleted)
        });
    }
}

/// As recorded, with the functions that the integration's service holds.
fn site_info() -> Value {
    crate::moodle_recording("core_webservice_get_site_info/success").json().expect("it is JSON")
}

/// Whether a text holds a tag, which Moodle's clean-up would take out: it refuses the text then.
pub fn has_tag(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!') {
            return true;
        }
    }
    false
}

/// Names as Moodle prints them unless it is asked for raw ones.
pub fn printed(name: &str, raw: bool) -> String {
    if raw {
        return name.to_owned();
    }
    name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text that must be there and must hold no tag.
pub fn clean<'v>(item: &'v Value, name: &str) -> Result<&'v str, Refused> {
    text(item, name).filter(|text| !has_tag(text)).ok_or_else(invalid_parameter)
}

pub fn is_site_course(id: i64) -> bool {
    id == SITE_COURSE
}

pub fn is_guest(id: i64) -> bool {
    id == GUEST
}

pub fn is_administrator(id: i64) -> bool {
    id == ADMINISTRATOR
}
