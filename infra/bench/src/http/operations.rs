//! The operations that are measured, one line each: context, operation, and its request number `n`, which
//! differs from
//! all others where the operation may be carried out once only.

use serde_json::{Value, json};

use super::world::{DEPARTMENT, PRICE_GROUP, World, course, section_of, term};
use crate::requests::{Request, bursar, person, registrar, student};

pub struct Operation {
    pub context: &'static str,
    pub name: &'static str,
    pub request: fn(&World, usize) -> Request,
}

const fn on(
    context: &'static str,
    name: &'static str,
    request: fn(&World, usize) -> Request,
) -> Operation {
    Operation { context, name, request }
}

/// In this order: what comes first fills the lists that come later.
#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    on("identity", "read-profile", |w, n| Request::get().by(person(w.people[n]))),
    on("identity", "edit-profile", |w, n| Request::patch(json!({ "locale": "es" })).by(person(w.people[n])).header("if-match", &"\"1\"")),
    on("catalog", "create-term", |_, n| Request::post(term(n)).by(registrar())),
    on("catalog", "read-term", |w, _| Request::get().at("term", &w.term).by(student(1))),
    on("catalog", "list-terms", |_, _| Request::get().by(student(1))),
    on("catalog", "create-course", |_, n| Request::post(course(n)).by(registrar())),
    on("catalog", "read-course", |w, _| Request::get().at("course", &w.course).by(student(1))),
    on("catalog", "list-courses", |_, _| Request::get().by(student(1))),
    on("catalog", "create-section", |w, n| Request::post(section_of(&w.term, &w.course, n)).by(registrar())),
    on("catalog", "read-section", |w, _| Request::get().at("section", &w.section).by(student(1))),
    on("catalog", "list-sections", |w, _| Request::get().query("term", &w.term).by(student(1))),
    on("enrollment", "submit", |w, n| Request::post(w.cart()).by(student(n))),
    on("enrollment", "read-submission", |w, n| Request::get().at("submission", &w.confirmed[n].submission).by(w.confirmed[n].student())),
    on("enrollment", "read-registration", |w, n| Request::get().at("registration", &w.confirmed[n].registration).by(w.confirmed[n].student())),
    on("enrollment", "list-registrations", |w, n| Request::get().by(w.confirmed[n].student())),
    on("enrollment", "drop-registration", |w, n| Request::post(Value::Null).at("registration", &w.confirmed[n].registration).by(w.confirmed[n].student())),
    on("enrollment", "list-approvals", |_, _| Request::get().query("department", &DEPARTMENT).by(registrar())),
    on("enrollment", "decide-approval", |w, n| Request::post(json!({ "decision": "approve" })).at("approval", &w.waiting[n].approval()).by(registrar())),
    on("enrollment", "list-parked-bundles", |_, _| Request::get().by(registrar())),
    on("enrollment", "resume-bundle", |w, n| Request::post(json!({ "submission": w.parked[n].submission })).at("bundle", &w.parked[n].bundle).by(registrar())),
    on("billing", "set-price-group", |_, n| Request::put(json!({ "per_credit": { "minor": n + 1, "currency": "EUR" } })).at("price_group", &PRICE_GROUP).by(bursar())),
    on("billing", "list-price-groups", |_, _| Request::get().by(student(1))),
    on("billing", "read-invoice", |w, n| Request::get().at("invoice", &w.invoices[n]).by(student(n))),
    on("billing", "list-invoices", |_, n| Request::get().by(student(n))),
    on("billing", "list-suspense-items", |_, _| Request::get().by(bursar())),
    on("notifications", "list-messages", |_, n| Request::get().by(student(n))),
    on("operations", "readiness", |_, _| Request::get()),
];
