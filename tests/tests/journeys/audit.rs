//! What the staff do is noted, whoever reads the notes is noted too, and an operator proves that nobody has changed
//! them.

use serde_json::{Value, json};

use crate::cloud;
use crate::people::{newcomer, staff};

#[test]
fn a_role_that_was_given_stands_in_the_trail_which_proves_whole() {
    let (staff, person) = (staff(), newcomer("Lena"));
    let order = json!({ "person": person.id, "role": "hr_officer" });
    let role = staff.administrator.api.post("/role-assignments", &order).expect(201).text("/id");
    let path = format!("/people/{}/audit-trail", person.id);
    staff.registrar.api.get(&path).expect_refusal(403, "FORBIDDEN");
    person.api.get(&path).expect_refusal(403, "FORBIDDEN");
    let trail = staff.administrator.api.get(&path).expect(200).body;
    let entry = |number: usize, field: &str| trail["items"][number][field].clone();
    let operations = [0, 1, 2].map(|number| entry(number, "operation"));
    assert_eq!(operations, ["read-audit-trail", "assign-role", "verify-email"], "{trail}");
    assert_eq!(entry(1, "actor"), json!(staff.administrator.id));
    assert_eq!(entry(1, "record"), json!(format!("role/{role}")));
    assert_eq!(
        entry(1, "changes")[0],
        json!({ "field": "role", "old": null, "new": "hr_officer" })
    );
    assert_eq!(entry(0, "previous"), entry(1, "hash"));
    let proof = cloud::invoke("identity-prove-audit-trail", &json!({ "chain": person.id }));
    assert_eq!((&proof["entries"], &proof["broken"]), (&json!(3), &json!([])), "{proof}");
}

#[test]
fn what_an_office_decides_about_a_student_stands_in_the_trail_of_its_context() {
    let (staff, student) = (staff(), newcomer("Lovisa"));
    let hold = json!({ "kind": "academic", "reason": "a journey" });
    staff.registrar.api.post(&format!("/students/{}/holds", student.id), &hold).expect(201);
    let path = format!("/enrollment-audit-trail?subject={}", student.id);
    staff.registrar.api.get(&path).expect_refusal(403, "FORBIDDEN");
    let trail = staff.administrator.api.get(&path).expect(200).body;
    let entry = |number: usize, field: &str| trail["items"][number][field].clone();
    let operations = [0, 1].map(|number| entry(number, "operation"));
    assert_eq!(operations, ["list-audit-entries", "place-hold"], "{trail}");
    assert_eq!(entry(1, "actor"), json!(staff.registrar.id));
    let proof = cloud::invoke("enrollment-prove-audit-trail", &json!({ "chain": student.id }));
    assert_eq!((&proof["entries"], &proof["broken"]), (&json!(2), &json!([])), "{proof}");
}

#[test]
fn all_chains_of_the_cloud_are_whole() {
    newcomer("Louis");
    for context in ["identity", "enrollment", "billing", "moodle"] {
        prove_all(&format!("{context}-prove-audit-trail"));
    }
}

fn prove_all(function: &str) {
    let mut question = json!({ "chain": "all" });
    for _ in 0..20 {
        let proof = cloud::invoke(function, &question);
        assert_eq!(proof["broken"], json!([]), "{proof}");
        if proof["resume"] == Value::Null {
            return;
        }
        question["resume"] = proof["resume"].clone();
    }
    panic!("{function} comes to no end");
}
