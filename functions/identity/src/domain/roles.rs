//! The roles that a person holds.

use kernel::{Id, PersonId, RoleAssignmentId, Timestamp};
use serde::{Deserialize, Serialize};
use shell::{Grant, Role};

use super::{Refusal, Session};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAssignment {
    pub id: RoleAssignmentId,
    pub role: Role,
    pub department: Option<String>,
    pub assigned_at: Timestamp,
    /// Absent where no person did it: an operator, an import, or the proof of an address.
    pub assigned_by: Option<PersonId>,
}

/// All roles of one person, which are read and written together: they go into every token as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    pub person: PersonId,
    pub assignments: Vec<RoleAssignment>,
}

/// Whom a second factor is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorPolicy {
    /// Of those who have enrolled one.
    Optional,
    RequiredOfStaff,
}

/// What came of an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assigned {
    Now(RoleAssignment),
    Before(RoleAssignment),
}

impl Roles {
    /// They travel in the token of every request.
    pub const ASSIGNMENTS_MAX: usize = 32;

    pub fn none_of(person: PersonId) -> Self {
        Self { person, assignments: Vec::new() }
    }

    /// Gives a role. Given again, it stays as it is.
    pub fn assign(
        &mut self,
        role: Role,
        department: Option<String>,
        assigned_by: Option<PersonId>,
        now: Timestamp,
    ) -> Result<Assigned, Refusal> {
        check_department(role, department.as_deref())?;
        let within = department.as_deref().unwrap_or("-");
        let id =
            RoleAssignmentId::derived_from(&format!("{}#{}#{within}", self.person, role.name()));
        if let Some(standing) = self.assignments.iter().find(|standing| standing.id == id) {
            return Ok(Assigned::Before(standing.clone()));
        }
        if self.assignments.len() == Self::ASSIGNMENTS_MAX {
            return Err(Refusal::TooManyRoles);
        }
        let assignment = RoleAssignment { id, role, department, assigned_at: now, assigned_by };
        self.assignments.push(assignment.clone());
        Ok(Assigned::Now(assignment))
    }

    pub fn grants(&self) -> Vec<Grant> {
        let grant = |assignment: &RoleAssignment| Grant {
            role: assignment.role,
            department: assignment.department.clone(),
        };
        self.assignments.iter().map(grant).collect()
    }

    /// What counts in a session: where the staff need a second factor, it gives no role of the staff without one.
    pub fn grants_in(&self, session: &Session, policy: SecondFactorPolicy) -> Vec<Grant> {
        let mut grants = self.grants();
        if policy == SecondFactorPolicy::RequiredOfStaff && !session.passed_second_factor {
            grants.retain(|grant| grant.role == Role::Student);
        }
        grants
    }

    /// Whether the person is more than a student.
    pub fn are_of_staff(&self) -> bool {
        self.assignments.iter().any(|assignment| assignment.role != Role::Student)
    }

    /// The department that goes with a role, where one is told for a whole person.
    pub fn department_for(role: Role, department: Option<&str>) -> Option<String> {
        match role {
            Role::HeadOfDepartment | Role::Teacher => department.map(str::to_owned),
            Role::Student | Role::Registrar | Role::Bursar | Role::Administrator => None,
        }
    }
}

fn check_department(role: Role, department: Option<&str>) -> Result<(), Refusal> {
    match (role, department) {
        (Role::HeadOfDepartment, None) => Err(Refusal::DepartmentRequired),
        (Role::HeadOfDepartment | Role::Teacher, _) | (_, None) => Ok(()),
        (Role::Student | Role::Registrar | Role::Bursar | Role::Administrator, Some(_)) => {
            Err(Refusal::DepartmentNotExpected)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> Roles {
        Roles::none_of(testkit::person("ada"))
    }

    #[test]
    fn a_role_given_twice_is_held_once() {
        let mut roles = roles();
        let first = roles.assign(Role::Teacher, Some("MATH".into()), None, testkit::now());
        let Ok(Assigned::Now(assignment)) = first else { panic!("not assigned: {first:?}") };
        let again = roles.assign(Role::Teacher, Some("MATH".into()), None, testkit::now());
        assert_eq!(again, Ok(Assigned::Before(assignment)));
        roles.assign(Role::Teacher, Some("PHYS".into()), None, testkit::now()).expect("assigned");
        roles.assign(Role::Teacher, None, None, testkit::now()).expect("assigned");
        assert_eq!(roles.grants().len(), 3);
    }

    #[test]
    fn a_department_goes_with_the_roles_that_reach_as_far_as_one() {
        let assign =
            |role, department| roles().assign(role, department, None, testkit::now()).err();
        let math = || Some("MATH".to_owned());
        assert_eq!(assign(Role::HeadOfDepartment, None), Some(Refusal::DepartmentRequired));
        assert_eq!(assign(Role::HeadOfDepartment, math()), None);
        assert_eq!(assign(Role::Bursar, math()), Some(Refusal::DepartmentNotExpected));
        for role in Role::ALL {
            let department = Roles::department_for(role, Some("MATH"));
            assert_eq!(assign(role, department), None, "{role:?}");
        }
    }

    #[test]
    fn the_roles_of_a_person_are_bounded() {
        let mut roles = roles();
        for number in 0..Roles::ASSIGNMENTS_MAX {
            let department = Some(format!("D{number}"));
            roles.assign(Role::Teacher, department, None, testkit::now()).expect("assigned");
        }
        let one_more = roles.assign(Role::Student, None, None, testkit::now());
        assert_eq!(one_more, Err(Refusal::TooManyRoles));
    }
}
