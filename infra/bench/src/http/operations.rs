//! The operations that are measured, one line each: context, operation, and its request number `n`, which differs from
//! all others where the operation may be carried out once only.

use serde_json::{Value, json};

use super::world::{
    DEPARTMENT, INVITED, NEW_PASSWORD, PASSWORD, PRICE_GROUP, SELF_REGISTERED, World, cart, course,
    credentials, francs, month, moodle_site, newcomer, offered, part, planned_term, section_of,
    term, term_id, tuition,
};
use crate::requests::{
    Request, administrator, as_administrator, bursar, person, registrar, student, student_id,
};

pub struct Operation {
    pub context: &'static str,
    pub name: &'static str,
    /// Under which its replies are kept, for the requests of those that come later.
    pub label: &'static str,
    pub is_measured: bool,
    pub request: fn(&World, usize) -> Request,
}

const fn on(
    context: &'static str,
    name: &'static str,
    request: fn(&World, usize) -> Request,
) -> Operation {
    Operation { context, name, label: name, is_measured: true, request }
}

/// Only makes what later ones need.
const fn first(
    context: &'static str,
    name: &'static str,
    label: &'static str,
    request: fn(&World, usize) -> Request,
) -> Operation {
    Operation { context, name, label, is_measured: false, request }
}

/// Operations that are not measured here, and why.
pub const LEFT_OUT: [(&str, &str); 1] =
    [("operations-approve-import", "needs a file in S3 that was validated")];

/// In this order: what comes first fills the lists that come later, and makes what they ask for.
#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    on("identity", "register-account", |_, n| Request::post(newcomer(SELF_REGISTERED, n, Some(PASSWORD)))),
    on("identity", "verify-email", |w, n| Request::post(json!({ "code": w.verification_code(n) })).at("account", &w.text("register-account", n, "account"))),
    on("identity", "log-in", |_, n| Request::post(credentials(SELF_REGISTERED, n, PASSWORD))),
    on("identity", "refresh-session", |w, n| Request::post(json!({ "refresh_token": w.text("log-in", n, "refresh_token") }))),
    on("identity", "list-sessions", |w, n| Request::get().by(w.logged_in("log-in", n))),
    on("identity", "change-password", |w, n| Request::put(json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD })).by(w.logged_in("log-in", n))),
    on("identity", "enroll-second-factor", |w, n| Request::post(json!({ "password": NEW_PASSWORD })).by(w.logged_in("log-in", n))),
    on("identity", "confirm-second-factor", |w, n| Request::put(json!({ "code": w.one_time_password(n) })).by(w.logged_in("log-in", n))),
    on("identity", "remove-second-factor", |w, n| Request::post(json!({ "password": NEW_PASSWORD })).by(w.logged_in("log-in", n))),
    first("identity", "enroll-second-factor", "second factor that is lost", |w, n| Request::post(json!({ "password": NEW_PASSWORD })).by(w.logged_in("log-in", n))),
    on("identity", "end-session", |w, n| Request::delete().at("session", &w.logged_in("log-in", n).session).by(w.logged_in("log-in", n))),
    on("identity", "invite-person", |_, n| Request::post(newcomer(INVITED, n, None)).by(registrar())),
    on("identity", "accept-invitation", |w, n| Request::post(json!({ "token": w.invitation(n), "password": PASSWORD })).at("account", &w.text("invite-person", n, "account"))),
    on("identity", "request-password-reset", |_, n| Request::post(json!({ "login": credentials(INVITED, n, "")["login"] }))),
    on("identity", "reset-password", |w, n| Request::post(json!({ "token": w.password_reset(n), "password": NEW_PASSWORD })).at("account", &w.text("invite-person", n, "account"))),
    first("identity", "log-in", "log-in before log-out", |_, n| Request::post(credentials(INVITED, n, NEW_PASSWORD))),
    on("identity", "log-out", |w, n| Request::delete().by(w.logged_in("log-in before log-out", n))),
    first("identity", "log-in", "log-in before end-sessions", |_, n| Request::post(credentials(INVITED, n, NEW_PASSWORD))),
    on("identity", "end-sessions", |w, n| Request::delete().by(w.logged_in("log-in before end-sessions", n))),
    first("identity", "log-in", "log-in of the staff", |_, n| Request::post(credentials(INVITED, n, NEW_PASSWORD))),
    on("identity", "reset-second-factor", |w, n| Request::post(json!({ "reason": "The telephone was lost." })).at("person", &w.text("verify-email", n, "person")).by(as_administrator(w.logged_in("log-in of the staff", n)))),
    on("identity", "assign-role", |w, n| Request::post(json!({ "person": w.people[n], "role": "hr_officer" })).by(administrator())),
    on("identity", "read-roles", |w, n| Request::get().at("person", &w.people[n]).by(administrator())),
    on("identity", "end-role", |w, n| Request::delete().at("person", &w.people[n]).at("assignment", &w.id("assign-role", n)).by(administrator())),
    on("identity", "read-keys", |_, _| Request::get()),
    on("identity", "read-configuration", |_, _| Request::get()),
    on("identity", "read-profile", |w, n| Request::get().by(person(w.people[n]))),
    on("identity", "edit-profile", |w, n| Request::patch(json!({ "locale": "es" }), w.version("read-profile", n)).by(person(w.people[n]))),

    on("catalog", "create-term", |_, n| Request::post(term(n)).by(registrar())),
    on("catalog", "read-term", |w, n| Request::get().at("term", &w.id("create-term", n)).by(student(1))),
    on("catalog", "list-terms", |_, _| Request::get().by(student(1))),
    on("catalog", "edit-term", |w, n| Request::patch(json!({ "title": "Spring again" }), 1).at("term", &w.id("create-term", n)).by(registrar())),
    on("catalog", "create-program", |_, n| Request::post(json!({ "code": format!("P{n}"), "title": "Bachelor", "department": DEPARTMENT, "credits_required_hundredths": 18_000 })).by(registrar())),
    on("catalog", "read-program", |w, n| Request::get().at("program", &w.id("create-program", n)).by(student(1))),
    on("catalog", "list-programs", |_, _| Request::get().by(student(1))),
    on("catalog", "edit-program", |w, n| Request::patch(json!({ "title": "Bachelor of Science" }), 1).at("program", &w.id("create-program", n)).by(registrar())),
    on("catalog", "create-course", |_, n| Request::post(course(n)).by(registrar())),
    on("catalog", "read-course", |w, n| Request::get().at("course", &w.id("create-course", n)).by(student(1))),
    on("catalog", "list-courses", |_, _| Request::get().by(student(1))),
    on("catalog", "edit-course", |w, n| Request::patch(json!({ "effective_from": "2028-01-01", "title": "Analysis" }), 1).at("course", &w.id("create-course", n)).by(registrar())),
    on("catalog", "create-section", |w, n| Request::post(section_of(&w.term, &w.course, n)).by(registrar())),
    on("catalog", "read-section", |w, n| Request::get().at("section", &w.id("create-section", n)).by(student(1))),
    on("catalog", "list-sections", |w, _| Request::get().query("term", &w.term).by(student(1))),
    on("catalog", "edit-section", |w, n| Request::patch(json!({ "capacity": 31 }), 1).at("section", &w.id("create-section", n)).by(registrar())),
    on("catalog", "read-clashes", |w, n| Request::get().at("section", &w.id("create-section", n)).by(registrar())),
    on("catalog", "move-section", |w, n| Request::post(json!({ "to": "suspended", "reason": "No teacher yet." })).at("section", &w.id("create-section", n)).by(registrar())),
    on("catalog", "cancel-section", |w, n| Request::post(json!({ "reason": "No teacher at all." })).at("section", &w.id("create-section", n)).by(registrar())),
    first("catalog", "create-section", "lecture", |w, n| Request::post(part(&w.term, &w.course, "lecture", n)).by(registrar())),
    first("catalog", "create-section", "lab", |w, n| Request::post(part(&w.term, &w.course, "lab", n)).by(registrar())),
    on("catalog", "create-registration-group", |w, n| Request::post(json!({ "code": format!("G{n}"), "sections": [w.id("lecture", n), w.id("lab", n)] })).by(registrar())),
    on("catalog", "list-registration-groups", |w, _| Request::get().query("term", &w.term).by(student(1))),
    on("catalog", "cancel-registration-group", |w, n| Request::post(Value::Null).at("group", &w.id("create-registration-group", n)).by(registrar())),
    on("catalog", "create-cross-list", |w, n| Request::post(json!({ "code": format!("X{n}"), "term": w.term, "capacity": 40, "sections": [w.id("lecture", n), w.id("lab", n)] })).by(registrar())),
    on("catalog", "list-cross-lists", |w, _| Request::get().query("term", &w.term).by(registrar())),
    on("catalog", "edit-cross-list", |w, n| Request::patch(json!({ "capacity": 41 }), 1).at("cross_list", &w.id("create-cross-list", n)).by(registrar())),
    first("catalog", "create-term", "next term", |w, n| Request::post(planned_term(w.calls + 1 + n)).by(registrar())),
    on("catalog", "create-rollover", |w, n| Request::post(json!({ "from": w.term, "to": w.id("next term", n) })).by(registrar())),
    on("catalog", "read-rollover", |w, n| Request::get().at("rollover", &w.id("create-rollover", n)).by(registrar())),
    on("catalog", "start-rollover", |w, n| Request::post(Value::Null).at("rollover", &w.id("create-rollover", n)).by(registrar())),
    on("catalog", "move-term", |w, n| Request::post(json!({ "to": "closed" })).at("term", &w.id("create-term", n)).by(registrar())),
    on("catalog", "retire-course", |w, n| Request::post(json!({ "from": "2029-01-01" })).at("course", &w.id("create-course", n)).by(registrar())),
    on("catalog", "read-calendar", |_, _| Request::get().by(student(1))),
    on("catalog", "edit-calendar", |_, n| Request::patch(json!({ "ways": [{ "from": "North", "to": "South", "minutes": 1 + n % 50 }] }), n as u64).by(registrar())),

    on("enrollment", "submit", |_, n| Request::post(cart(&offered())).by(student(n))),
    on("enrollment", "read-submission", |w, n| Request::get().at("submission", &w.confirmed[n].submission).by(w.confirmed[n].student())),
    on("enrollment", "read-registration", |w, n| Request::get().at("registration", &w.confirmed[n].registration).by(w.confirmed[n].student())),
    on("enrollment", "list-registrations", |w, n| Request::get().by(w.confirmed[n].student())),
    on("enrollment", "drop-registration", |w, n| Request::post(Value::Null).at("registration", &w.confirmed[n].registration).by(w.confirmed[n].student())),
    on("enrollment", "list-approvals", |_, _| Request::get().query("department", &DEPARTMENT).by(registrar())),
    on("enrollment", "decide-approval", |w, n| Request::post(json!({ "decision": "approve" })).at("approval", &w.waiting[n].approval()).by(registrar())),
    on("enrollment", "list-parked-bundles", |_, _| Request::get().by(registrar())),
    on("enrollment", "place-hold", |_, n| Request::post(json!({ "kind": "academic", "reason": "Papers are missing." })).at("student", &student_id(n)).by(registrar())),
    on("enrollment", "list-holds", |_, n| Request::get().at("student", &student_id(n)).by(student(n))),
    on("enrollment", "lift-hold", |w, n| Request::post(json!({ "reason": "They came." })).at("student", &student_id(n)).at("hold", &w.id("place-hold", n)).by(registrar())),
    on("enrollment", "set-student-record", |_, n| Request::put(json!({ "record": {} })).at("student", &student_id(n)).by(registrar())),
    on("enrollment", "read-student-record", |_, n| Request::get().at("student", &student_id(n)).by(student(n))),
    on("enrollment", "resume-bundle", |w, n| Request::post(json!({ "submission": w.parked[n].submission })).at("bundle", &w.parked[n].bundle).by(registrar())),

    on("billing", "set-price-group", |_, n| Request::put(json!({ "per_credit": francs(n as u64 + 1) })).at("price_group", &PRICE_GROUP).by(bursar())),
    on("billing", "list-price-groups", |_, _| Request::get().by(student(1))),
    on("billing", "set-tuition", |_, n| Request::put(json!({ "rules": tuition() })).at("term", &term_id(n)).by(bursar())),
    on("billing", "read-tuition", |_, n| Request::get().at("term", &term_id(n)).by(bursar())),
    on("billing", "set-student-population", |_, n| Request::put(json!({ "population": { "level": "first" } })).at("student", &student_id(n)).by(bursar())),
    on("billing", "read-student-population", |_, n| Request::get().at("student", &student_id(n)).by(bursar())),
    on("billing", "preview-tuition", |_, n| Request::post(json!({ "term": offered().term.id, "sections": [offered().section] })).by(student(n))),
    on("billing", "read-invoice", |w, n| Request::get().at("invoice", &w.invoices[n]).by(student(n))),
    on("billing", "list-invoices", |_, n| Request::get().by(student(n))),
    on("billing", "record-payment", |_, n| Request::post(json!({ "student": student_id(n), "amount": francs(1_000), "channel": "cash", "reference": format!("R{n}") })).by(bursar())),
    on("billing", "reallocate-payment", |w, n| Request::post(json!({ "invoice": w.invoices[n] })).at("payment", &w.id("record-payment", n)).by(bursar())),
    on("billing", "start-payment", |w, n| Request::post(json!({ "invoice": w.invoices[n], "payment_method": "pm_card_visa" })).by(student(n))),
    on("billing", "read-payment", |w, n| Request::get().at("payment", &w.id("start-payment", n)).by(student(n))),
    on("billing", "receive-webhook", World::webhook),
    first("billing", "record-payment", "surplus", |_, n| Request::post(json!({ "student": student_id(n), "amount": francs(500), "channel": "cash", "reference": format!("S{n}") })).by(bursar())),
    on("billing", "refund-payment", |w, n| Request::post(json!({ "amount": francs(500), "reason": "Paid twice." })).at("payment", &w.id("surplus", n)).by(bursar())),
    on("billing", "read-account", |_, n| Request::get().by(student(n))),
    on("billing", "list-suspense-items", |_, _| Request::get().by(bursar())),
    on("billing", "start-tuition-run", |_, n| Request::post(json!({ "term": term_id(n), "dry_run": true })).by(bursar())),
    on("billing", "read-tuition-run", |w, n| Request::get().at("tuition_run", &w.id("start-tuition-run", n)).by(bursar())),
    on("billing", "start-ledger-proof", |_, _| Request::post(Value::Null).by(bursar())),
    on("billing", "read-ledger-proof", |_, _| Request::get().by(bursar())),
    on("billing", "close-posting-period", |_, n| Request::post(Value::Null).at("period", &month(n)).by(bursar())),
    on("billing", "read-posting-periods", |_, _| Request::get().by(bursar())),
    on("billing", "reopen-posting-period", |w, n| Request::post(Value::Null).at("period", &month(w.calls - 1 - n)).by(bursar())),

    on("moodle", "set-site", |w, n| Request::put(json!({ "settings": moodle_site(w.moodle.url(), n) })).at("site", &format!("site-{n}")).by(administrator())),
    on("moodle", "read-site", |_, n| Request::get().at("site", &format!("site-{n}")).by(administrator())),
    on("moodle", "list-sites", |_, _| Request::get().by(administrator())),
    on("moodle", "check-site", |_, n| Request::post(Value::Null).at("site", &format!("site-{n}")).by(administrator())),
    on("moodle", "replay-site", |_, n| Request::post(json!({ "everything": true })).at("site", &format!("site-{n}")).by(administrator())),
    on("moodle", "list-stuck-work", |_, n| Request::get().at("site", &format!("site-{n}")).by(administrator())),
    on("moodle", "read-accounts", |_, n| Request::get().at("person", &student_id(n)).by(administrator())),

    on("notifications", "list-messages", |_, n| Request::get().by(student(n))),

    on("operations", "create-import", |_, _| Request::post(json!({ "file_name": "university.zip" })).by(registrar())),
    on("operations", "read-import", |w, n| Request::get().at("import", &w.id("create-import", n)).by(registrar())),
    on("operations", "start-import", |w, n| Request::post(Value::Null).at("import", &w.id("create-import", n)).by(registrar())),
    on("operations", "list-import-report", |w, n| Request::get().at("import", &w.id("create-import", n)).by(registrar())),
    on("operations", "openapi", |_, _| Request::get()),
    on("operations", "api-page", |_, _| Request::get()),
    on("operations", "health", |_, _| Request::get()),
    on("operations", "readiness", |_, _| Request::get()),
];
