//! Users and cohorts of the played site.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::form::{list, number, text};
use super::site::{
    Answer, Circle, Refused, Site, User, clean, failure, has_tag, invalid_parameter,
    is_administrator, missing_record,
};

const USER_KEYS: [&str; 25] = [
    "id",
    "username",
    "firstname",
    "lastname",
    "email",
    "idnumber",
    "department",
    "auth",
    "lang",
    "suspended",
    "password",
    "createpassword",
    "institution",
    "city",
    "country",
    "timezone",
    "customfields",
    "preferences",
    "middlename",
    "phone1",
    "phone2",
    "address",
    "mailformat",
    "maildisplay",
    "description",
];
const AUTHS: [&str; 5] = ["manual", "oauth2", "nologin", "ldap", "email"];
const LANGS: [&str; 1] = ["en"];
const WEAK: &str = "<div>Passwords must be at least 8 characters long.</div>";

impl Site {
    pub fn create_users(&mut self, form: &Value) -> Answer {
        let users = list(&form["users"]);
        if users.is_empty() {
            return Err(invalid_parameter());
        }
        for item in &users {
            check_schema(item)?;
        }
        let mut created = Vec::new();
        for item in users {
            created.push(self.create_user(item)?);
        }
        Ok(Value::Array(created))
    }

    fn create_user(&mut self, item: &Value) -> Answer {
        let username = clean(item, "username")?;
        let (first_name, last_name) = (clean(item, "firstname")?, clean(item, "lastname")?);
        let email = text(item, "email").ok_or_else(invalid_parameter)?;
        let auth = text(item, "auth").unwrap_or("manual");
        let id_number = text(item, "idnumber").unwrap_or_default();
        let taken = self.live().any(|user| {
            user.username == username || user.email.to_lowercase() == email.to_lowercase()
        });
        if first_name.is_empty() || last_name.is_empty() || taken || !is_email(email) {
            return Err(invalid_parameter());
        }
        match text(item, "password") {
            Some(password) if password.len() < 8 => return Err(failure(WEAK, WEAK)),
            None if text(item, "createpassword") != Some("1") && auth != "oauth2" => {
                return Err(invalid_parameter());
            }
            _ => {}
        }
        if username.len() > 100 || id_number.len() > 255 {
            return Err(failure("dmlwriteexception", "Error writing to database"));
        }
        let id = self.users.keys().last().map_or(1, |last| last + 1);
        let user = User {
            id,
            username: username.to_owned(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            email: email.to_owned(),
            id_number: id_number.to_owned(),
            department: text(item, "department").unwrap_or_default().to_owned(),
            auth: auth.to_owned(),
            lang: text(item, "lang").unwrap_or("en").to_owned(),
            suspended: false,
            deleted: false,
        };
        self.users.insert(id, user);
        Ok(json!({ "id": id, "username": username }))
    }

    fn live(&self) -> impl Iterator<Item = &User> {
        self.users.values().filter(|user| !user.deleted)
    }

    /// Each user by itself: what fails is told as a warning.
    pub fn update_users(&mut self, form: &Value) -> Answer {
        let users = list(&form["users"]);
        for item in &users {
            check_schema(item)?;
        }
        let (mut warnings, mut weak) = (Vec::new(), false);
        for item in users {
            if text(item, "password").is_some_and(|password| password.len() < 8) {
                weak = true;
                continue;
            }
            if let Err(code) = self.update_user(item) {
                let id = number(item, "id").unwrap_or_default();
                warnings.push(json!({
                    "item": "user", "itemid": id, "warningcode": code, "message": code,
                }));
            }
        }
        if weak {
            return Err(failure("invalidresponse", "Invalid response value detected"));
        }
        Ok(json!({ "warnings": warnings }))
    }

    fn update_user(&mut self, item: &Value) -> Result<(), &'static str> {
        let id = number(item, "id").unwrap_or_default();
        let user = self.users.get(&id).ok_or("invaliduserid")?;
        if is_administrator(id) {
            return Err("usernotupdatedadmin");
        }
        if user.deleted {
            return Err("usernotupdateddeleted");
        }
        if let Some(email) = text(item, "email") {
            if !is_email(email) {
                return Err("useremailinvalid");
            }
            let folded = email.to_lowercase();
            if self.live().any(|user| user.id != id && user.email.to_lowercase() == folded) {
                return Err("useremailduplicate");
            }
        }
        if let Some(username) = text(item, "username")
            && self.live().any(|user| user.id != id && user.username == username)
        {
            return Err("dmlwriteexception");
        }
        let user = self.users.get_mut(&id).expect("it was found");
        for (name, field) in [
            ("username", &mut user.username),
            ("firstname", &mut user.first_name),
            ("lastname", &mut user.last_name),
            ("email", &mut user.email),
            ("idnumber", &mut user.id_number),
            ("department", &mut user.department),
            ("auth", &mut user.auth),
            ("lang", &mut user.lang),
        ] {
            if let Some(value) = text(item, name) {
                value.clone_into(field);
            }
        }
        if let Some(suspended) = number(item, "suspended") {
            user.suspended = suspended == 1;
        }
        Ok(())
    }

    /// Missing ones are simply absent; deleted ones are found by id only.
    pub fn users_by_field(&self, form: &Value) -> Answer {
        let field = text(form, "field").unwrap_or_default().to_owned();
        let values: Vec<String> = list(&form["values"])
            .into_iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        if field == "username" && values.iter().any(|value| *value != value.to_lowercase()) {
            return Err(invalid_parameter());
        }
        let folded: BTreeSet<String> = values
            .iter()
            .map(|value| value.to_lowercase())
            .filter(|value| !value.is_empty())
            .collect();
        let of: fn(&User) -> String = match field.as_str() {
            "id" => |user| user.id.to_string(),
            "idnumber" => |user| user.id_number.to_lowercase(),
            "username" => |user| user.username.clone(),
            "email" => |user| user.email.to_lowercase(),
            _ => return Err(failure("codingerror", "Coding error detected")),
        };
        let found = self
            .users
            .values()
            .filter(|user| !user.deleted || field == "id")
            .filter(|user| folded.contains(&of(user)));
        Ok(found.map(shown).collect())
    }

    pub fn all_users(&self) -> Vec<Value> {
        self.live().filter(|user| user.id > 3).map(shown).collect()
    }

    pub fn create_cohorts(&mut self, form: &Value) -> Answer {
        let mut created = Vec::new();
        for item in list(&form["cohorts"]) {
            let id_number = text(item, "idnumber").unwrap_or_default();
            let taken = self.cohorts.values().any(|cohort| cohort.id_number == id_number);
            let category = &item["categorytype"];
            let known = text(category, "type") == Some("system")
                || self
                    .categories
                    .values()
                    .any(|known| Some(known.id_number.as_str()) == text(category, "value"));
            if taken || !known {
                return Err(invalid_parameter());
            }
            let id = self.cohorts.keys().last().map_or(1, |last| last + 1);
            let name = clean(item, "name")?.to_owned();
            let members = BTreeSet::new();
            let cohort =
                Circle { id, course: None, name, id_number: id_number.to_owned(), members };
            created.push(circle(&cohort));
            self.cohorts.insert(id, cohort);
        }
        Ok(Value::Array(created))
    }

    pub fn get_cohorts(&self) -> Value {
        self.cohorts.values().map(circle).collect()
    }

    pub fn get_cohort_members(&self, form: &Value) -> Answer {
        let mut found = Vec::new();
        for id in list(&form["cohortids"]) {
            let id = id.as_i64().or_else(|| id.as_str()?.parse().ok()).unwrap_or_default();
            let cohort = self.cohorts.get(&id).ok_or_else(|| missing_record("cohort"))?;
            found.push(json!({ "cohortid": id, "userids": cohort.members }));
        }
        Ok(Value::Array(found))
    }

    /// Each member by itself: what fails is told as a warning, with a code and without the item.
    pub fn add_cohort_members(&mut self, form: &Value) -> Value {
        let mut warnings = Vec::new();
        for item in list(&form["members"]) {
            if let Err(code) = self.add_cohort_member(item) {
                warnings.push(json!({ "warningcode": code, "message": "not added" }));
            }
        }
        json!({ "warnings": warnings })
    }

    fn add_cohort_member(&mut self, item: &Value) -> Result<(), &'static str> {
        let (cohort, user) = (&item["cohorttype"], &item["usertype"]);
        let wanted = text(user, "value").unwrap_or_default();
        let by_username = match text(user, "type") {
            Some("username") => true,
            Some("id") => false,
            _ => return Err("1"),
        };
        let member = self
            .users
            .values()
            .find(|known| {
                if by_username { known.username == wanted } else { known.id.to_string() == wanted }
            })
            .map(|user| user.id);
        let wanted = text(cohort, "value").unwrap_or_default();
        let by_id = text(cohort, "type") == Some("id");
        let cohort =
            self.cohorts
                .values_mut()
                .find(|known| {
                    if by_id { known.id.to_string() == wanted } else { known.id_number == wanted }
                })
                .ok_or("2")?;
        if cohort.members.insert(member.ok_or("2")?) { Ok(()) } else { Err("3") }
    }

    pub fn delete_cohort_members(&mut self, form: &Value) -> Value {
        for item in list(&form["members"]) {
            let (cohort, user) = (number(item, "cohortid"), number(item, "userid"));
            if let (Some(cohort), Some(user)) = (cohort, user)
                && let Some(cohort) = self.cohorts.get_mut(&cohort)
            {
                cohort.members.remove(&user);
            }
        }
        Value::Null
    }

    pub fn cohort_members(&self, id_number: &str) -> Vec<String> {
        let cohort = self.cohorts.values().find(|cohort| cohort.id_number == id_number);
        let members = cohort.map(|cohort| cohort.members.iter()).into_iter().flatten();
        members.filter_map(|id| Some(self.users.get(id)?.id_number.clone())).collect()
    }
}

pub fn shown(user: &User) -> Value {
    let mut shown = json!({
        "id": user.id,
        "username": user.username,
        "firstname": user.first_name,
        "lastname": user.last_name,
        "fullname": format!("{} {}", user.first_name, user.last_name),
        "email": user.email,
        "department": user.department,
        "idnumber": user.id_number,
        "firstaccess": 0,
        "lastaccess": 0,
        "auth": user.auth,
        "suspended": user.suspended,
        "confirmed": true,
        "lang": user.lang,
    });
    // Keys without a value are left out.
    if user.id_number.is_empty() {
        shown.as_object_mut().expect("it is an object").remove("idnumber");
    }
    shown
}

pub fn circle(circle: &Circle) -> Value {
    let mut shown = json!({
        "id": circle.id,
        "name": circle.name,
        "idnumber": circle.id_number,
        "description": "",
        "descriptionformat": 1,
    });
    if let Some(course) = circle.course {
        shown["courseid"] = course.into();
    }
    shown
}

/// What spoils a whole call, whichever user it is about.
fn check_schema(item: &Value) -> Result<(), Refused> {
    let known = |name: &String| USER_KEYS.contains(&name.as_str());
    let keys_known = item.as_object().is_some_and(|item| item.keys().all(known));
    let username_fits = text(item, "username").is_none_or(|username| {
        username.chars().all(|c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '@' | '-')
        })
    });
    let auth_known = text(item, "auth").is_none_or(|auth| AUTHS.contains(&auth));
    let lang_known = text(item, "lang").is_none_or(|lang| LANGS.contains(&lang));
    let tags = ["firstname", "lastname"].iter().filter_map(|name| text(item, name)).any(has_tag);
    if keys_known && username_fits && auth_known && lang_known && !tags {
        Ok(())
    } else {
        Err(invalid_parameter())
    }
}

fn is_email(email: &str) -> bool {
    email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}
