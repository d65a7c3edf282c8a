//! The functions that we call. Those that only read answer "down" where no answer comes: there is nothing to look up.

use serde_json::{Value, json};

use super::shapes::{
    Category, Cohort, CohortMember, CohortMembers, CompletionStatus, Course, CourseChange, Created,
    EnrolledUser, Enrolment, Group, GroupMember, GroupMembers, Named, NewCategory, NewCohort,
    NewCourse, NewGroup, NewUser, RoleAssignment, SiteInfo, User, UserChange, UserGrades,
    UserSuspension, Warnings,
};
use super::{CallFailure, Client, Remedy};
use crate::domain::{GroupRule, SiteSettings};

/// Functions that the integration's service must hold, whatever is kept in a site.
const NEEDED: [&str; 15] = [
    "core_webservice_get_site_info",
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
    "core_enrol_get_enrolled_users",
    "core_role_unassign_roles",
    "gradereport_user_get_grade_items",
    "core_completion_get_course_completion_status",
];
const NEEDED_FOR_COHORTS: [&str; 5] = [
    "core_cohort_create_cohorts",
    "core_cohort_get_cohorts",
    "core_cohort_get_cohort_members",
    "core_cohort_add_cohort_members",
    "core_cohort_delete_cohort_members",
];
const NEEDED_FOR_GROUPS: [&str; 5] = [
    "core_group_create_groups",
    "core_group_get_course_groups",
    "core_group_get_group_members",
    "core_group_add_group_members",
    "core_group_delete_group_members",
];

/// Functions that the service of a site with these settings must hold.
pub fn needed(settings: &SiteSettings) -> Vec<&'static str> {
    let mut needed = NEEDED.to_vec();
    if !settings.cohorts.is_empty() {
        needed.extend(NEEDED_FOR_COHORTS);
    }
    if settings.groups != GroupRule::None {
        needed.extend(NEEDED_FOR_GROUPS);
    }
    needed
}

/// The field by which users are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserField {
    Id,
    IdNumber,
    Username,
    Email,
}

impl UserField {
    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::IdNumber => "idnumber",
            Self::Username => "username",
            Self::Email => "email",
        }
    }
}

impl Client {
    pub async fn site_info(&self) -> Result<SiteInfo, CallFailure> {
        let info = self.call("core_webservice_get_site_info", &json!({})).await;
        info.map_err(CallFailure::of_reading)
    }

    /// Those that are there, in no order; by id the deleted ones too.
    pub async fn users_by(
        &self,
        field: UserField,
        values: &[String],
    ) -> Result<Vec<User>, CallFailure> {
        let parameters = json!({ "field": field.name(), "values": values });
        let users = self.call("core_user_get_users_by_field", &parameters).await;
        users.map_err(CallFailure::of_reading)
    }

    /// All or none, in order.
    pub async fn create_users(&self, users: &[NewUser]) -> Result<Vec<Created>, CallFailure> {
        let function = "core_user_create_users";
        let created = self.call(function, &json!({ "users": users })).await?;
        complete(function, created, users.len())
    }

    /// Each by itself: what was not done is told.
    pub async fn update_users(&self, users: &[UserChange]) -> Result<Warnings, CallFailure> {
        self.call("core_user_update_users", &json!({ "users": users })).await
    }

    pub async fn suspend_users(&self, users: &[UserSuspension]) -> Result<Warnings, CallFailure> {
        self.call("core_user_update_users", &json!({ "users": users })).await
    }

    pub async fn categories_by_id_number(
        &self,
        id_number: &str,
    ) -> Result<Vec<Category>, CallFailure> {
        let criterion = json!({ "key": "idnumber", "value": id_number });
        let parameters = json!({ "criteria": [criterion], "addsubcategories": 0 });
        let categories = self.call("core_course_get_categories", &parameters).await;
        categories.map_err(CallFailure::of_reading)
    }

    pub async fn create_category(&self, category: &NewCategory) -> Result<Created, CallFailure> {
        let function = "core_course_create_categories";
        let created = self.call(function, &json!({ "categories": [category] })).await?;
        let mut created = complete(function, created, 1)?;
        Ok(created.remove(0))
    }

    pub async fn courses_by(&self, field: &str, value: &str) -> Result<Vec<Course>, CallFailure> {
        #[derive(serde::Deserialize)]
        struct Found {
            courses: Vec<Course>,
        }
        let parameters = json!({ "field": field, "value": value });
        let found = self.call::<Found>("core_course_get_courses_by_field", &parameters).await;
        found.map(|found| found.courses).map_err(CallFailure::of_reading)
    }

    /// Those of these ids that are there.
    pub async fn courses(&self, ids: &[i64]) -> Result<Vec<Course>, CallFailure> {
        // Without any id Moodle answers with every course there is.
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = json!({ "options": { "ids": ids } });
        let courses = self.call("core_course_get_courses", &parameters).await;
        courses.map_err(CallFailure::of_reading)
    }

    /// All or none, in order.
    pub async fn create_courses(&self, courses: &[NewCourse]) -> Result<Vec<Created>, CallFailure> {
        let function = "core_course_create_courses";
        let created = self.call(function, &json!({ "courses": courses })).await?;
        complete(function, created, courses.len())
    }

    /// Each by itself: what was not done is told. Without the category: an unknown one would spoil the course.
    pub async fn update_courses(&self, courses: &[CourseChange]) -> Result<Warnings, CallFailure> {
        self.call("core_course_update_courses", &json!({ "courses": courses })).await
    }

    /// All or none. Said again it changes nothing.
    pub async fn enrol_users(&self, enrolments: &[Enrolment]) -> Result<(), CallFailure> {
        let parameters = json!({ "enrolments": enrolments });
        self.call::<()>("enrol_manual_enrol_users", &parameters).await
    }

    pub async fn unassign_roles(&self, roles: &[RoleAssignment]) -> Result<(), CallFailure> {
        let parameters = json!({ "unassignments": roles });
        self.call::<()>("core_role_unassign_roles", &parameters).await
    }

    /// One page of a course's users with their roles, by id.
    pub async fn enrolled_users(
        &self,
        course: i64,
        only: &str,
        from: usize,
        limit: usize,
    ) -> Result<Vec<EnrolledUser>, CallFailure> {
        let option = |name: &str, value: Value| json!({ "name": name, "value": value });
        let parameters = json!({
            "courseid": course,
            "options": [
                option(only, 1.into()),
                option("userfields", "id,idnumber,roles,lastcourseaccess".into()),
                option("limitfrom", from.into()),
                option("limitnumber", limit.into()),
                option("sortby", "id".into()),
            ],
        });
        let users = self.call("core_enrol_get_enrolled_users", &parameters).await;
        users.map_err(CallFailure::of_reading)
    }

    pub async fn cohorts(&self) -> Result<Vec<Cohort>, CallFailure> {
        let cohorts = self.call("core_cohort_get_cohorts", &json!({})).await;
        cohorts.map_err(CallFailure::of_reading)
    }

    pub async fn create_cohort(&self, name: &str, id_number: &str) -> Result<Cohort, CallFailure> {
        let function = "core_cohort_create_cohorts";
        let cohort = NewCohort {
            categorytype: Named { r#type: "system", value: String::new() },
            name: name.to_owned(),
            idnumber: id_number.to_owned(),
        };
        let created = self.call(function, &json!({ "cohorts": [cohort] })).await?;
        let mut created = complete(function, created, 1)?;
        Ok(created.remove(0))
    }

    /// Each by itself; whoever is a member already is told as a warning with the code 3.
    pub async fn add_cohort_members(
        &self,
        members: &[CohortMember],
    ) -> Result<Warnings, CallFailure> {
        let by_id = |id: i64| Named { r#type: "id", value: id.to_string() };
        let member = |member: &CohortMember| json!({ "cohorttype": by_id(member.cohort), "usertype": by_id(member.user) });
        let members: Vec<Value> = members.iter().map(member).collect();
        self.call("core_cohort_add_cohort_members", &json!({ "members": members })).await
    }

    pub async fn delete_cohort_members(&self, members: &[CohortMember]) -> Result<(), CallFailure> {
        let member =
            |member: &CohortMember| json!({ "cohortid": member.cohort, "userid": member.user });
        let members: Vec<Value> = members.iter().map(member).collect();
        let parameters = json!({ "members": members });
        let function = "core_cohort_delete_cohort_members";
        self.call::<()>(function, &parameters).await
    }

    /// Who is in these cohorts.
    pub async fn cohort_members(&self, cohorts: &[i64]) -> Result<Vec<CohortMembers>, CallFailure> {
        let parameters = json!({ "cohortids": cohorts });
        let members = self.call("core_cohort_get_cohort_members", &parameters).await;
        members.map_err(CallFailure::of_reading)
    }

    pub async fn course_groups(&self, course: i64) -> Result<Vec<Group>, CallFailure> {
        let groups =
            self.call("core_group_get_course_groups", &json!({ "courseid": course })).await;
        groups.map_err(CallFailure::of_reading)
    }

    pub async fn create_group(&self, group: &NewGroup) -> Result<Group, CallFailure> {
        let function = "core_group_create_groups";
        let created = self.call(function, &json!({ "groups": [group] })).await?;
        let mut created = complete(function, created, 1)?;
        Ok(created.remove(0))
    }

    pub async fn group_members(&self, groups: &[i64]) -> Result<Vec<GroupMembers>, CallFailure> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let parameters = json!({ "groupids": groups });
        let members = self.call("core_group_get_group_members", &parameters).await;
        members.map_err(CallFailure::of_reading)
    }

    /// All or none; said again it changes nothing. Whoever is not in the course spoils it for all.
    pub async fn add_group_members(&self, members: &[GroupMember]) -> Result<(), CallFailure> {
        let parameters = json!({ "members": members });
        self.call::<()>("core_group_add_group_members", &parameters).await
    }

    pub async fn delete_group_members(&self, members: &[GroupMember]) -> Result<(), CallFailure> {
        let parameters = json!({ "members": members });
        self.call::<()>("core_group_delete_group_members", &parameters).await
    }

    /// How far a user has completed a course. Fails with `nocriteriaset` where nobody says what completes it.
    pub async fn completion(
        &self,
        course: i64,
        user: i64,
    ) -> Result<CompletionStatus, CallFailure> {
        #[derive(serde::Deserialize)]
        struct Answer {
            completionstatus: CompletionStatus,
        }
        let parameters = json!({ "courseid": course, "userid": user });
        let function = "core_completion_get_course_completion_status";
        let answer = self.call::<Answer>(function, &parameters).await;
        answer.map(|answer| answer.completionstatus).map_err(CallFailure::of_reading)
    }

    /// The grades of one user in a course; of all of them for user 0.
    pub async fn grade_items(
        &self,
        course: i64,
        user: i64,
    ) -> Result<Vec<UserGrades>, CallFailure> {
        #[derive(serde::Deserialize)]
        struct Report {
            usergrades: Vec<UserGrades>,
        }
        let parameters = json!({ "courseid": course, "userid": user });
        let report = self.call::<Report>("gradereport_user_get_grade_items", &parameters).await;
        report.map(|report| report.usergrades).map_err(CallFailure::of_reading)
    }
}

/// PHP cuts a form that is too long without a word: fewer come back than were sent.
fn complete<T>(function: &str, created: Vec<T>, sent: usize) -> Result<Vec<T>, CallFailure> {
    if created.len() == sent {
        return Ok(created);
    }
    Err(CallFailure {
        function: function.to_owned(),
        remedy: Remedy::LookAgain,
        code: "BATCH_CUT".to_owned(),
        retry_after_s: None,
        maybe_done: true,
    })
}
