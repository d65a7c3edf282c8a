//! What should stand in a site, as follows from what is known: the account of a person, the course of a section, the
//! enrolment of a student.

use std::collections::BTreeSet;

use kernel::{PersonId, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::naming::{clean, fill, username};
use super::{
    Balance, Charges, Closed, Closure, CohortRule, HeldRoles, Holds, Profile, Registrations,
    Section, SiteSettings,
};

/// An account as it should be. It is never deleted: who no longer belongs here is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantedUser {
    pub id_number: String,
    /// For a new account only.
    #[serde(skip)]
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub department: String,
    pub is_suspended: bool,
    pub cohorts: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantedCourse {
    pub id_number: String,
    pub full_name: String,
    pub short_name: String,
    /// From the outermost in.
    #[serde(skip)]
    pub categories: Vec<String>,
    pub starts_at_s: i64,
    pub ends_at_s: i64,
    /// Said where students are not to see it; who else shows or hides a course does as they like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Closed>,
}

/// An enrolment as it should be; without the Moodle ids of user and course, which it is sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WantedEnrolment {
    pub role: i64,
    pub is_suspended: bool,
}

const NAME_LENGTH_MAX: usize = 100;
const COURSE_NAME_LENGTH_MAX: usize = 250;

/// What was last sent, in short: whether anything is to be sent is whether this differs.
pub fn fingerprint(wanted: &impl Serialize) -> String {
    let text = serde_json::to_string(wanted).expect("what is wanted is JSON");
    let digest = Sha256::digest(text.as_bytes());
    let (head, _) = digest.split_at(16);
    let head: [u8; 16] = head.try_into().expect("a digest has 32 bytes");
    format!("{:032x}", u128::from_be_bytes(head))
}

/// What is known of a person beside the name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standings<'a> {
    pub roles: Option<&'a HeldRoles>,
    pub charges: Option<&'a Charges>,
    pub holds: Option<&'a Holds>,
    /// In a course of the site, as a student or as a teacher.
    pub is_in_course: bool,
    pub has_account: bool,
}

/// The account of a person as it should be now; none where the person has no business here and never had an account.
pub fn wanted_user(
    settings: &SiteSettings,
    profile: &Profile,
    known: Standings<'_>,
    now: Timestamp,
) -> Option<WantedUser> {
    let held = known.roles.map(|roles| roles.at(now)).into_iter().flatten();
    let here: Vec<_> = held.filter(|held| settings.people.contains(&held.role)).collect();
    let belongs = !here.is_empty() || known.is_in_course;
    if !belongs && !known.has_account {
        return None;
    }
    let departments: BTreeSet<&str> =
        here.iter().filter_map(|held| held.department.as_deref()).collect();
    let mut cohorts = BTreeSet::new();
    for rule in settings.cohorts.iter().filter(|_| belongs) {
        match rule {
            CohortRule::Department => {
                cohorts.extend(
                    departments.iter().map(|department| format!("department:{department}")),
                );
            }
            CohortRule::Balance => {
                let cohort = match known.charges.map_or(Balance::Clear, Charges::balance) {
                    Balance::Clear => "balance:clear",
                    Balance::Owing => "balance:owing",
                    Balance::Plan => "balance:plan",
                };
                cohorts.insert(cohort.to_owned());
            }
            CohortRule::Hold => {
                cohorts
                    .extend(known.holds.filter(|holds| holds.is_held()).map(|_| "hold".to_owned()));
            }
        }
    }
    let fields =
        [("email", profile.email.as_str()), ("person", &profile.person.to_string() as &str)];
    Some(WantedUser {
        id_number: profile.person.to_string(),
        username: username(&fill(&settings.naming.username, &fields)),
        first_name: name_of(&profile.name.given, profile.person),
        last_name: name_of(&profile.name.family, profile.person),
        email: profile.email.as_str().to_owned(),
        department: departments.first().copied().unwrap_or_default().to_owned(),
        is_suspended: !belongs,
        cohorts,
    })
}

/// Moodle takes no empty name, and one person's must not stop a batch.
fn name_of(name: &str, person: PersonId) -> String {
    let cleaned = clean(name, NAME_LENGTH_MAX);
    if cleaned.is_empty() { person.to_string() } else { cleaned }
}

/// The course of a section; none where the section does not belong here, or was cancelled before it had one.
pub fn wanted_course(
    settings: &SiteSettings,
    section: &Section,
    last_closure: Option<&Closure>,
    is_there: bool,
) -> Option<WantedCourse> {
    let closed = section.closed(last_closure);
    let is_over = closed == Some(Closed::Cancelled) && !is_there;
    if is_over || !settings.courses.includes(&section.department) {
        return None;
    }
    let fields = [
        ("course_title", section.course_title.as_str()),
        ("course_code", &section.course_code),
        ("section_code", &section.code),
        ("term_code", &section.term_code),
        ("department", &section.department),
    ];
    let named = |template: &str, length_max| clean(&fill(template, &fields), length_max);
    let naming = &settings.naming;
    Some(WantedCourse {
        id_number: section.section.to_string(),
        full_name: named(&naming.course_full_name, COURSE_NAME_LENGTH_MAX),
        short_name: named(&naming.course_short_name, NAME_LENGTH_MAX),
        categories: naming.categories.iter().map(|one| named(one, NAME_LENGTH_MAX)).collect(),
        starts_at_s: section.starts_at_s,
        ends_at_s: section.ends_at_s,
        hidden: closed.filter(|_| settings.hidden_courses.includes(closed)),
    })
}

/// The enrolment of a student or a teacher; none where nobody ever was enrolled and nobody should be. A drop suspends:
/// to unenrol would delete grades. Who teaches no more is left nothing of a teacher's role.
pub fn wanted_enrolment(
    settings: &SiteSettings,
    known: &Registrations,
    was_sent: bool,
) -> Option<WantedEnrolment> {
    if let Some(role) = settings.roles.teacher.filter(|_| known.teaches) {
        return Some(WantedEnrolment { role, is_suspended: false });
    }
    let is_active = known.is_active();
    (is_active || was_sent)
        .then_some(WantedEnrolment { role: settings.roles.student, is_suspended: !is_active })
}

#[cfg(test)]
mod tests {
    use kernel::{Id, RegistrationId, RoleAssignmentId, SectionId};
    use shell::Role;

    use super::super::site::tests::settings;
    use super::super::{HeldRole, Standing};
    use super::*;

    fn profile(given: &str) -> Profile {
        Profile {
            person: testkit::person("ada"),
            name: kernel::PersonName { given: given.into(), family: "Ngono".into() },
            email: "Ada@matricula.example".parse().expect("an address"),
            profile_version: 1,
        }
    }

    fn roles(held: &[(Role, Option<&str>)]) -> HeldRoles {
        let roles = held.iter().enumerate().map(|(at, (role, department))| {
            let department = department.map(str::to_owned);
            let (role, valid_from, valid_to) = (*role, None, None);
            let held = HeldRole { role, department, valid_from, valid_to, assignment_version: 0 };
            (RoleAssignmentId::derived_from(&at.to_string()), held)
        });
        HeldRoles { roles: roles.collect(), ..HeldRoles::none(testkit::person("ada")) }
    }

    #[test]
    fn who_belongs_has_an_account_and_who_left_a_suspended_one() {
        let settings = settings("https://moodle.example");
        let wanted = |roles: &HeldRoles, is_in_course, has_account| {
            let roles = Some(roles);
            let known = Standings { roles, is_in_course, has_account, ..Standings::default() };
            wanted_user(&settings, &profile("Ada"), known, testkit::now())
        };
        let bursar = roles(&[(Role::Bursar, None)]);
        assert_eq!(wanted(&bursar, false, false), None);
        assert!(wanted(&bursar, false, true).expect("it stays").is_suspended);
        assert!(!wanted(&bursar, true, false).expect("registered").is_suspended);
        let student = wanted(&roles(&[(Role::Student, None)]), false, false).expect("a student");
        assert_eq!(student.username, "ada@matricula.example");
        assert_eq!(student.email, "Ada@matricula.example");
    }

    #[test]
    fn a_role_counts_from_its_first_day_to_its_last() {
        let settings = settings("https://moodle.example");
        let at = |hours| testkit::now() + jiff::SignedDuration::from_hours(hours);
        let (valid_from, valid_to) = (Some(at(24)), Some(at(48)));
        let (role, department) = (Role::Teacher, Some("MATH".to_owned()));
        let mut held = HeldRoles::none(testkit::person("ada"));
        let contract = HeldRole { role, department, valid_from, valid_to, assignment_version: 0 };
        assert!(held.assign(RoleAssignmentId::derived_from("contract"), contract));
        let wanted = |now, has_account| {
            let known = Standings { roles: Some(&held), has_account, ..Standings::default() };
            wanted_user(&settings, &profile("Ada"), known, now)
        };
        assert_eq!(wanted(at(23), false), None, "before its time");
        assert_eq!(wanted(at(24), false).map(|user| user.is_suspended), Some(false));
        assert_eq!(wanted(at(47), true).map(|user| user.is_suspended), Some(false));
        assert_eq!(wanted(at(48), true).map(|user| user.is_suspended), Some(true));
    }

    #[test]
    fn cohorts_follow_departments_what_is_owed_and_holds() {
        let mut settings = settings("https://moodle.example");
        settings.cohorts = vec![CohortRule::Department, CohortRule::Balance, CohortRule::Hold];
        let mut holds = Holds::none(testkit::person("ada"));
        holds.place(kernel::HoldId::derived_from("one"), None);
        let held = roles(&[(Role::Teacher, Some("MATH")), (Role::Bursar, None)]);
        let known = Standings { roles: Some(&held), holds: Some(&holds), ..Standings::default() };
        let wanted = wanted_user(&settings, &profile("Ada"), known, testkit::now());
        let cohorts: Vec<String> = wanted.expect("a teacher").cohorts.into_iter().collect();
        assert_eq!(cohorts, ["balance:clear", "department:MATH", "hold"]);
        let none = roles(&[]);
        let known = Standings { roles: Some(&none), has_account: true, ..Standings::default() };
        let left = wanted_user(&settings, &profile("Ada"), known, testkit::now());
        assert!(left.expect("it stays").cohorts.is_empty());
    }

    #[test]
    fn a_name_that_is_nothing_to_moodle_stops_no_batch() {
        let settings = settings("https://moodle.example");
        let known = Standings { is_in_course: true, ..Standings::default() };
        let wanted = wanted_user(&settings, &profile("\u{7}"), known, testkit::now());
        assert_eq!(wanted.expect("wanted").first_name, testkit::person("ada").to_string());
    }

    #[test]
    fn a_drop_suspends_what_was_sent_and_makes_nothing_new() {
        let settings = settings("https://moodle.example");
        let mut known = Registrations::none(SectionId::derived_from("x"), testkit::person("ada"));
        let registration = RegistrationId::derived_from("one");
        known.learn(registration, Standing::Confirmed);
        let active = WantedEnrolment { role: 5, is_suspended: false };
        assert_eq!(wanted_enrolment(&settings, &known, false), Some(active));
        known.learn(registration, Standing::Dropped);
        assert_eq!(wanted_enrolment(&settings, &known, false), None);
        let suspended = Some(WantedEnrolment { is_suspended: true, ..active });
        assert_eq!(wanted_enrolment(&settings, &known, true), suspended);
        assert_ne!(fingerprint(&active), fingerprint(&suspended));
    }

    #[test]
    fn who_teaches_has_the_teachers_role_where_the_site_has_one_and_nothing_of_it_afterwards() {
        let mut settings = settings("https://moodle.example");
        let mut known = Registrations::none(SectionId::derived_from("x"), testkit::person("ada"));
        known.teaches = true;
        settings.roles.teacher = None;
        assert_eq!(wanted_enrolment(&settings, &known, false), None);
        settings.roles.teacher = Some(3);
        let teacher = WantedEnrolment { role: 3, is_suspended: false };
        assert_eq!(wanted_enrolment(&settings, &known, false), Some(teacher));
        known.learn(RegistrationId::derived_from("one"), Standing::Confirmed);
        assert_eq!(wanted_enrolment(&settings, &known, false), Some(teacher), "a teacher first");
        known.learn(RegistrationId::derived_from("one"), Standing::Dropped);
        known.teaches = false;
        let left = WantedEnrolment { role: 5, is_suspended: true };
        assert_eq!(wanted_enrolment(&settings, &known, true), Some(left));
    }
}
