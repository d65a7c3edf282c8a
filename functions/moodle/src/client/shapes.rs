//! What goes into Moodle's functions and what comes out of them, as far as we use it. Further keys are left alone:
//! other versions have others.

use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Clone, Deserialize)]
pub struct SiteInfo {
    pub username: String,
    pub userid: i64,
    pub release: String,
    #[serde(default)]
    pub functions: Vec<Function>,
    #[serde(default)]
    pub userissiteadmin: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Function {
    pub name: String,
}

/// Made by a batch, in the batch's order.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    pub id: i64,
}

/// What a call did not do, item by item.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Warnings {
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

impl Warnings {
    /// The code of the warning about one item, if there is one.
    pub fn of(&self, item: i64) -> Option<String> {
        let warning = self.warnings.iter().find(|one| one.itemid == Some(item))?;
        Some(warning.warningcode.clone())
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Warning {
    pub itemid: Option<i64>,
    pub warningcode: String,
}

/// A user as Moodle shows one: keys without a value are absent.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub id: i64,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub idnumber: String,
    #[serde(default)]
    pub firstname: String,
    #[serde(default)]
    pub lastname: String,
    #[serde(default)]
    pub department: String,
    #[serde(default)]
    pub suspended: bool,
}

impl User {
    /// What would have been sent to make it what it is.
    pub fn as_sent(&self) -> UserChange {
        let change = UserChange {
            id: self.id,
            firstname: self.firstname.clone(),
            lastname: self.lastname.clone(),
            email: self.email.clone(),
            idnumber: self.idnumber.clone(),
            department: self.department.clone(),
            suspended: self.suspended,
        };
        change.folded()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewUser {
    pub username: String,
    pub firstname: String,
    pub lastname: String,
    pub email: String,
    pub idnumber: String,
    pub department: String,
    pub auth: String,
    /// Moodle makes a password and mails it; absent where another system knows the password.
    pub createpassword: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserChange {
    pub id: i64,
    pub firstname: String,
    pub lastname: String,
    pub email: String,
    pub idnumber: String,
    pub department: String,
    pub suspended: bool,
}

impl UserChange {
    /// As it is compared: Moodle keeps an address as it was written, and takes it for the same in any case.
    #[must_use]
    pub fn folded(self) -> Self {
        Self { email: self.email.to_lowercase(), ..self }
    }
}

/// Nothing but whether a user may log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserSuspension {
    pub id: i64,
    pub suspended: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Category {
    pub id: i64,
    #[serde(default, deserialize_with = "text_or_null")]
    pub idnumber: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct NewCategory {
    pub name: String,
    pub parent: i64,
    pub idnumber: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Course {
    pub id: i64,
    pub shortname: String,
    #[serde(default)]
    pub fullname: String,
    #[serde(default)]
    pub idnumber: String,
    #[serde(default)]
    pub categoryid: i64,
    #[serde(default)]
    pub startdate: i64,
    #[serde(default)]
    pub enddate: i64,
    /// 1 where students see it.
    #[serde(default)]
    pub visible: Option<i64>,
    /// Ways of enrolling that are switched on; the manual one is ours.
    #[serde(default)]
    pub enrollmentmethods: Vec<String>,
}

impl Course {
    /// What would have been sent to make it what it is, but for whether it is seen.
    pub fn as_sent(&self) -> CourseChange {
        CourseChange {
            id: self.id,
            fullname: self.fullname.clone(),
            shortname: self.shortname.clone(),
            idnumber: self.idnumber.clone(),
            startdate: self.startdate,
            enddate: self.enddate,
            visible: None,
        }
    }

    /// Whether the change would leave it as it is.
    pub fn is_as(&self, change: &CourseChange) -> bool {
        let is_seen = self.visible.map(|visible| visible == 1);
        let differs = change.visible.zip(is_seen).is_some_and(|(wanted, seen)| wanted != seen);
        !differs && self.as_sent() == CourseChange { visible: None, ..change.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewCourse {
    pub fullname: String,
    pub shortname: String,
    pub categoryid: i64,
    pub idnumber: String,
    pub startdate: i64,
    pub enddate: i64,
    pub enablecompletion: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CourseChange {
    pub id: i64,
    pub fullname: String,
    pub shortname: String,
    pub idnumber: String,
    pub startdate: i64,
    pub enddate: i64,
    /// Absent where it is left as it is.
    pub visible: Option<bool>,
}

/// Said whole every time: what is not said becomes nothing, and a suspended student active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolment {
    pub roleid: i64,
    pub userid: i64,
    pub courseid: i64,
    pub timestart: i64,
    pub timeend: i64,
    pub suspend: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleAssignment {
    pub roleid: i64,
    pub userid: i64,
    pub contextlevel: &'static str,
    pub instanceid: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct EnrolledUser {
    pub id: i64,
    #[serde(default)]
    pub idnumber: String,
    #[serde(default)]
    pub roles: Vec<HeldRole>,
    #[serde(default)]
    pub lastcourseaccess: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct HeldRole {
    pub roleid: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Cohort {
    pub id: i64,
    #[serde(default, deserialize_with = "text_or_null")]
    pub idnumber: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct NewCohort {
    pub categorytype: Named,
    pub name: String,
    pub idnumber: String,
}

/// Moodle's way to name something by one of its fields.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
    pub r#type: &'static str,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohortMember {
    pub cohort: i64,
    pub user: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CohortMembers {
    pub cohortid: i64,
    pub userids: Vec<i64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    pub id: i64,
    #[serde(default, deserialize_with = "text_or_null")]
    pub idnumber: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct NewGroup {
    pub courseid: i64,
    pub name: String,
    pub description: String,
    pub idnumber: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GroupMember {
    #[serde(rename = "groupid")]
    pub group: i64,
    #[serde(rename = "userid")]
    pub user: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct GroupMembers {
    pub groupid: i64,
    pub userids: Vec<i64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct UserGrades {
    pub userid: i64,
    #[serde(default, deserialize_with = "text_or_null")]
    pub useridnumber: String,
    pub gradeitems: Vec<GradeItem>,
}

#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as Moodle says it: each stands by itself")]
pub struct GradeItem {
    pub id: i64,
    pub itemtype: String,
    #[serde(default)]
    pub graderaw: Option<serde_json::Number>,
    #[serde(default)]
    pub gradedategraded: Option<i64>,
    #[serde(default)]
    pub gradeisoverridden: bool,
    #[serde(default)]
    pub gradeislocked: bool,
    #[serde(default)]
    pub gradeishidden: bool,
    #[serde(default)]
    pub gradeneedsupdate: bool,
    #[serde(default)]
    pub grademin: Option<serde_json::Number>,
    #[serde(default)]
    pub grademax: Option<serde_json::Number>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CompletionStatus {
    pub completed: bool,
    #[serde(default)]
    pub completions: Vec<Criterion>,
}

/// One of the things that complete a course.
#[derive(Debug, Clone, Deserialize)]
pub struct Criterion {
    pub timecompleted: Option<i64>,
}

fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}
