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
    #[serde(flatten)]
    pub validity: Validity,
    /// How often the others were told that it is given, or is given for another time.
    #[serde(default = "once")]
    pub told: u64,
    /// Whether they are still to be told that it has begun, or is over, by its date.
    #[serde(default)]
    awaits_begin: bool,
    #[serde(default)]
    awaits_end: bool,
}

fn once() -> u64 {
    1
}

/// From when and until when a role is held; without bounds where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Validity {
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
    #[serde(default)]
    pub valid_to: Option<Timestamp>,
}

impl Validity {
    pub fn is_at(self, now: Timestamp) -> bool {
        self.has_begun(now) && !self.is_over(now)
    }

    fn is_over(self, now: Timestamp) -> bool {
        self.valid_to.is_some_and(|to| to <= now)
    }

    fn has_begun(self, now: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= now)
    }

    fn check(self, now: Timestamp) -> Result<(), Refusal> {
        let is_upside_down =
            self.valid_from.zip(self.valid_to).is_some_and(|(from, to)| to <= from);
        if self.is_over(now) || is_upside_down { Err(Refusal::ValidityInvalid) } else { Ok(()) }
    }
}

impl RoleAssignment {
    /// Other dates for one that is not over; what is left out stays as it is, and so does a beginning that is past.
    fn redate(&mut self, told: Validity, now: Timestamp) -> Result<Assigned, Refusal> {
        let standing = self.validity;
        let next = Validity {
            valid_from: told.valid_from.or(standing.valid_from),
            valid_to: told.valid_to.or(standing.valid_to),
        };
        if next == standing {
            return Ok(Assigned::Before(self.clone()));
        }
        if standing.has_begun(now) && next.valid_from != standing.valid_from {
            return Err(Refusal::RoleBegun);
        }
        next.check(now)?;
        let before = self.clone();
        self.validity = next;
        self.told += 1;
        self.await_dates(now);
        Ok(Assigned::Redated { before, now: self.clone() })
    }

    fn await_dates(&mut self, now: Timestamp) {
        self.awaits_begin = !self.validity.has_begun(now);
        self.awaits_end = self.validity.valid_to.is_some();
    }

    /// The next of its dates that the others are to be told of.
    fn next_date(&self) -> Option<Timestamp> {
        let Validity { valid_from, valid_to } = self.validity;
        let begin = valid_from.filter(|_| self.awaits_begin);
        begin.into_iter().chain(valid_to.filter(|_| self.awaits_end)).min()
    }
}

/// Whom somebody may give a role, or take it from, by the roles they hold themselves.
pub fn check_giver(giver: &[Grant], role: Role) -> Result<(), Refusal> {
    let gives = |grant: &Grant| match grant.role {
        Role::Administrator => true,
        Role::HrOfficer => matches!(role, Role::Teacher | Role::HeadOfDepartment),
        _ => false,
    };
    if giver.iter().any(gives) { Ok(()) } else { Err(Refusal::RoleNotYours) }
}

/// Whom somebody may register: a registrar students, and others those to whom they may give a role.
pub fn check_registrar(giver: &[Grant], role: Role) -> Result<(), Refusal> {
    let registers_students = giver.iter().any(|grant| grant.role == Role::Registrar);
    if registers_students && role == Role::Student { Ok(()) } else { check_giver(giver, role) }
}

/// Whose second factor somebody may take away: an administrator anybody's, others that of students alone.
pub fn check_resetter(giver: &[Grant], roles: &Roles, now: Timestamp) -> Result<(), Refusal> {
    let is_administrator = giver.iter().any(|grant| grant.role == Role::Administrator);
    if is_administrator || roles.are_of_a_student_alone(now) {
        Ok(())
    } else {
        Err(Refusal::NotAStudent)
    }
}

/// Who may say by what else somebody signs in, which is as good as their password: an administrator alone, whoever it
/// is about, since a student, or who is nothing yet, may be of the staff tomorrow. People link theirs themselves.
pub fn check_opener(giver: &[Grant]) -> Result<(), Refusal> {
    let is_administrator = giver.iter().any(|grant| grant.role == Role::Administrator);
    if is_administrator { Ok(()) } else { Err(Refusal::SignInIdNotYours) }
}

/// Who may change the address of somebody without an account, who will open it by that: whoever may give them what
/// they hold.
pub fn check_addresser(giver: &[Grant], roles: &Roles, now: Timestamp) -> Result<(), Refusal> {
    roles.standing(now).try_for_each(|held| check_registrar(giver, held.role))
}

/// Whose address an import may change, as long as they have no account: that of people who neither are nor will be more
/// than what an import makes of somebody.
pub fn check_imported_address(roles: &Roles, now: Timestamp) -> Result<(), Refusal> {
    let is_of_import = |held: &RoleAssignment| matches!(held.role, Role::Student | Role::Teacher);
    if roles.standing(now).all(is_of_import) { Ok(()) } else { Err(Refusal::EmailOfStaff) }
}

/// All roles of one person, which are read and written together: they go into every token as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    pub person: PersonId,
    pub assignments: Vec<RoleAssignment>,
    /// How many were ever made, those that are forgotten among them.
    #[serde(default)]
    pub assigned: u64,
    /// The date for which they stand on the schedule.
    #[serde(default)]
    pub next_date: Option<Timestamp>,
}

/// A date by which a role of somebody begins or ends, of which the others are told then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDate {
    pub at: Timestamp,
    pub person: PersonId,
}

/// What has come of a role by its date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByDate {
    Begun(RoleAssignment),
    Ended(RoleAssignment),
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
    /// It was held already, or was going to be, and has other dates now.
    Redated {
        before: RoleAssignment,
        now: RoleAssignment,
    },
}

impl Roles {
    /// They travel with every request.
    pub const ASSIGNMENTS_MAX: usize = 32;
    /// With those that are over.
    const REMEMBERED_MAX: usize = 64;

    pub fn none_of(person: PersonId) -> Self {
        Self { person, assignments: Vec::new(), assigned: 0, next_date: None }
    }

    /// Gives a role for as long as nobody ends it. Given again, it stays as it is.
    pub fn assign(
        &mut self,
        role: Role,
        department: Option<String>,
        assigned_by: Option<PersonId>,
        now: Timestamp,
    ) -> Result<Assigned, Refusal> {
        self.assign_for(Validity::default(), role, department, assigned_by, now)
    }

    /// Gives a role for a time. One that is held, or will be, gets the dates that are told; one that is over is given
    /// anew.
    pub fn assign_for(
        &mut self,
        validity: Validity,
        role: Role,
        department: Option<String>,
        assigned_by: Option<PersonId>,
        now: Timestamp,
    ) -> Result<Assigned, Refusal> {
        check_department(role, department.as_deref())?;
        validity.check(now)?;
        let is_same =
            |standing: &RoleAssignment| standing.role == role && standing.department == department;
        let mut same = self.assignments.iter_mut().filter(|standing| is_same(standing));
        if let Some(standing) = same.find(|standing| !standing.validity.is_over(now)) {
            return standing.redate(validity, now);
        }
        if self.standing(now).count() >= Self::ASSIGNMENTS_MAX {
            return Err(Refusal::TooManyRoles);
        }
        if self.assignments.len() >= Self::REMEMBERED_MAX {
            let is_over = |one: &RoleAssignment| one.validity.is_over(now);
            // Rather one of whose end the others know.
            let mut all = self.assignments.iter();
            let known = all.position(|one| is_over(one) && !one.awaits_end);
            let oldest = known.or_else(|| self.assignments.iter().position(is_over));
            self.assignments.remove(oldest.expect("no more than half of them are held"));
        }
        self.assigned += 1;
        // By its number: an id comes only once, whatever of the earlier ones is forgotten.
        let id = RoleAssignmentId::derived_from(&format!("{}#{}", self.person, self.assigned));
        let assigned_at = now;
        let mut assignment = RoleAssignment {
            id,
            role,
            department,
            assigned_at,
            assigned_by,
            validity,
            told: once(),
            awaits_begin: false,
            awaits_end: false,
        };
        assignment.await_dates(now);
        self.assignments.push(assignment.clone());
        Ok(Assigned::Now(assignment))
    }

    /// One that has begun or ended by its date, and was not told of yet.
    pub fn take_date(&mut self, now: Timestamp) -> Option<ByDate> {
        let take = |one: &mut RoleAssignment| {
            let has_ended = one.awaits_end && one.validity.is_over(now);
            let has_begun = one.awaits_begin && one.validity.has_begun(now);
            if has_ended {
                (one.awaits_begin, one.awaits_end) = (false, false);
                Some(ByDate::Ended(one.clone()))
            } else if has_begun {
                one.awaits_begin = false;
                one.told += 1;
                Some(ByDate::Begun(one.clone()))
            } else {
                None
            }
        };
        self.assignments.iter_mut().find_map(take)
    }

    /// The next date that the others are to be told of.
    pub fn date_to_come(&self) -> Option<Timestamp> {
        self.assignments.iter().filter_map(RoleAssignment::next_date).min()
    }

    /// Ends a role; none where it was over before.
    pub fn end(
        &mut self,
        id: RoleAssignmentId,
        now: Timestamp,
    ) -> Result<Option<RoleAssignment>, Refusal> {
        let assignment = self.assignments.iter_mut().find(|assignment| assignment.id == id);
        let assignment = assignment.ok_or(Refusal::RoleUnknown)?;
        if assignment.validity.is_over(now) {
            return Ok(None);
        }
        assignment.validity.valid_to = Some(now);
        (assignment.awaits_begin, assignment.awaits_end) = (false, false);
        Ok(Some(assignment.clone()))
    }

    /// What is held at this moment, or will be.
    fn standing(&self, now: Timestamp) -> impl Iterator<Item = &RoleAssignment> {
        self.assignments.iter().filter(move |held| !held.validity.is_over(now))
    }

    /// What is held at this moment.
    pub fn held(&self, now: Timestamp) -> impl Iterator<Item = &RoleAssignment> {
        let is_held =
            move |held: &&RoleAssignment| held.assigned_at <= now && held.validity.is_at(now);
        self.assignments.iter().filter(is_held)
    }

    pub fn grants(&self, now: Timestamp) -> Vec<Grant> {
        let grant = |assignment: &RoleAssignment| Grant {
            role: assignment.role,
            department: assignment.department.clone(),
        };
        self.held(now).map(grant).collect()
    }

    /// What counts in a session: where the staff need a second factor, it gives no role of the staff without one.
    pub fn grants_in(
        &self,
        session: &Session,
        policy: SecondFactorPolicy,
        now: Timestamp,
    ) -> Vec<Grant> {
        let mut grants = self.grants(now);
        if policy == SecondFactorPolicy::RequiredOfStaff && !session.passed_second_factor {
            grants.retain(|grant| grant.role == Role::Student);
        }
        grants
    }

    /// Whether the person is more than a student.
    pub fn are_of_staff(&self, now: Timestamp) -> bool {
        self.held(now).any(|assignment| assignment.role != Role::Student)
    }

    /// Whether the person is a student, and neither is nor will be anything else.
    fn are_of_a_student_alone(&self, now: Timestamp) -> bool {
        let is_student = |held: &RoleAssignment| held.role == Role::Student;
        self.held(now).next().is_some() && self.standing(now).all(is_student)
    }

    /// The department that goes with a role, where one is told for a whole person.
    pub fn department_for(role: Role, department: Option<&str>) -> Option<String> {
        match role {
            Role::HeadOfDepartment | Role::Teacher => department.map(str::to_owned),
            Role::Student
            | Role::Registrar
            | Role::Bursar
            | Role::HrOfficer
            | Role::Administrator => None,
        }
    }
}

fn check_department(role: Role, department: Option<&str>) -> Result<(), Refusal> {
    match (role, department) {
        (Role::HeadOfDepartment, None) => Err(Refusal::DepartmentRequired),
        (Role::HeadOfDepartment | Role::Teacher, _) | (_, None) => Ok(()),
        (
            Role::Student | Role::Registrar | Role::Bursar | Role::HrOfficer | Role::Administrator,
            Some(_),
        ) => Err(Refusal::DepartmentNotExpected),
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
        assert_eq!(roles.grants(testkit::now()).len(), 3);
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
    fn a_role_counts_from_its_beginning_until_its_end() {
        let mut roles = roles();
        let at = |hours| testkit::now() + jiff::SignedDuration::from_hours(hours);
        let validity = Validity { valid_from: Some(at(1)), valid_to: Some(at(3)) };
        let mut assign = |validity, now| roles.assign_for(validity, Role::Bursar, None, None, now);
        let Ok(Assigned::Now(first)) = assign(validity, at(0)) else { panic!("not assigned") };
        assert_eq!(assign(Validity::default(), at(2)), Ok(Assigned::Before(first.clone())));
        let Ok(Assigned::Now(second)) = assign(Validity::default(), at(3)) else {
            panic!("what is over is given anew")
        };
        assert_ne!(first.id, second.id);
        assert_eq!(roles.end(second.id, at(5)).map(|ended| ended.is_some()), Ok(true));
        assert_eq!(roles.end(second.id, at(6)), Ok(None));
        let held = [0, 1, 2, 3, 4, 5].map(|hours| roles.grants(at(hours)).len());
        assert_eq!(held, [0, 1, 1, 1, 1, 0]);
        let nothing = RoleAssignmentId::derived_from("nothing");
        assert_eq!(roles.end(nothing, at(6)), Err(Refusal::RoleUnknown));
    }

    #[test]
    fn another_end_prolongs_or_shortens_a_role_and_what_is_left_out_stays() {
        let at = |hours| testkit::now() + jiff::SignedDuration::from_hours(hours);
        let mut roles = roles();
        let mut assign = |valid_from, valid_to, now| {
            let validity = Validity { valid_from, valid_to };
            roles.assign_for(validity, Role::Bursar, None, None, now)
        };
        let Ok(Assigned::Now(first)) = assign(Some(at(1)), Some(at(4)), at(0)) else {
            panic!("not assigned")
        };
        let redated = |assigned: Result<Assigned, Refusal>| match assigned {
            Ok(Assigned::Redated { before, now }) => {
                assert_eq!((before.id, now.id, now.told), (first.id, first.id, before.told + 1));
                (now.validity.valid_from, now.validity.valid_to)
            }
            other => panic!("not redated: {other:?}"),
        };
        assert_eq!(redated(assign(Some(at(2)), None, at(0))), (Some(at(2)), Some(at(4))));
        assert_eq!(redated(assign(None, Some(at(9)), at(3))), (Some(at(2)), Some(at(9))));
        assert_eq!(redated(assign(None, Some(at(5)), at(3))), (Some(at(2)), Some(at(5))));
        for same in [(None, None), (Some(at(2)), None), (None, Some(at(5)))] {
            assert!(matches!(assign(same.0, same.1, at(3)), Ok(Assigned::Before(_))), "{same:?}");
        }
        assert_eq!(assign(Some(at(4)), None, at(3)), Err(Refusal::RoleBegun));
        assert_eq!(assign(None, Some(at(3)), at(3)), Err(Refusal::ValidityInvalid));
        let held = [1, 2, 4, 5].map(|hours| roles.grants(at(hours)).len());
        assert_eq!(held, [0, 1, 1, 0]);
    }

    #[test]
    fn each_date_is_told_once_and_none_where_somebody_ended_the_role_before() {
        let at = |hours| testkit::now() + jiff::SignedDuration::from_hours(hours);
        let mut roles = roles();
        let validity = Validity { valid_from: Some(at(1)), valid_to: Some(at(3)) };
        let mut assign = |role| {
            let Ok(Assigned::Now(new)) = roles.assign_for(validity, role, None, None, at(0)) else {
                panic!("not assigned")
            };
            new.id
        };
        let (bursar, registrar) = (assign(Role::Bursar), assign(Role::Registrar));
        roles.assign(Role::Student, None, None, at(0)).expect("assigned");
        assert_eq!((roles.date_to_come(), roles.take_date(at(0))), (Some(at(1)), None));
        for id in [bursar, registrar] {
            let begun = roles.take_date(at(1));
            let is_hers = |one: &RoleAssignment| (one.id, one.told) == (id, 2);
            assert!(matches!(&begun, Some(ByDate::Begun(one)) if is_hers(one)), "{begun:?}");
        }
        assert_eq!((roles.date_to_come(), roles.take_date(at(2))), (Some(at(3)), None));
        roles.end(registrar, at(2)).expect("ends");
        let ended = roles.take_date(at(4));
        assert!(matches!(&ended, Some(ByDate::Ended(one)) if one.id == bursar), "{ended:?}");
        assert_eq!((roles.date_to_come(), roles.take_date(at(5))), (None, None));
    }

    #[test]
    fn a_time_that_is_over_before_it_begins_is_refused() {
        let at = |hours| Some(testkit::now() + jiff::SignedDuration::from_hours(hours));
        for (valid_from, valid_to) in [(at(2), at(1)), (None, at(-1)), (at(1), at(1))] {
            let validity = Validity { valid_from, valid_to };
            let refused = roles().assign_for(validity, Role::Student, None, None, testkit::now());
            assert_eq!(refused, Err(Refusal::ValidityInvalid));
        }
    }

    #[test]
    fn roles_that_are_over_are_forgotten_one_day_and_their_ids_never_come_again() {
        let mut roles = roles();
        let mut ids = std::collections::BTreeSet::new();
        for hour in 0..200 {
            let now = testkit::now() + jiff::SignedDuration::from_hours(hour);
            let assigned = roles.assign(Role::Bursar, None, None, now);
            let Ok(Assigned::Now(new)) = assigned else { panic!("not assigned: {assigned:?}") };
            roles.end(new.id, now).expect("ends");
            assert!(ids.insert(new.id), "{} came again in hour {hour}", new.id);
        }
        assert!(roles.assignments.len() <= Roles::REMEMBERED_MAX);
    }

    #[test]
    fn who_is_no_administrator_gives_no_role_but_an_hr_officer_those_of_teachers() {
        for giver in Role::ALL {
            let grants = [Grant { role: giver, department: None }];
            let given: Vec<_> =
                Role::ALL.into_iter().filter(|role| check_giver(&grants, *role).is_ok()).collect();
            match giver {
                Role::Administrator => assert_eq!(given, Role::ALL),
                Role::HrOfficer => assert_eq!(given, [Role::Teacher, Role::HeadOfDepartment]),
                _ => assert_eq!(given, [], "{giver:?}"),
            }
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
