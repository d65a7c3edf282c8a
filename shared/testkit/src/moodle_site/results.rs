//! Grades and completion in the played site: what its teachers and students have made of a course.

use serde_json::{Number, Value, json};

use super::form::number;
use super::site::{Answer, Enrolment, Site, failure, missing_record};

/// A course total, as a teacher or an activity has set it.
#[derive(Debug, Clone, Default)]
pub struct Grade {
    /// As Moodle prints it: `87.5`.
    pub raw: Option<Number>,
    pub graded_at_s: Option<i64>,
    pub is_overridden: bool,
    pub is_locked: bool,
    pub is_hidden: bool,
}

/// How far the completion of a course is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    Off,
    WithoutCriteria,
    Followed,
}

const STUDENT_ROLE: i64 = 5;

impl Site {
    pub fn grade_items(&self, form: &Value) -> Answer {
        let course = number(form, "courseid").unwrap_or_default();
        if !self.courses.contains_key(&course) {
            return Err(missing_record("course"));
        }
        let user = number(form, "userid").unwrap_or_default();
        if user != 0 && !self.users.contains_key(&user) {
            return Err(failure("invaliduser", "Invalid user"));
        }
        let group = number(form, "groupid").and_then(|group| self.groups.get(&group));
        let is_gradable =
            |enrolment: &Enrolment| !enrolment.suspended && enrolment.roles.contains(&STUDENT_ROLE);
        let users: Vec<i64> = if user == 0 {
            let in_course = self.enrolments.iter().filter(|((of, _), _)| *of == course);
            let gradable = in_course.filter(|(_, enrolment)| is_gradable(enrolment));
            let users = gradable.map(|((_, user), _)| *user);
            users.filter(|user| group.is_none_or(|group| group.members.contains(user))).collect()
        } else {
            vec![user]
        };
        let reports: Vec<Value> =
            users.into_iter().map(|user| self.grade_report(course, user)).collect();
        Ok(json!({ "usergrades": reports, "warnings": [] }))
    }

    /// Who is not in the course has a report too, without a grade.
    fn grade_report(&self, course: i64, user: i64) -> Value {
        let grade = self.grades.get(&(course, user)).cloned().unwrap_or_default();
        let total = json!({
            "id": course, "itemname": null, "itemtype": "course", "iteminstance": course,
            "graderaw": grade.raw, "gradedatesubmitted": null, "gradedategraded": grade.graded_at_s,
            "gradehiddenbydate": false, "gradeneedsupdate": false, "gradeishidden": grade.is_hidden,
            "gradeislocked": grade.is_locked, "gradeisoverridden": grade.is_overridden,
            "grademin": 0, "grademax": 100,
        });
        json!({
            "courseid": course, "courseidnumber": self.courses[&course].id_number,
            "userid": user, "useridnumber": self.users[&user].id_number, "maxdepth": 2,
            "gradeitems": [total],
        })
    }

    pub fn completion_status(&self, form: &Value, now_s: i64) -> Answer {
        let (course, user) = (number(form, "courseid"), number(form, "userid"));
        let (course, user) = (course.unwrap_or_default(), user.unwrap_or_default());
        let known = self.courses.get(&course).ok_or_else(|| missing_record("course"))?;
        if !self.users.contains_key(&user) {
            return Err(failure("invaliduser", "Invalid user"));
        }
        match known.completion {
            Completion::Off => return Err(failure("cannotviewreport", "You cannot view this")),
            Completion::WithoutCriteria => {
                return Err(failure("nocriteriaset", "No completion criteria set"));
            }
            Completion::Followed => {}
        }
        let enrolment = self.enrolments.get(&(course, user));
        let is_active = |enrolment: &Enrolment| {
            let ended = enrolment.ends_at_s != 0 && enrolment.ends_at_s <= now_s;
            !enrolment.suspended && !ended
        };
        if !enrolment.is_some_and(is_active) {
            return Err(failure("usernotenroled", "User is not enrolled in this course"));
        }
        let completed_at_s = self.completions.get(&(course, user)).copied();
        let criterion = json!({
            "type": 4, "title": "Activity completion", "complete": completed_at_s.is_some(),
            "status": if completed_at_s.is_some() { "Yes" } else { "No" },
            "timecompleted": completed_at_s,
        });
        Ok(json!({
            "completionstatus": {
                "completed": completed_at_s.is_some(), "aggregation": 1,
                "completions": [criterion],
            },
            "warnings": [],
        }))
    }

    /// Course and user behind two id numbers.
    pub fn seat(&self, course: &str, user: &str) -> Option<(i64, i64)> {
        let course = self.courses.values().find(|known| known.id_number == course)?;
        let user = self.users.values().find(|known| known.id_number == user && !known.deleted)?;
        Some((course.id, user.id))
    }
}
