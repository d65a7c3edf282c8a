//! Categories, courses, enrolments, roles and groups of the played site.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::form::{list, number, text};
use super::people::{circle, shown};
use super::results::Completion;
use super::site::{
    ASSIGNABLE_ROLES, Answer, Category, Circle, Course, Enrolment, Refused, Site, clean, failure,
    has_tag, invalid_parameter, is_guest, is_site_course, missing_record, printed,
};

fn no_manual_enrolment() -> Refused {
    let message = "Manual enrolment plugin instance doesn't exist or is disabled for the course";
    failure("wsnoinstance", message)
}

impl Site {
    pub fn get_categories(&self, form: &Value, raw: bool) -> Answer {
        let mut found: Vec<&Category> = self.categories.values().collect();
        for criterion in list(&form["criteria"]) {
            let value = text(criterion, "value").unwrap_or_default();
            match text(criterion, "key").unwrap_or_default() {
                "idnumber" => found.retain(|category| category.id_number == value),
                "id" => found.retain(|category| category.id.to_string() == value),
                "parent" => found.retain(|category| category.parent.to_string() == value),
                "name" => found.retain(|category| category.name == value),
                _ => return Err(failure("criteriaerror", "Missing permissions to search")),
            }
        }
        if text(form, "addsubcategories") != Some("0") {
            let ids: BTreeSet<i64> = found.iter().map(|category| category.id).collect();
            let below = self.categories.values();
            found.extend(below.filter(|one| ids.contains(&one.parent) && !ids.contains(&one.id)));
        }
        let shown = |category: &&Category| {
            json!({
                "id": category.id,
                "name": printed(&category.name, raw),
                "idnumber": category.id_number,
                "parent": category.parent,
                "visible": 1,
            })
        };
        Ok(found.iter().map(shown).collect())
    }

    pub fn create_categories(&mut self, form: &Value, raw: bool) -> Answer {
        let mut created = Vec::new();
        for item in list(&form["categories"]) {
            let id_number = text(item, "idnumber").unwrap_or_default().to_owned();
            let parent = number(item, "parent").unwrap_or_default();
            let taken = self.categories.values().any(|known| known.id_number == id_number);
            if !id_number.is_empty() && taken {
                return Err(failure("categoryidnumbertaken", "ID number is already used"));
            }
            if parent != 0 && !self.categories.contains_key(&parent) {
                return Err(failure("unknowcategory", "Category not known!"));
            }
            let name = clean(item, "name")?.to_owned();
            if name.is_empty() {
                return Err(failure("categorynamerequired", "Category name is required"));
            }
            let id = self.categories.keys().last().map_or(1, |last| last + 1);
            created.push(json!({ "id": id, "name": printed(&name, raw) }));
            self.categories.insert(id, Category { id, name, id_number, parent });
        }
        Ok(Value::Array(created))
    }

    pub fn create_courses(&mut self, form: &Value) -> Answer {
        let items = list(&form["courses"]);
        for item in &items {
            let (full, short) = (text(item, "fullname"), text(item, "shortname"));
            let complete = full.is_some() && short.is_some() && item["categoryid"].is_string();
            if !complete || full.is_some_and(has_tag) || short.is_some_and(has_tag) {
                return Err(invalid_parameter());
            }
        }
        let mut created = Vec::new();
        for item in items {
            let course = self.new_course(item)?;
            created.push(json!({ "id": course.id, "shortname": course.short_name }));
            self.last_course = course.id;
            self.courses.insert(course.id, course);
        }
        Ok(Value::Array(created))
    }

    fn new_course(&self, item: &Value) -> Result<Course, Refused> {
        let short_name = text(item, "shortname").unwrap_or_default();
        let id_number = text(item, "idnumber").unwrap_or_default();
        let category = number(item, "categoryid").unwrap_or_default();
        if !self.categories.contains_key(&category) {
            return Err(failure("errorcatcontextnotvalid", "You cannot execute functions"));
        }
        if text(item, "lang").is_some_and(|lang| lang != "en") {
            return Err(failure("errorinvalidparam", "The param \"lang\" is invalid."));
        }
        if short_name.is_empty() {
            return Err(failure("errorinvalidparam", "The param \"shortname\" is invalid."));
        }
        self.check_unique(0, Some(short_name), Some(id_number))
            .map_err(|code| failure(code, "It is already used for another course"))?;
        let starts_at_s = number(item, "startdate").unwrap_or_default();
        let ends_at_s = number(item, "enddate").unwrap_or_default();
        if ends_at_s != 0 && ends_at_s < starts_at_s {
            return Err(failure("enddatebeforestartdate", "The course end date must be after"));
        }
        Ok(Course {
            id: self.courses.keys().last().map_or(1, |last| last + 1).max(self.last_course + 1),
            full_name: text(item, "fullname").unwrap_or_default().to_owned(),
            short_name: short_name.to_owned(),
            id_number: id_number.to_owned(),
            category,
            starts_at_s,
            ends_at_s,
            visible: number(item, "visible") != Some(0),
            manual: true,
            completion: if number(item, "enablecompletion") == Some(1) {
                Completion::WithoutCriteria
            } else {
                Completion::Off
            },
        })
    }

    fn check_unique(
        &self,
        own: i64,
        short_name: Option<&str>,
        id_number: Option<&str>,
    ) -> Result<(), &'static str> {
        let others = || self.courses.values().filter(|course| course.id != own);
        if let Some(short) = short_name
            && others().any(|course| course.short_name.to_lowercase() == short.to_lowercase())
        {
            return Err("shortnametaken");
        }
        if let Some(id_number) = id_number.filter(|id_number| !id_number.is_empty())
            && others().any(|course| course.id_number == id_number)
        {
            return Err("courseidnumbertaken");
        }
        Ok(())
    }

    /// Each course by itself: what fails is told as a warning.
    pub fn update_courses(&mut self, form: &Value) -> Answer {
        let items = list(&form["courses"]);
        if items.iter().filter_map(|item| text(item, "fullname")).any(has_tag) {
            return Err(invalid_parameter());
        }
        let mut warnings = Vec::new();
        for item in items {
            if let Err(code) = self.update_course(item) {
                let id = number(item, "id").unwrap_or_default();
                warnings.push(json!({
                    "item": "course", "itemid": id, "warningcode": code, "message": code,
                }));
            }
        }
        Ok(json!({ "warnings": warnings }))
    }

    fn update_course(&mut self, item: &Value) -> Result<(), &'static str> {
        let id = number(item, "id").unwrap_or_default();
        if !self.courses.contains_key(&id) {
            return Err("invalidrecord");
        }
        self.check_unique(id, text(item, "shortname"), text(item, "idnumber"))?;
        let category = number(item, "categoryid");
        let category_known =
            category.is_none_or(|category| self.categories.contains_key(&category));
        let course = self.courses.get_mut(&id).expect("it was found");
        for (name, field) in [
            ("fullname", &mut course.full_name),
            ("shortname", &mut course.short_name),
            ("idnumber", &mut course.id_number),
        ] {
            if let Some(value) = text(item, name) {
                value.clone_into(field);
            }
        }
        course.category = category.unwrap_or(course.category);
        course.starts_at_s = number(item, "startdate").unwrap_or(course.starts_at_s);
        course.ends_at_s = number(item, "enddate").unwrap_or(course.ends_at_s);
        course.visible = number(item, "visible").map_or(course.visible, |visible| visible == 1);
        // The course is saved with the unknown category all the same.
        if category_known { Ok(()) } else { Err("invalidrecord") }
    }

    pub fn courses_by_field(&self, form: &Value, raw: bool) -> Answer {
        let value = form["value"].as_str().unwrap_or_default().to_owned();
        let matches: Box<dyn Fn(&Course) -> bool> = match text(form, "field").unwrap_or_default() {
            "" => Box::new(|_| true),
            "id" => Box::new(move |course| course.id.to_string() == value),
            "idnumber" => Box::new(move |course| !value.is_empty() && course.id_number == value),
            "shortname" => Box::new(move |course| course.short_name == value),
            "category" => Box::new(move |course| course.category.to_string() == value),
            "ids" => {
                let ids: BTreeSet<i64> =
                    value.split(',').filter_map(|id| id.trim().parse().ok()).collect();
                if ids.iter().any(|id| !self.courses.contains_key(id)) {
                    return Err(
                        json!({ "exception": "Error", "message": "Attempt to assign property on null" }),
                    );
                }
                Box::new(move |course| ids.contains(&course.id))
            }
            _ => return Err(invalid_parameter()),
        };
        let found = self.courses.values().filter(|course| matches(course));
        let courses: Vec<Value> = found.map(|course| course_shown(course, raw)).collect();
        Ok(json!({ "courses": courses, "warnings": [] }))
    }

    /// Unknown ids are passed over; without any, all courses are meant.
    pub fn courses_by_ids(&self, form: &Value, raw: bool) -> Value {
        let ids: BTreeSet<i64> = list(&form["options"]["ids"])
            .into_iter()
            .filter_map(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok()))
            .collect();
        let found =
            self.courses.values().filter(|course| ids.is_empty() || ids.contains(&course.id));
        found.map(|course| course_shown(course, raw)).collect()
    }

    pub fn all_courses(&self) -> Vec<Value> {
        let courses = self.courses.values().filter(|course| !is_site_course(course.id));
        courses.map(|course| course_shown(course, true)).collect()
    }

    pub fn enrol_users(&mut self, form: &Value) -> Answer {
        for item in list(&form["enrolments"]) {
            let part = |name| number(item, name).ok_or_else(invalid_parameter);
            let (role, user, course) = (part("roleid")?, part("userid")?, part("courseid")?);
            let known = self.courses.get(&course).ok_or_else(invalid_parameter)?;
            if !ASSIGNABLE_ROLES.contains(&role) {
                return Err(failure("wsusercannotassign", "You don't have the permission"));
            }
            if !known.manual {
                return Err(no_manual_enrolment());
            }
            self.check_user(user)?;
            let enrolment = self.enrolments.entry((course, user)).or_default();
            enrolment.roles.insert(role);
            // What is not said becomes nothing: a naive repetition wipes dates and suspension.
            enrolment.starts_at_s = number(item, "timestart").unwrap_or_default();
            enrolment.ends_at_s = number(item, "timeend").unwrap_or_default();
            enrolment.suspended = number(item, "suspend") == Some(1);
        }
        Ok(Value::Null)
    }

    fn check_user(&self, id: i64) -> Result<(), Refused> {
        let user = self.users.get(&id).ok_or_else(|| failure("invaliduser", "Invalid user"))?;
        if user.deleted {
            return Err(failure("userdeleted", "error/userdeleted"));
        }
        if is_guest(id) {
            return Err(failure("guestsarenotallowed", "The guest user is not allowed"));
        }
        Ok(())
    }

    pub fn unenrol_users(&mut self, form: &Value) -> Answer {
        for item in list(&form["enrolments"]) {
            let (user, course) = (number(item, "userid"), number(item, "courseid"));
            let (user, course) = user.zip(course).ok_or_else(invalid_parameter)?;
            let known = self.courses.get(&course).ok_or_else(|| missing_record("course"))?;
            self.check_user(user)?;
            if !known.manual {
                return Err(no_manual_enrolment());
            }
            self.enrolments.remove(&(course, user));
            self.grades.remove(&(course, user));
        }
        Ok(Value::Null)
    }

    pub fn enrolled_users(&self, form: &Value, now_s: i64) -> Answer {
        let course = number(form, "courseid").unwrap_or_default();
        if !self.courses.contains_key(&course) {
            return Err(missing_record("course"));
        }
        let option = |name: &str| {
            let options = list(&form["options"]).into_iter();
            options
                .filter(|option| text(option, "name") == Some(name))
                .find_map(|option| number(option, "value"))
        };
        let is_active = |enrolment: &Enrolment| {
            let ended = enrolment.ends_at_s != 0 && enrolment.ends_at_s <= now_s;
            !enrolment.suspended && !ended && enrolment.starts_at_s <= now_s
        };
        let (only_active, only_suspended) = (option("onlyactive"), option("onlysuspended"));
        let from = usize::try_from(option("limitfrom").unwrap_or_default()).unwrap_or_default();
        let from = if self.moves_lists && from > 0 { from + 1 } else { from };
        let limit = usize::try_from(option("limitnumber").unwrap_or_default()).unwrap_or_default();
        let limit = if limit == 0 { usize::MAX } else { limit };
        let found = self
            .enrolments
            .iter()
            .filter(|((of, _), _)| *of == course)
            .filter(|(_, enrolment)| only_active != Some(1) || is_active(enrolment))
            .filter(|(_, enrolment)| only_suspended != Some(1) || !is_active(enrolment))
            .skip(from)
            .take(limit)
            .filter_map(|((_, user), enrolment)| {
                let mut listed = shown(self.users.get(user)?);
                let role = |role: &i64| json!({ "roleid": role, "name": "", "shortname": "", "sortorder": 0 });
                listed["lastcourseaccess"] = enrolment.last_access_s.into();
                listed["roles"] = enrolment.roles.iter().map(role).collect();
                Some(listed)
            });
        Ok(found.collect())
    }

    pub fn all_enrolments(&self) -> Vec<Value> {
        let listed = |((course, user), enrolment): (&(i64, i64), &Enrolment)| {
            json!({
                "course": self.courses.get(course).map(|course| course.id_number.clone()),
                "user": self.users.get(user).map(|user| user.id_number.clone()),
                "roles": enrolment.roles,
                "suspended": enrolment.suspended,
                "timestart": enrolment.starts_at_s,
                "timeend": enrolment.ends_at_s,
            })
        };
        self.enrolments.iter().map(listed).collect()
    }

    pub fn assign_roles(&mut self, form: &Value) -> Answer {
        for item in list(&form["assignments"]) {
            let (role, user, course) = self.assignment(item)?;
            if let Some(enrolment) = self.enrolments.get_mut(&(course, user)) {
                enrolment.roles.insert(role);
            }
        }
        Ok(Value::Null)
    }

    pub fn unassign_roles(&mut self, form: &Value) -> Answer {
        for item in list(&form["unassignments"]) {
            let (role, user, course) = self.assignment(item)?;
            if let Some(enrolment) = self.enrolments.get_mut(&(course, user)) {
                enrolment.roles.remove(&role);
            }
        }
        Ok(Value::Null)
    }

    fn assignment(&self, item: &Value) -> Result<(i64, i64, i64), Refused> {
        let part = |name| number(item, name).ok_or_else(invalid_parameter);
        let (role, user, course) = (part("roleid")?, part("userid")?, part("instanceid")?);
        let in_course = text(item, "contextlevel") == Some("course");
        let course_known = self.courses.contains_key(&course);
        if !in_course || !course_known || !ASSIGNABLE_ROLES.contains(&role) {
            return Err(invalid_parameter());
        }
        if !self.users.contains_key(&user) {
            return Err(failure("codingerror", "Coding error detected"));
        }
        Ok((role, user, course))
    }

    pub fn create_groups(&mut self, form: &Value) -> Answer {
        let mut created = Vec::new();
        for item in list(&form["groups"]) {
            let course = number(item, "courseid").unwrap_or_default();
            let (name, id_number) =
                (clean(item, "name")?, text(item, "idnumber").unwrap_or_default());
            if !self.courses.contains_key(&course) {
                return Err(failure("errorcoursecontextnotvalid", "You cannot execute functions"));
            }
            let beside = || self.groups.values().filter(|group| group.course == Some(course));
            if !id_number.is_empty() && beside().any(|group| group.id_number == id_number) {
                return Err(failure("idnumbertaken", "This ID number is already in use"));
            }
            if beside().any(|group| group.name == name) {
                return Err(invalid_parameter());
            }
            let id = self.groups.keys().last().map_or(1, |last| last + 1);
            let group = Circle {
                id,
                course: Some(course),
                name: name.to_owned(),
                id_number: id_number.to_owned(),
                members: BTreeSet::new(),
            };
            created.push(circle(&group));
            self.groups.insert(id, group);
        }
        Ok(Value::Array(created))
    }

    pub fn get_course_groups(&self, form: &Value) -> Value {
        let course = number(form, "courseid");
        self.groups.values().filter(|group| group.course == course).map(circle).collect()
    }

    pub fn get_group_members(&self, form: &Value) -> Answer {
        let mut found = Vec::new();
        for id in list(&form["groupids"]) {
            let id = id.as_i64().or_else(|| id.as_str()?.parse().ok()).unwrap_or_default();
            let group = self.groups.get(&id).ok_or_else(|| missing_record("groups"))?;
            found.push(json!({ "groupid": id, "userids": group.members }));
        }
        Ok(Value::Array(found))
    }

    pub fn all_groups(&self) -> Vec<Value> {
        let number = |id: &i64| Some(self.users.get(id)?.id_number.clone());
        let shown = |group: &Circle| {
            let course = group.course.and_then(|course| self.courses.get(&course));
            json!({
                "id": group.id,
                "course": course.map(|course| course.id_number.clone()),
                "name": group.name,
                "idnumber": group.id_number,
                "members": group.members.iter().filter_map(number).collect::<Vec<_>>(),
            })
        };
        self.groups.values().map(shown).collect()
    }

    pub fn add_group_members(&mut self, form: &Value) -> Answer {
        for item in list(&form["members"]) {
            let (group, user) = (number(item, "groupid"), number(item, "userid"));
            let (group, user) = group.zip(user).ok_or_else(invalid_parameter)?;
            let known = self.groups.get_mut(&group).ok_or_else(|| missing_record("groups"))?;
            let course = known.course.unwrap_or_default();
            if !self.enrolments.contains_key(&(course, user)) {
                return Err(invalid_parameter());
            }
            known.members.insert(user);
        }
        Ok(Value::Null)
    }

    pub fn delete_group_members(&mut self, form: &Value) -> Value {
        for item in list(&form["members"]) {
            if let (Some(group), Some(user)) = (number(item, "groupid"), number(item, "userid"))
                && let Some(group) = self.groups.get_mut(&group)
            {
                group.members.remove(&user);
            }
        }
        Value::Null
    }
}

fn course_shown(course: &Course, raw: bool) -> Value {
    let methods: &[&str] = if course.manual { &["manual"] } else { &[] };
    json!({
        "id": course.id,
        "fullname": printed(&course.full_name, raw),
        "displayname": printed(&course.full_name, raw),
        "shortname": printed(&course.short_name, raw),
        "categoryid": course.category,
        "idnumber": course.id_number,
        "enrollmentmethods": methods,
        "startdate": course.starts_at_s,
        "enddate": course.ends_at_s,
        "visible": i64::from(course.visible),
        "format": "topics",
    })
}
