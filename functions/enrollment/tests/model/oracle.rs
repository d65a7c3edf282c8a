//! What must become of a wish, worked out from the rules as they are written and from what the tables showed before,
//! without the code that is tested.

use std::collections::{BTreeMap, BTreeSet};

use enrollment::domain::{EntryState, ItemCode, StudentStatus, StudentTerm};
use events::{TermState, WaitlistMode};

use crate::catalog::{CROSS_LIST_CAPACITY, Hours, LAB, LECTURE, Leave, Need, POOL_SEATS, Status};
use crate::world::World;

const CREDITS_MAX: u32 = 4_500;
const WAITLISTED_CREDITS_MAX: u32 = 3_000;

pub type Codes = BTreeSet<ItemCode>;

/// What a student has, as far as the rules look at it.
#[derive(Debug, Clone)]
pub struct Has {
    pub section: usize,
    pub credits: u32,
    pub is_registered: bool,
}

/// What must become of a cart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub held: Vec<usize>,
    pub failed: BTreeMap<usize, Codes>,
}

/// Whether seats count, and the line before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seats {
    AsForAll,
    /// Only what speaks against the student.
    LeftOut,
}

pub struct Oracle<'a> {
    pub world: &'a World,
    pub student: usize,
}

impl Oracle<'_> {
    pub fn has(&self, term: &StudentTerm) -> Vec<Has> {
        let has = |entry: &enrollment::domain::Entry| Has {
            section: self.world.at(entry.section),
            credits: entry.credits_hundredths,
            is_registered: entry.state == EntryState::Registered,
        };
        term.entries.iter().map(has).collect()
    }

    pub fn cart(&self, cart: &[usize], standing: &[Has], seats: Seats) -> Verdict {
        let mut verdict = Verdict::default();
        let mut passed = standing.to_vec();
        for bundle in self.bundles(cart, standing) {
            let mut with = passed.clone();
            let mut refused: BTreeMap<usize, Codes> = BTreeMap::new();
            let mut culprit = None;
            for item in &bundle {
                let codes = self.codes(*item, &bundle, &with, (cart, standing), seats);
                if codes.is_empty() {
                    let credits = self.credits(*item, cart, standing);
                    with.push(Has { section: *item, credits, is_registered: false });
                } else {
                    culprit = culprit.or(Some(*item));
                    refused.insert(*item, codes);
                }
            }
            let Some(culprit) = culprit else {
                passed = with;
                verdict.held.extend(&bundle);
                continue;
            };
            for item in bundle.iter().filter(|item| !refused.contains_key(item)).collect::<Vec<_>>()
            {
                let linked = self.is_linked(*item, cart, standing)
                    && self.world.sections[culprit].is_linked();
                let code = if linked { ItemCode::LinkRequired } else { ItemCode::CoreqRequired };
                refused.insert(*item, [code].into());
            }
            verdict.failed.extend(refused);
        }
        verdict
    }

    /// What is taken together: corequisites in the cart, and a lecture with its lab.
    fn bundles(&self, cart: &[usize], standing: &[Has]) -> Vec<Vec<usize>> {
        let sections = &self.world.sections;
        let needs = |a: usize, b: usize| {
            sections[a].corequisite() == Some(sections[b].course)
                || (sections[b].is_linked() && self.is_linked(a, cart, standing))
        };
        let mut bundles: Vec<Vec<usize>> = Vec::new();
        for item in cart {
            let joined = bundles.iter().position(|bundle| {
                bundle.iter().any(|other| needs(*item, *other) || needs(*other, *item))
            });
            match joined {
                Some(at) => bundles[at].push(*item),
                None => bundles.push(vec![*item]),
            }
        }
        bundles
    }

    /// Whether lecture and lab are both there, now or before.
    fn is_linked(&self, item: usize, cart: &[usize], standing: &[Has]) -> bool {
        let there = |section: usize| {
            cart.contains(&section) || standing.iter().any(|has| has.section == section)
        };
        self.world.sections[item].is_linked() && there(LECTURE) && there(LAB)
    }

    /// The credits of what is linked stand with one of its sections.
    fn credits(&self, item: usize, cart: &[usize], standing: &[Has]) -> u32 {
        let own = self.world.sections[item].credits;
        if !self.is_linked(item, cart, standing) {
            return own;
        }
        let carries =
            |section: &usize| standing.iter().any(|has| has.section == *section && has.credits > 0);
        let bearer = [LECTURE, LAB].into_iter().find(carries).unwrap_or(LECTURE);
        if bearer == item { own } else { 0 }
    }

    fn codes(
        &self,
        item: usize,
        bundle: &[usize],
        with: &[Has],
        (cart, standing): (&[usize], &[Has]),
        seats: Seats,
    ) -> Codes {
        let world = self.world;
        let section = &world.sections[item];
        let mut codes = Codes::new();
        codes.extend(self.window());
        if section.status != Status::Offered {
            codes.insert(ItemCode::SectionNotOffered);
        }
        codes.extend(self.of_student());
        let linked = self.is_linked(item, cart, standing);
        let is_same = |has: &&Has| {
            let other = &world.sections[has.section];
            let is_linked_with = linked && other.is_linked() && has.section != item;
            (other.course == section.course && !is_linked_with)
                || (other.is_cross_listed() && section.is_cross_listed())
        };
        if let Some(same) = with.iter().find(is_same) {
            let is_section = same.section == item;
            codes.insert(if is_section {
                ItemCode::DuplicateSection
            } else {
                ItemCode::DuplicateCourse
            });
        }
        codes.extend(self.unmet(section.needs));
        if let Some(course) = section.corequisite() {
            let in_bundle = bundle.iter().any(|other| world.sections[*other].course == course);
            let before =
                |has: &Has| has.is_registered && world.sections[has.section].course == course;
            if !in_bundle && !with.iter().any(before) {
                codes.insert(ItemCode::CoreqRequired);
            }
        }
        if section.is_linked() && !linked {
            codes.insert(ItemCode::LinkRequired);
        }
        if section.permission {
            codes.insert(ItemCode::InstructorPermission);
        }
        let clashes = |has: &Has| has.section != item && self.overlap(has.section, item);
        if with.iter().any(clashes) {
            codes.insert(ItemCode::TimeConflict);
        }
        let credits: u32 = with.iter().map(|has| has.credits).sum();
        if credits + self.credits(item, cart, standing) > CREDITS_MAX {
            codes.insert(ItemCode::MaxCredits);
        }
        if self.has_withdrawn_from(section.course) {
            codes.insert(ItemCode::RepeatLimit);
        }
        if seats == Seats::AsForAll {
            if self.waits_for(item) {
                codes.insert(ItemCode::WaitingAlready);
            }
            codes.extend(self.seat(item));
        }
        codes.retain(|code| !self.is_lifted(item, *code));
        codes
    }

    fn overlap(&self, a: usize, b: usize) -> bool {
        let hours = |at: usize| self.world.sections[at].hours;
        hours(a).zip(hours(b)).is_some_and(|(a, b)| Hours::overlap(a, b))
    }

    fn window(&self) -> Option<ItemCode> {
        let term = &self.world.term;
        match term.state {
            TermState::Closed => Some(ItemCode::TermClosed),
            TermState::Published if term.opens_at <= self.world.now => None,
            _ => Some(ItemCode::WindowNotOpen),
        }
    }

    fn of_student(&self) -> Codes {
        let student = &self.world.students[self.student];
        let mut codes = Codes::new();
        let stops = |ends_at: &Option<kernel::Timestamp>| {
            ends_at.is_none_or(|ends_at| self.world.now < ends_at)
        };
        if student.holds.iter().any(|hold| stops(&hold.ends_at)) {
            codes.insert(ItemCode::Hold);
        }
        if student.record.status != StudentStatus::Active {
            codes.insert(ItemCode::StatusIneligible);
        }
        codes
    }

    fn unmet(&self, needs: Need) -> Option<ItemCode> {
        let record = &self.world.students[self.student].record;
        let (is_met, code) = match needs {
            Need::Nothing => return None,
            Need::Course => (record.waived_courses.contains("BASIC"), ItemCode::PrereqNotMet),
            Need::Test => {
                (record.tests.get("ALGEBRA").is_some_and(|it| *it >= 5_000), ItemCode::TestScore)
            }
            Need::Program => (record.programs.contains("CS"), ItemCode::RestrictionProgramme),
            Need::Standing => (record.standing >= 3, ItemCode::RestrictionLevel),
            Need::Credits => {
                (record.credits_earned_hundredths >= 6_000, ItemCode::RestrictionAttribute)
            }
        };
        (!is_met).then_some(code)
    }

    fn waits_for(&self, item: usize) -> bool {
        let id = self.world.sections[item].id;
        self.world.view.terms[self.student].waiting.iter().any(|waiting| waiting.section == id)
    }

    fn has_withdrawn_from(&self, course: &str) -> bool {
        let withdrawn = &self.world.view.terms[self.student].withdrawn;
        withdrawn
            .iter()
            .any(|entry| self.world.sections[self.world.at(entry.section)].course == course)
    }

    fn is_lifted(&self, item: usize, code: ItemCode) -> bool {
        let lifts =
            |it: &Leave| it.section == item && it.code == code && self.world.now < it.expires_at;
        self.world.students[self.student].overrides.iter().any(lifts)
    }

    /// Why there is no seat for the student, or none yet.
    fn seat(&self, item: usize) -> Option<ItemCode> {
        let (world, view) = (self.world, &self.world.view);
        let (section, seats) = (&world.sections[item], &view.seats[item]);
        if section.is_cross_listed() && view.shared.taken >= CROSS_LIST_CAPACITY {
            return Some(ItemCode::Closed);
        }
        if seats.taken >= section.capacity {
            return Some(ItemCode::Closed);
        }
        if section.pooled {
            let in_pool: i64 = seats.taken_in_pools.values().sum();
            let kept = (POOL_SEATS - in_pool).max(0);
            let belongs = world.students[self.student].record.programs.contains("CS");
            let is_free = (belongs && kept > 0) || section.capacity - seats.taken > kept;
            return (!is_free).then_some(ItemCode::ReservedClosed);
        }
        let line = if section.is_cross_listed() { &view.shared.line } else { &seats.line };
        let others_first =
            section.mode != WaitlistMode::None && line.waiting > 0 && line.passed == 0;
        others_first.then_some(ItemCode::WaitlistOnly)
    }

    /// The codes with which the joining of a line is refused, as they are called outside; none where it must succeed.
    pub fn joining(&self, item: usize, standing: &[Has]) -> BTreeSet<&'static str> {
        let (world, view) = (self.world, &self.world.view);
        let section = &world.sections[item];
        if self.waits_for(item) {
            return ["WAITING_ALREADY"].into();
        }
        let mut codes = self.cart(&[item], standing, Seats::AsForAll).failed.remove(&item);
        let Some(mut codes) = codes.take() else { return ["SEAT_IS_FREE"].into() };
        let of_seats = [ItemCode::Closed, ItemCode::ReservedClosed, ItemCode::WaitlistOnly];
        let lacks_seat = of_seats.iter().any(|code| codes.contains(code));
        if lacks_seat && section.mode == WaitlistMode::None {
            return ["NO_WAITLIST"].into();
        }
        codes.retain(|code| !of_seats.contains(code) && *code != ItemCode::TimeConflict);
        if view.seats[item].line.waiting >= i64::from(section.places) {
            codes.insert(ItemCode::WaitlistFull);
        }
        let waiting = &view.terms[self.student].waiting;
        let waited: u32 = waiting.iter().map(|waiting| waiting.credits_hundredths).sum();
        if waited + section.credits > WAITLISTED_CREDITS_MAX {
            codes.insert(ItemCode::MaxWaitlistedCredits);
        }
        codes.retain(|code| !self.is_lifted(item, *code));
        match (codes.is_empty(), lacks_seat) {
            (true, true) => BTreeSet::new(),
            (true, false) => ["SEAT_IS_FREE"].into(),
            (false, _) => codes.into_iter().map(ItemCode::code).collect(),
        }
    }

    /// Whether the sections share the seats of one class.
    pub fn share(a: usize, b: usize, world: &World) -> bool {
        a == b || (world.sections[a].is_cross_listed() && world.sections[b].is_cross_listed())
    }
}

/// The line that a section's students stand in.
pub fn lists_of(world: &World, item: usize) -> Vec<usize> {
    (0..world.sections.len()).filter(|other| Oracle::share(item, *other, world)).collect()
}
