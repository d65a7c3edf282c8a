//! Who may do what, at the gateway: the whole table of routes is walked without a token and with a student's.

use shell::{Access, HttpOperation, Role, Route};
use tests::contexts::http_operations;

use crate::api::{Api, Call, unique};
use crate::people::newcomer;

/// Stands for any record: whoever may not call learns nothing of it.
const SOMETHING: &str = "something";

#[test]
fn without_a_token_every_door_but_the_public_ones_is_shut() {
    let mut shut = 0;
    for HttpOperation { context, route, .. } in http_operations() {
        if route.access == Access::Public {
            continue;
        }
        let reply = call(&Api::anonymous(), &route).send();
        let operation = route.operation;
        assert_eq!(reply.status, 401, "{context}-{operation} without a token: {reply:?}");
        shut += 1;
    }
    assert!(shut > 20, "only {shut} doors were tried");
}

#[test]
fn a_student_is_refused_where_only_the_staff_may_enter() {
    let student = newcomer("Anja");
    let mut refused = 0;
    for HttpOperation { route, .. } in http_operations() {
        let Access::Roles(allows) = route.access else { continue };
        if allows.iter().any(|allow| allow.role == Role::Student) {
            continue;
        }
        call(&student.api, &route).send().expect_refusal(403, "FORBIDDEN");
        refused += 1;
    }
    assert!(refused > 10, "only {refused} doors were tried");
}

#[test]
fn everybody_else_may_enter_where_their_role_is_listed() {
    let staff = crate::people::staff();
    let people = [
        (Role::Administrator, &staff.administrator),
        (Role::Registrar, &staff.registrar),
        (Role::Bursar, &staff.bursar),
        (Role::HeadOfDepartment, &staff.head),
    ];
    for HttpOperation { route, .. } in http_operations() {
        let Access::Roles(allows) = route.access else { continue };
        for (role, person) in people {
            // Everybody on the staff came as a student, and is one still.
            let enters = |allow: &shell::Allow| allow.role == role || allow.role == Role::Student;
            let reply = call(&person.api, &route).send();
            let may = allows.iter().any(enters);
            let operation = route.operation;
            // Somebody else's department is behind the door.
            let is_shut = reply.status == 403 && reply.body["code"] == "FORBIDDEN";
            assert_eq!(!is_shut, may, "{operation} for the {}: {reply:?}", role.name());
            assert!(reply.status < 500, "{operation} for the {}: {reply:?}", role.name());
        }
    }
}

fn call(api: &Api, route: &Route) -> Call {
    let path = route
        .path_parameters()
        .fold(route.path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), SOMETHING));
    let call = api.call(route.method.name(), &path).key(&unique("door"));
    // Never well-formed, so that nothing happens where somebody may enter.
    if route.method.name() == "GET" { call } else { call.text("application/json", "{\"not\": 1}") }
}
