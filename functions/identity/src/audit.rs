//! What identity notes in the audit trail. Each person has a chain; what lies in it is told with their values in full.

use table::Noted;

use crate::domain::{Person, RoleAssignment, Validity};

/// A profile that has come to be, or has changed.
pub fn profile(old: Option<&Person>, new: &Person) -> Noted {
    let given = |person: &Person| person.name.given.clone();
    let family = |person: &Person| person.name.family.clone();
    let email = |person: &Person| person.email.as_ref().map(|email| email.as_str().to_owned());
    let language = |person: &Person| format!("{:?}", person.locale).to_lowercase();
    let student_number = |person: &Person| person.student_number.clone();
    let staff_number = |person: &Person| person.staff_number.clone();
    Noted::change("profile")
        .field("given_name", old.map(given), Some(given(new)))
        .field("family_name", old.map(family), Some(family(new)))
        .field("email", old.and_then(email), email(new))
        .field("locale", old.map(language), Some(language(new)))
        .field("student_number", old.and_then(student_number), student_number(new))
        .field("staff_number", old.and_then(staff_number), staff_number(new))
        .field("account", old.and_then(|old| old.account), new.account)
}

/// A role that a person holds from now on.
pub fn assigned(role: &RoleAssignment) -> Noted {
    let Validity { valid_from, valid_to } = role.validity;
    Noted::change(format!("role/{}", role.id))
        .field("role", None, Some(role.role.name()))
        .field("department", None, role.department.as_deref())
        .field("valid_from", None, valid_from)
        .field("valid_to", None, valid_to)
}

/// A role that a person holds no longer.
pub fn ended(role: &RoleAssignment) -> Noted {
    Noted::change(format!("role/{}", role.id))
        .field("role", Some(role.role.name()), None)
        .field("department", role.department.as_deref(), None)
        .field("valid_to", None, role.validity.valid_to)
}

/// Roles that came with something else, such as an import.
pub fn with_roles(noted: Noted, roles: &[RoleAssignment]) -> Noted {
    roles.iter().fold(noted, |noted, role| {
        let department = role.department.as_ref().map(|department| format!(" in {department}"));
        let text = format!("{}{}", role.role.name(), department.unwrap_or_default());
        noted.field("role", None, Some(text))
    })
}
