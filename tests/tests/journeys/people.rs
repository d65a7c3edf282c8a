//! People: students who open their accounts by themselves, and the staff that all journeys share.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::api::{Api, unique};
use crate::patience::{LIMIT, eventually};
use crate::{cloud, mail};

pub const PASSWORD: &str = "vingt-deux chaises vertes";
/// The department whose head belongs to the staff.
pub const DEPARTMENT: &str = "MATH";
/// What a credit costs in the price group `standard`, in XAF.
pub const PER_CREDIT: i64 = 5_000;

#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub api: Api,
}

/// Those who run the university; each works with a token that carries their role.
#[derive(Debug)]
pub struct Staff {
    pub administrator: Person,
    pub registrar: Person,
    pub bursar: Person,
    /// Of the department of mathematics.
    pub head: Person,
}

/// Somebody new: registered, verified by mail, logged in. Whoever comes so is a student.
pub fn newcomer(given: &str) -> Person {
    let email = address(given);
    let account = register(&email, given);
    let code = eventually(&format!("a verification code for {email}"), LIMIT, || {
        let mails = mail::to(&email);
        let code = mails.iter().find_map(|mail| mail.code().map(str::to_owned));
        code.ok_or_else(|| format!("{mails:?}"))
    });
    verify(&account, &code);
    log_in(&email)
}

/// A new address that nobody has.
pub fn address(given: &str) -> String {
    format!("{}@students.example", unique(&given.to_lowercase()))
}

pub fn register(email: &str, given: &str) -> String {
    let account = json!({
        "email": email,
        "password": PASSWORD,
        "name": { "given": given, "family": "Journey" },
        "locale": "en",
    });
    let reply = Api::anonymous().post("/accounts", &account).expect(201);
    assert_eq!(reply.body["status"], "unverified");
    reply.text("/account")
}

/// Answers whose account it is.
pub fn verify(account: &str, code: &str) -> String {
    let path = format!("/accounts/{account}/verification");
    let reply = Api::anonymous().call("POST", &path).json(&json!({ "code": code })).send();
    let reply = reply.expect(200);
    assert_eq!(reply.body["status"], "active");
    reply.text("/person")
}

pub fn log_in(login: &str) -> Person {
    let credentials = json!({ "login": login, "password": PASSWORD });
    let reply = Api::anonymous().call("POST", "/sessions").json(&credentials).send().expect(200);
    let token = reply.text("/access_token");
    Person { id: reply.text("/person"), email: login.to_owned(), api: Api::with_token(&token) }
}

/// The staff, made by whichever journey comes first. Runners give every journey a process of its own: they find each
/// other by a file.
pub fn staff() -> &'static Staff {
    static STAFF: OnceLock<Staff> = OnceLock::new();
    STAFF.get_or_init(|| {
        let path = place();
        let lock = File::create(path.with_extension("lock")).expect("the lock can be written");
        lock.lock().expect("the lock can be taken");
        known(&path).unwrap_or_else(|| {
            let staff = appoint();
            fs::write(&path, staff.to_json().to_string()).expect("the staff can be noted");
            staff
        })
    })
}

fn place() -> PathBuf {
    let api = cloud::setting("MATRICULA_API_ID");
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("staff-of-{api}.json"))
}

/// The staff that another journey has noted, where this cloud still knows them.
fn known(path: &Path) -> Option<Staff> {
    let noted = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    let mut staff = Staff::from_json(&noted)?;
    for person in staff.everybody() {
        if person.api.get("/me").status == 200 {
            continue;
        }
        let credentials = json!({ "login": person.email, "password": PASSWORD });
        let call = Api::anonymous().call("POST", "/sessions").json(&credentials);
        if call.send().status != 200 {
            return None;
        }
        *person = log_in(&person.email);
    }
    Some(staff)
}

/// From nobody to a staff: an operator makes the first administrator, who appoints the others.
fn appoint() -> Staff {
    let administrator = newcomer("Ada");
    let command = json!({ "email": administrator.email });
    cloud::invoke("identity-bootstrap-administrator", &command);
    // A new session has the new role at once; an older one within a minute.
    let administrator = log_in(&administrator.email);
    let appointed = |given: &str, role: &str, department: Option<&str>| {
        let person = newcomer(given);
        let mut order = json!({ "email": person.email, "role": role });
        if let Some(department) = department {
            order["department"] = department.into();
        }
        administrator.api.post("/role-assignments", &order).expect(201);
        log_in(&person.email)
    };
    let staff = Staff {
        registrar: appointed("Rosa", "registrar", None),
        bursar: appointed("Bruno", "bursar", None),
        head: appointed("Hana", "head_of_department", Some(DEPARTMENT)),
        administrator,
    };
    let price = json!({ "per_credit": { "minor": PER_CREDIT, "currency": "XAF" } });
    let known = staff.bursar.api.list("/price-groups");
    let standing = known.iter().find(|group| group["code"] == "standard");
    let version = standing.and_then(|group| group["version"].as_u64()).unwrap_or_default();
    staff.bursar.api.replace("/price-groups/standard", version, &price).expect(200);
    staff
}

impl Staff {
    fn everybody(&mut self) -> [&mut Person; 4] {
        [&mut self.administrator, &mut self.registrar, &mut self.bursar, &mut self.head]
    }

    fn to_json(&self) -> Value {
        let one = |person: &Person| json!([person.id, person.email, person.api.token()]);
        json!({
            "administrator": one(&self.administrator),
            "registrar": one(&self.registrar),
            "bursar": one(&self.bursar),
            "head": one(&self.head),
        })
    }

    fn from_json(noted: &Value) -> Option<Self> {
        let one = |role: &str| {
            let text = |at: usize| noted[role][at].as_str().map(str::to_owned);
            Some(Person { id: text(0)?, email: text(1)?, api: Api::with_token(&text(2)?) })
        };
        Some(Self {
            administrator: one("administrator")?,
            registrar: one("registrar")?,
            bursar: one("bursar")?,
            head: one("head")?,
        })
    }
}
