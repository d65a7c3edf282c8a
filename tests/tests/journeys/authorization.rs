//! The table of who may do what, walked at the gateway: every operation by every role, by a service client, by nobody
//! and by a forged token; and where a role reaches as far as what is its own, its own record and another's.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shell::{Access, HttpOperation, Method, Role, Route, Scope};
use tests::contexts::http_operations;
use tests::repository;

use crate::api::{Api, Call, Reply, unique};
use crate::courses::Term;
use crate::people::{DEPARTMENT, Person, log_in, newcomer, staff};
use crate::receipts;
use crate::sagas::{Bundle, start_payment, submit_one};
use crate::service_clients::{self, everything};

/// Somebody who calls, with the roles that they hold; none for another system.
struct Walker {
    name: &'static str,
    api: Api,
    roles: Vec<Role>,
}

/// What one call must come to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Enters,
    Forbidden,
    Unauthenticated,
}

#[test]
fn every_operation_is_open_to_whom_the_table_names_and_to_nobody_else() {
    let mut wrong = Vec::new();
    let (walkers, client) = (walkers(), service_clients::token(&everything()));
    let client = Api::with_token(&client);
    let forged = Api::with_token(&format!("{}x", client.token()));
    let mut tried = 0;
    for HttpOperation { context, route, .. } in http_operations() {
        if route.access == Access::Public {
            continue;
        }
        let mut judge = |who: &str, api: &Api, expected: Expected| {
            let reply = malformed(api, &route).send();
            tried += 1;
            if came_to(&reply) != Some(expected) {
                wrong.push(format!("{context}-{} by {who}: {reply:?}", route.operation));
            }
        };
        judge("nobody", &Api::anonymous(), Expected::Unauthenticated);
        judge("a forger", &forged, Expected::Unauthenticated);
        for Walker { name, api, roles } in &walkers {
            judge(
                name,
                api,
                if admits(&route, roles) { Expected::Enters } else { Expected::Forbidden },
            );
        }
        let is_for_clients = route.client_scope.is_some();
        judge(
            "another system",
            &client,
            if is_for_clients { Expected::Enters } else { Expected::Forbidden },
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(tried > 500, "only {tried} doors were tried");
}

#[test]
fn another_system_that_calls_well_is_answered_by_every_operation_that_it_may_call() {
    let client = Api::with_token(&service_clients::token(&everything()));
    let mut tried = 0;
    for HttpOperation { context, route, .. } in http_operations() {
        if route.client_scope.is_none() {
            continue;
        }
        let reply = as_in_its_sample(&client, context, &route).send();
        // There may be nothing of what the sample names; it may have been done before; and who is no student has to
        // say which one is meant.
        let lacks_student = reply.status == 422 && reply.body["errors"][0]["field"] == "/student";
        assert!(
            matches!(reply.status, 200..300 | 404 | 409) || lacks_student,
            "{context}-{}: {reply:?}",
            route.operation
        );
        tried += 1;
    }
    assert!(tried > 20, "only {tried} operations are for other systems");
}

/// The call that is checked in as a sample of the operation, with a key of its own.
fn as_in_its_sample(api: &Api, context: &str, route: &Route) -> Call {
    let path = format!("events/samples/{context}-{}.json", route.operation);
    let text = repository::read(&path).unwrap_or_else(|| panic!("there is no {path}"));
    let sample: Value = serde_json::from_str(&text).expect("a sample is JSON");
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let address = format!("{}?{}", text(&sample["rawPath"]), text(&sample["rawQueryString"]));
    let call = api.call(route.method.name(), &address).key(&unique("sample"));
    match sample["body"].as_str() {
        Some(body) => call.text(route.body.media_type(), body),
        None => call,
    }
}

fn admits(route: &Route, roles: &[Role]) -> bool {
    match route.access {
        Access::Public | Access::LoggedIn => true,
        Access::Roles(allows) => allows.iter().any(|allow| roles.contains(&allow.role)),
    }
}

/// Whoever enters is told that the input is wrong: nothing happens.
fn came_to(reply: &Reply) -> Option<Expected> {
    match reply.status {
        401 => Some(Expected::Unauthenticated),
        403 => (reply.body["code"] == "FORBIDDEN").then_some(Expected::Forbidden),
        400..500 => Some(Expected::Enters),
        _ => None,
    }
}

fn malformed(api: &Api, route: &Route) -> Call {
    let path = route.path_parameters().fold(route.path.to_owned(), |path, name| {
        path.replace(&format!("{{{name}}}"), "something")
    });
    let call = |path: &str| api.call(route.method.name(), path).key(&unique("door"));
    match route.method {
        Method::Get | Method::Delete => call(&format!("{path}?nothing-like-this=1")),
        _ => call(&path).text("application/json", "{\"nothing-like-this\": 1}"),
    }
}

/// One for each role. The staff that all journeys share came as students, and are that too.
fn walkers() -> Vec<Walker> {
    let staff = staff();
    let shared = |name, person: &Person, role| Walker {
        name,
        api: person.api.clone(),
        roles: vec![role, Role::Student],
    };
    let alone = |name, role| {
        let person = holding_alone(role);
        Walker { name, api: person.api, roles: vec![role] }
    };
    vec![
        Walker { name: "a student", api: newcomer("Stig").api, roles: vec![Role::Student] },
        alone("a teacher", Role::Teacher),
        alone("an HR officer", Role::HrOfficer),
        shared("a head of department", &staff.head, Role::HeadOfDepartment),
        shared("a registrar", &staff.registrar, Role::Registrar),
        shared("a bursar", &staff.bursar, Role::Bursar),
        shared("an administrator", &staff.administrator, Role::Administrator),
    ]
}

/// Somebody who is no student any more.
fn holding_alone(role: Role) -> Person {
    let person = newcomer("Solveig");
    let administrator = &staff().administrator.api;
    let order = json!({ "person": person.id, "role": role.name() });
    administrator.post("/role-assignments", &order).expect(201);
    let held = administrator.get(&format!("/people/{}/roles", person.id)).expect(200);
    let held = held.body["roles"].as_array().expect("roles").clone();
    let student = held.iter().find(|held| held["role"] == "student").expect("they came as one");
    let path = format!("/people/{}/roles/{}", person.id, student["id"].as_str().expect("an id"));
    administrator.call("DELETE", &path).send().expect(204);
    // A new session has the roles at once; an older one within a minute.
    log_in(&person.email)
}

/// A student with one of everything.
struct Owner<'p> {
    person: &'p Person,
    bundle: Bundle<'p>,
    invoice: String,
    payment: String,
    receipt: String,
}

impl<'p> Owner<'p> {
    fn of(person: &'p Person, term: &Term, section: &str) -> Self {
        let bundle = submit_one(person, term, section);
        let invoice = bundle.await_invoice();
        let payment = start_payment(person, &invoice, "pm_card_visa");
        bundle.await_state("confirmed");
        let student = format!("/students/{}", person.id);
        let hold = json!({ "kind": "academic", "reason": "a journey" });
        staff().registrar.api.post(&format!("{student}/holds"), &hold).expect(201);
        let record = json!({ "record": { "standing": 1 } });
        staff().registrar.api.replace(&format!("{student}/record"), 0, &record).expect(200);
        let population = json!({ "population": { "level": "1" } });
        let path = format!("{student}/population");
        staff().bursar.api.replace(&path, 0, &population).expect(200);
        let offer = json!({
            "name": "In one part", "term_code": "2027S", "instalments": [{ "due": "2099-01-30" }],
            "is_for_students": true,
        });
        staff().bursar.api.replace("/plan-offers/in-one-part", 0, &offer).expect(200);
        let receipt = receipts::hand_in(person);
        Self { person, bundle, invoice, payment, receipt }
    }

    /// A call on what is this student's, by whomever.
    fn call(&self, operation: &str, api: &Api, term: &Term) -> Option<Call> {
        let get = |path: String| Some(api.call("GET", &path));
        let post =
            |path: &str, body: &Value| Some(api.call("POST", path).key(&unique("own")).json(body));
        let student = &self.person.id;
        match operation {
            "read-submission" => get(format!("/submissions/{}", self.bundle.submission)),
            "list-registrations" => get(format!("/registrations?student={student}")),
            "read-schedule" => get(format!("/schedules/{}?student={student}", term.id)),
            "read-registration" => get(format!("/registrations/{}", self.bundle.registration)),
            "list-holds" => get(format!("/students/{student}/holds")),
            "read-student-record" => get(format!("/students/{student}/record")),
            "list-invoices" => get(format!("/invoices?student={student}")),
            "read-invoice" => get(format!("/invoices/{}", self.invoice)),
            "read-invoice-document" => get(format!("/invoices/{}/document", self.invoice)),
            "read-statement-document" => get(format!("/statement?student={student}")),
            "read-payment" => get(format!("/payments/{}", self.payment)),
            "read-student-population" => get(format!("/students/{student}/population")),
            "read-account" => get(format!("/account?student={student}")),
            "preview-tuition" => {
                let sections = json!([self.bundle.section]);
                let body = json!({ "student": student, "term": term.id, "sections": sections });
                post("/tuition-previews", &body)
            }
            "list-receipts" => get(format!("/receipts?student={student}")),
            "submit-receipt" => post("/receipts", &receipts::transfer(student)),
            "attach-receipt-file" => {
                let path = format!("/receipts/{}/file", self.receipt);
                post(&path, &receipts::announcement(student))
            }
            "read-receipt-file" => {
                get(format!("/receipts/{}/file?student={student}", self.receipt))
            }
            "read-payment-plans" => get(format!("/payment-plans?student={student}")),
            "begin-payment-plan" => {
                let plan = json!({ "student": student, "offer": "in-one-part", "currency": "XAF" });
                post("/payment-plans", &plan)
            }
            "start-payment" => {
                let payment = json!({ "invoice": self.invoice, "payment_method": "pm_card_visa" });
                post("/payments", &payment)
            }
            "drop-registration" => {
                post(&format!("/registrations/{}/drop", self.bundle.registration), &json!({}))
            }
            "withdraw-registration" => {
                post(&format!("/registrations/{}/withdrawal", self.bundle.registration), &json!({}))
            }
            "start-term-withdrawal" => {
                post("/term-withdrawals", &json!({ "term": term.id, "student": student }))
            }
            "swap-registration" => {
                let path = format!("/registrations/{}/swap", self.bundle.registration);
                post(&path, &json!({ "sections": [self.bundle.section] }))
            }
            "list-overrides" => get(format!("/students/{student}/overrides")),
            "list-waitlist-entries" => get(format!("/waitlist-entries?student={student}")),
            "list-refunds" => get(format!("/payments/{}/refunds", self.payment)),
            _ => None,
        }
    }
}

/// What names nobody: it is the caller's by its nature.
const OF_THE_CALLER: [&str; 7] = [
    "submit",
    "validate-submission",
    "join-waitlist",
    "set-cart",
    "read-cart",
    "issue-schedule-feed",
    "revoke-schedule-feed",
];
/// What needs a line that somebody stands in: `leave_waitlist.rs` tries another's.
const OF_A_LINE: [&str; 2] = ["leave-waitlist", "accept-offer"];
/// What needs a withdrawal that has begun: `on_term_withdrawal_advanced.rs` tries another's.
const OF_A_WITHDRAWAL: [&str; 1] = ["read-term-withdrawal"];
/// Lists in which these students have nothing.
const EMPTY: [&str; 3] = ["list-overrides", "list-waitlist-entries", "list-refunds"];

/// Refused as if it were not there, or told as if there were nothing.
fn tells_nothing(reply: &Reply) -> bool {
    match reply.status {
        403 | 404 => true,
        200 => reply.body["items"] == json!([]) || reply.body["version"] == 0,
        _ => false,
    }
}

#[test]
fn a_student_reaches_their_own_records_and_nobody_elses() {
    let (term, anna, boris) = (Term::open(), newcomer("Anna"), newcomer("Boris"));
    let section = term.plain_section();
    let owners = [Owner::of(&anna, &term, &section), Owner::of(&boris, &term, &section)];
    let registrar = &staff().registrar.api;
    let mut tried = BTreeSet::new();
    for HttpOperation { context, route, .. } in http_operations() {
        let Access::Roles(allows) = route.access else { continue };
        let is_own =
            |allow: &&shell::Allow| (allow.role, allow.scope) == (Role::Student, Scope::Own);
        let operation = route.operation;
        let is_left_out = OF_THE_CALLER.contains(&operation)
            || OF_A_LINE.contains(&operation)
            || OF_A_WITHDRAWAL.contains(&operation);
        if !allows.iter().any(|allow| is_own(&allow)) || is_left_out {
            continue;
        }
        let call = |owner: usize, api: &Api| {
            let call = owners[owner].call(operation, api, &term);
            call.unwrap_or_else(|| panic!("{context}-{operation}: say what is whose there")).send()
        };
        let anothers = call(1, &anna.api);
        assert!(tells_nothing(&anothers), "{context}-{operation} on another's: {anothers:?}");
        let own = call(0, &anna.api);
        if EMPTY.contains(&operation) {
            assert_eq!(own.status, 200, "{context}-{operation} on one's own: {own:?}");
            continue;
        }
        assert!(!tells_nothing(&own), "{context}-{operation} on one's own: {own:?}");
        let reaches_all =
            |allow: &shell::Allow| (allow.role, allow.scope) == (Role::Registrar, Scope::All);
        if route.method == Method::Get && allows.iter().any(reaches_all) {
            let by_registrar = call(1, registrar);
            assert!(!tells_nothing(&by_registrar), "{context}-{operation}: {by_registrar:?}");
        }
        tried.insert(operation);
    }
    assert!(tried.len() > 10, "only {tried:?}");
    let mine = anna.api.list("/me/sessions");
    let session = mine[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/me/sessions/{session}");
    boris.api.call("DELETE", &path).send().expect_refusal(404, "SESSION_UNKNOWN");
    anna.api.get("/me").expect(200);
}

#[test]
fn a_head_reaches_their_own_department_and_a_teacher_their_own_sections() {
    let (term, head) = (Term::open(), &staff().head.api);
    let teacher = holding_alone(Role::Teacher);
    let (own, foreign) = (section(&term, DEPARTMENT, &teacher), section(&term, "LAW", &teacher));
    let other = section(&term, DEPARTMENT, &staff().head);
    let clashes = |api: &Api, section: &str| api.get(&format!("/sections/{section}/clashes"));
    clashes(head, &own).expect(200);
    clashes(head, &foreign).expect_refusal(403, "FORBIDDEN");
    clashes(&teacher.api, &own).expect(200);
    clashes(&teacher.api, &foreign).expect(200);
    clashes(&teacher.api, &other).expect_refusal(403, "FORBIDDEN");
    let edit = |api: &Api, section: &str| {
        let call = api.call("PATCH", &format!("/sections/{section}")).header("if-match", "\"1\"");
        call.json(&json!({ "capacity": 12 })).send()
    };
    edit(head, &foreign).expect_refusal(403, "FORBIDDEN");
    edit(&teacher.api, &own).expect_refusal(403, "FORBIDDEN");
    edit(head, &own).expect(200);
    let approvals = head.get("/approvals?department=LAW").expect(200);
    assert_eq!(approvals.body["items"], json!([]));
}

/// Of a course of its own, taught by somebody.
fn section(term: &Term, department: &str, teacher: &Person) -> String {
    let registrar = &staff().registrar.api;
    let course = json!({
        "code": unique("C"), "title": "Taught analysis", "credits_hundredths": 450,
        "department": department,
    });
    let course = registrar.post("/courses", &course).expect(201).text("/id");
    let section = json!({
        "code": unique("S"), "term": term.id, "course": course, "capacity": 10,
        "price_group": "standard", "teachers": [teacher.id],
    });
    registrar.post("/sections", &section).expect(201).text("/id")
}
