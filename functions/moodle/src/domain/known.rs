//! What the other contexts have told of people, sections, registrations and charges, as far as a site depends on it.

use std::collections::{BTreeMap, BTreeSet};

use events::{RegistrationGroupChanged, SectionOffered};
use kernel::{
    ChargeId, Email, HoldId, Money, PaymentPlanId, PersonId, PersonName, RegistrationGroupId,
    RegistrationId, RoleAssignmentId, SectionId, Timestamp,
};
use serde::{Deserialize, Serialize};
use shell::Role;

use super::Site;

/// A person's name and address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub person: PersonId,
    pub name: PersonName,
    pub email: Email,
    /// Version of the profile in identity that this is a copy of.
    pub profile_version: u64,
}

impl Profile {
    /// A newer profile replaces an older one, never the other way round.
    pub fn supersedes(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| self.profile_version > known.profile_version)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRole {
    pub role: Role,
    pub department: Option<String>,
    /// Absent where it is held from the assignment on.
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
    /// Absent where no end is known.
    #[serde(default)]
    pub valid_to: Option<Timestamp>,
    #[serde(default)]
    pub assignment_version: u64,
}

impl HeldRole {
    fn is_at(&self, now: Timestamp) -> bool {
        let has_begun = self.valid_from.is_none_or(|from| from <= now);
        has_begun && self.valid_to.is_none_or(|to| now < to)
    }

    /// When it begins or ends by itself.
    fn changes(&self) -> impl Iterator<Item = Timestamp> {
        [self.valid_from, self.valid_to].into_iter().flatten()
    }
}

/// The roles of one person, by assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRoles {
    pub person: PersonId,
    pub roles: BTreeMap<RoleAssignmentId, HeldRole>,
    /// Assignments that have ended: news of their beginning may still come.
    pub ended: BTreeSet<RoleAssignmentId>,
    /// Until when everything that changes by itself has been marked.
    #[serde(default)]
    pub marked_until: Timestamp,
}

impl HeldRoles {
    pub fn none(person: PersonId) -> Self {
        let (roles, ended) = (BTreeMap::new(), BTreeSet::new());
        Self { person, roles, ended, marked_until: Timestamp::UNIX_EPOCH }
    }

    /// Those that are held now.
    pub fn at(&self, now: Timestamp) -> impl Iterator<Item = &HeldRole> {
        self.roles.values().filter(move |held| held.is_at(now))
    }

    /// Those that are held now and belong into a site, each once.
    pub fn of(&self, site: &Site, now: Timestamp) -> Vec<Role> {
        let is_held = |role: &Role| self.at(now).any(|held| held.role == *role);
        let here = Role::ALL.into_iter().filter(|role| site.settings.people.contains(role));
        here.filter(is_held).collect()
    }

    /// `false` where nothing changes: an older word that comes late brings no dates back.
    pub fn assign(&mut self, assignment: RoleAssignmentId, role: HeldRole) -> bool {
        let is_older = |known: &HeldRole| known.assignment_version > role.assignment_version;
        if self.ended.contains(&assignment) || self.roles.get(&assignment).is_some_and(is_older) {
            return false;
        }
        self.roles.insert(assignment, role.clone()) != Some(role)
    }

    /// When the next of them begins or ends by itself, of which nothing was marked yet.
    pub fn next_change(&self) -> Option<Timestamp> {
        let changes = self.roles.values().flat_map(HeldRole::changes);
        changes.filter(|at| *at > self.marked_until).min()
    }

    /// The roles that have begun or ended by themselves until now, for what depends on them to be marked.
    pub fn take_changed(&mut self, now: Timestamp) -> Vec<Role> {
        let marked_until = self.marked_until;
        self.marked_until = now.max(marked_until);
        let is_news = |at: Timestamp| at > marked_until && at <= now;
        let changed = self.roles.values().filter(|held| held.changes().any(is_news));
        changed.map(|held| held.role).collect()
    }

    /// For good. `false` where nothing changes.
    pub fn end(&mut self, assignment: RoleAssignmentId) -> bool {
        self.roles.remove(&assignment);
        self.ended.insert(assignment)
    }
}

/// A section as a course is made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub section: SectionId,
    pub section_version: u64,
    pub code: String,
    pub term_code: String,
    pub course_code: String,
    pub course_title: String,
    pub department: String,
    /// Midnight (UTC) of the first meeting's day, in seconds; 0 where it has no meetings.
    pub starts_at_s: i64,
    /// Midnight after the last meeting's day.
    pub ends_at_s: i64,
    #[serde(default)]
    pub teachers: BTreeSet<PersonId>,
}

impl Section {
    /// Whether results of it are read in the night: from its first day until grades are long in.
    pub fn is_read_at(&self, now: Timestamp) -> bool {
        const GRADED_WITHIN_S: i64 = 60 * 24 * 60 * 60;
        let now_s = now.as_second();
        let is_over = self.ends_at_s != 0 && now_s > self.ends_at_s + GRADED_WITHIN_S;
        now_s >= self.starts_at_s && !is_over
    }

    /// How it is closed, if it is.
    pub fn closed(&self, last: Option<&Closure>) -> Option<Closed> {
        last.filter(|last| last.section_version > self.section_version).map(|last| last.closed)
    }

    /// Who is in its course as a teacher: nobody in what was cancelled.
    #[must_use]
    pub fn taught(&self, last: Option<&Closure>) -> Self {
        match self.closed(last) {
            Some(Closed::Cancelled) => self.untaught(),
            Some(Closed::Suspended) | None => self.clone(),
        }
    }

    /// As it was before anybody taught it.
    #[must_use]
    pub fn untaught(&self) -> Self {
        Self { teachers: BTreeSet::new(), ..self.clone() }
    }

    pub fn of(offered: SectionOffered) -> Self {
        let midnight = |date: kernel::Date| {
            date.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |day| day.timestamp().as_second())
        };
        let first = offered.meetings.iter().map(|meeting| meeting.first_day).min();
        let last = offered.meetings.iter().map(|meeting| meeting.last_day).max();
        let behind = last.and_then(|day| day.tomorrow().ok());
        Self {
            section: offered.section,
            section_version: offered.section_version,
            code: offered.code,
            term_code: offered.term.code,
            course_code: offered.course.code,
            course_title: offered.course.title,
            department: offered.department,
            starts_at_s: first.map_or(0, midnight),
            ends_at_s: behind.map_or(0, midnight),
            teachers: offered.teachers.into_iter().collect(),
        }
    }
}

/// How a section is closed: nobody may register for what is suspended, and what is cancelled does not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    Suspended,
    Cancelled,
}

/// The last time that a section was closed. It is over when the section is offered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    pub section: SectionId,
    pub section_version: u64,
    pub closed: Closed,
}

/// One choice of linked sections, such as a lecture with a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedSections {
    pub group: RegistrationGroupId,
    pub group_version: u64,
    /// None where it was cancelled.
    pub sections: BTreeSet<SectionId>,
}

impl LinkedSections {
    pub fn of(told: RegistrationGroupChanged) -> Self {
        let sections = if told.cancelled { Vec::new() } else { told.sections };
        let sections = sections.into_iter().collect();
        Self { group: told.group, group_version: told.group_version, sections }
    }
}

/// The sections that are linked with one, by the choice that links them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    pub section: SectionId,
    pub by: BTreeMap<RegistrationGroupId, BTreeSet<SectionId>>,
}

impl Links {
    pub fn none(section: SectionId) -> Self {
        Self { section, by: BTreeMap::new() }
    }

    pub fn learn(&mut self, told: &LinkedSections) {
        if told.sections.contains(&self.section) {
            let mut others = told.sections.clone();
            others.remove(&self.section);
            self.by.insert(told.group, others);
        } else {
            self.by.remove(&told.group);
        }
    }

    pub fn sections(&self) -> BTreeSet<SectionId> {
        self.by.values().flatten().copied().collect()
    }
}

/// How far a registration has come. Later ones stand behind earlier ones, whatever the order of their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Confirmed,
    Dropped,
}

/// What one person is in one section: all their registrations, and whether they teach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registrations {
    pub section: SectionId,
    pub student: PersonId,
    pub registrations: BTreeMap<RegistrationId, Standing>,
    #[serde(default)]
    pub teaches: bool,
}

impl Registrations {
    pub fn none(section: SectionId, student: PersonId) -> Self {
        Self { section, student, registrations: BTreeMap::new(), teaches: false }
    }

    /// Takes news in; answers whether anything changed.
    pub fn learn(&mut self, registration: RegistrationId, standing: Standing) -> bool {
        let known = self.registrations.get(&registration).copied();
        if known.is_some_and(|known| known >= standing) {
            return false;
        }
        self.registrations.insert(registration, standing);
        true
    }

    pub fn is_active(&self) -> bool {
        self.registrations.values().any(|standing| *standing == Standing::Confirmed)
    }
}

/// The holds on a student that are not behind us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    pub student: PersonId,
    /// When each ends by itself, if it does.
    pub holds: BTreeMap<HoldId, Option<Timestamp>>,
    /// Those that were lifted or have ended: news of their beginning may still come.
    pub over: BTreeSet<HoldId>,
}

impl Holds {
    pub fn none(student: PersonId) -> Self {
        Self { student, holds: BTreeMap::new(), over: BTreeSet::new() }
    }

    /// `false` where nothing changes.
    pub fn place(&mut self, hold: HoldId, ends_at: Option<Timestamp>) -> bool {
        !self.over.contains(&hold) && self.holds.insert(hold, ends_at).is_none()
    }

    /// For good. `false` where nothing changes.
    pub fn lift(&mut self, hold: HoldId) -> bool {
        self.holds.remove(&hold);
        self.over.insert(hold)
    }

    /// Lifts those whose time is over.
    pub fn end(&mut self, now: Timestamp) {
        let is_over = |ends_at: Timestamp| ends_at <= now;
        let over = self.holds.iter().filter(|(_, ends_at)| ends_at.is_some_and(is_over));
        for hold in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.lift(hold);
        }
    }

    pub fn next_end(&self) -> Option<Timestamp> {
        self.holds.values().flatten().min().copied()
    }

    pub fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }
}

/// What is known of one charge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub posted: Option<Money>,
    pub is_settled: bool,
    /// Taken back, by credit note: each counts once, however often it is told.
    pub reversals: BTreeMap<String, Money>,
}

impl Charge {
    pub fn is_open(&self) -> bool {
        let reversed: i64 = self.reversals.values().map(|money| money.minor).sum();
        !self.is_settled && self.posted.as_ref().is_some_and(|posted| posted.minor > reversed)
    }
}

/// How a student stands with what is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    Clear,
    Owing,
    /// Owing, and paying by instalments.
    Plan,
}

/// A student's charges that are not behind us, by which plans they are paid, and when they last changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charges {
    pub student: PersonId,
    pub charges: BTreeMap<ChargeId, Charge>,
    #[serde(default)]
    pub plans: BTreeSet<PaymentPlanId>,
    /// Those that were cancelled or are paid off: news of their beginning may still come.
    #[serde(default)]
    pub plans_over: BTreeSet<PaymentPlanId>,
    pub changed_at: Timestamp,
}

impl Charges {
    pub fn none(student: PersonId, now: Timestamp) -> Self {
        Self {
            student,
            charges: BTreeMap::new(),
            plans: BTreeSet::new(),
            plans_over: BTreeSet::new(),
            changed_at: now,
        }
    }

    pub fn balance(&self) -> Balance {
        match (self.is_owing(), self.plans.is_empty()) {
            (false, _) => Balance::Clear,
            (true, true) => Balance::Owing,
            (true, false) => Balance::Plan,
        }
    }

    pub fn begin_plan(&mut self, plan: PaymentPlanId) {
        if !self.plans_over.contains(&plan) {
            self.plans.insert(plan);
        }
    }

    /// For good.
    pub fn end_plan(&mut self, plan: PaymentPlanId) {
        self.plans.remove(&plan);
        self.plans_over.insert(plan);
    }

    /// Whatever plans covered is paid.
    pub fn end_plans(&mut self) {
        self.plans_over.append(&mut self.plans);
    }

    pub fn is_owing(&self) -> bool {
        self.charges.values().any(Charge::is_open)
    }
}

#[cfg(test)]
mod tests {
    use events::Event;
    use kernel::Id;
    use proptest::prelude::*;

    use super::*;

    fn francs(minor: i64) -> Money {
        Money::new(minor, "XAF".parse().expect("a currency"))
    }

    #[test]
    fn a_section_lasts_from_its_first_meeting_to_the_day_after_its_last() {
        let section = Section::of(SectionOffered::example());
        assert_eq!(section.starts_at_s, 1_801_440_000);
        assert_eq!(section.ends_at_s, 1_814_400_000);
        let without = SectionOffered { meetings: Vec::new(), ..SectionOffered::example() };
        assert_eq!(Section::of(without).ends_at_s, 0);
    }

    #[test]
    fn a_charge_is_open_until_it_is_settled_or_taken_back() {
        let mut charge = Charge::default();
        assert!(!charge.is_open(), "a charge that nobody told of");
        charge.posted = Some(francs(100));
        charge.reversals.insert("CN-1".into(), francs(40));
        assert!(charge.is_open());
        charge.reversals.insert("CN-1".into(), francs(40));
        assert!(charge.is_open(), "the same credit note, told twice");
        charge.reversals.insert("CN-2".into(), francs(60));
        assert!(!charge.is_open());
        let settled = Charge { is_settled: true, ..Charge::default() };
        assert!(!Charge { posted: Some(francs(1)), ..settled }.is_open(), "told in other order");
    }

    #[test]
    fn each_beginning_and_each_end_of_a_role_is_marked_once() {
        let at = |hours| testkit::now() + jiff::SignedDuration::from_hours(hours);
        let mut held = HeldRoles::none(testkit::person("ada"));
        let role = |role, valid_from, valid_to| HeldRole {
            role,
            department: None,
            valid_from,
            valid_to,
            assignment_version: 0,
        };
        let id = RoleAssignmentId::derived_from;
        assert!(held.assign(id("contract"), role(Role::Teacher, Some(at(1)), Some(at(3)))));
        assert!(held.assign(id("studies"), role(Role::Student, None, Some(at(2)))));
        assert!(!held.assign(id("studies"), role(Role::Student, None, Some(at(2)))), "told twice");
        assert!(held.take_changed(at(0)).is_empty());
        assert_eq!(held.next_change(), Some(at(1)));
        let changed = held.take_changed(at(2));
        assert!(changed.contains(&Role::Teacher) && changed.contains(&Role::Student));
        assert!(held.take_changed(at(2)).is_empty(), "marked before");
        assert_eq!(held.next_change(), Some(at(3)));
        held.end(id("contract"));
        assert_eq!(held.next_change(), None, "it was ended before");
    }

    #[test]
    fn an_older_word_that_comes_late_brings_no_dates_back() {
        let until = |hours, assignment_version| HeldRole {
            role: Role::Teacher,
            department: None,
            valid_from: None,
            valid_to: Some(testkit::now() + jiff::SignedDuration::from_hours(hours)),
            assignment_version,
        };
        let (june, december) = (until(1, 1), until(7, 2));
        let contract = RoleAssignmentId::derived_from("contract");
        for (first, second) in [(&june, &december), (&december, &june)] {
            let mut held = HeldRoles::none(testkit::person("ada"));
            held.assign(contract, first.clone());
            held.assign(contract, second.clone());
            assert_eq!(held.roles[&contract], december);
        }
    }

    proptest! {
        #[test]
        fn registrations_end_the_same_in_whatever_order_they_are_told(
            news in proptest::collection::vec((0_u8..3, any::<bool>()), 0..12),
            shuffled in any::<u64>(),
        ) {
            let learned = |news: &[(u8, bool)]| {
                let student = PersonId::derived_from("ada");
                let mut known = Registrations::none(SectionId::derived_from("x"), student);
                for (number, dropped) in news {
                    let id = RegistrationId::derived_from(&number.to_string());
                    known.learn(id, if *dropped { Standing::Dropped } else { Standing::Confirmed });
                }
                known
            };
            let mut other = news.clone();
            other.sort_by_key(|(number, dropped)| {
                u64::from(*number).wrapping_mul(shuffled | 1) ^ u64::from(*dropped)
            });
            prop_assert_eq!(learned(&news), learned(&other));
        }
    }
}
