//! The decision on a cart: which items can be registered, in which bundles, and what speaks against the rest.

use std::collections::BTreeMap;

use kernel::{
    CourseId, Meeting, PersonId, RegistrationId, SectionId, SubmissionId, TermId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{ItemCode, ItemRefusal, SectionSeats};

/// Credits that a student may hold in one term without an override, in hundredths. Policy: 45 ECTS, half as
/// much again
/// as a full load.
pub const CREDITS_MAX_HUNDREDTHS: u32 = 4_500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    Held,
    Registered,
}

/// What a student has in a term, as far as the next registration has to know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub registration: RegistrationId,
    pub section: SectionId,
    pub course: CourseId,
    pub corequisites: Vec<CourseId>,
    pub credits_hundredths: u32,
    pub meetings: Vec<Meeting>,
    pub state: EntryState,
}

/// The versioned item that every registration of this student in this term passes through: two submissions at once
/// cannot pass the limits together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudentTerm {
    pub student: PersonId,
    pub term: TermId,
    pub entries: Vec<Entry>,
}

impl StudentTerm {
    pub fn empty(student: PersonId, term: TermId) -> Self {
        Self { student, term, entries: Vec::new() }
    }

    fn credits_hundredths(&self) -> u32 {
        self.entries.iter().map(|entry| entry.credits_hundredths).sum()
    }

    pub fn remove(&mut self, registration: RegistrationId) {
        self.entries.retain(|entry| entry.registration != registration);
    }

    pub fn confirm(&mut self, registration: RegistrationId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.registration == registration) {
            entry.state = EntryState::Registered;
        }
    }

    /// Whether another entry requires this registration's course as its corequisite.
    pub fn is_required(&self, registration: RegistrationId) -> bool {
        let course = self
            .entries
            .iter()
            .find(|entry| entry.registration == registration)
            .map(|entry| entry.course);
        course.is_some_and(|course| {
            self.entries.iter().any(|entry| entry.corequisites.contains(&course))
        })
    }
}

/// Courses that the student has taken in the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub student: PersonId,
    pub courses: Vec<CourseId>,
}

/// An item that could not be registered, with all that speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedItem {
    pub section: SectionId,
    pub refusals: Vec<ItemRefusal>,
}

/// A cart as it was submitted, with what could not be registered of it. What could lies beside it as bundles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    pub id: SubmissionId,
    pub student: PersonId,
    pub term: TermId,
    pub failed: Vec<FailedItem>,
    pub submitted_at: Timestamp,
}

/// Sections in the order the student put them, each with the id that its registration would get.
#[derive(Debug, Clone)]
pub struct Cart<'a> {
    pub term: TermId,
    pub items: &'a [(SectionId, RegistrationId)],
}

/// Registrations that stand or fall together.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedBundle {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    pub bundles: Vec<PlannedBundle>,
    pub failed: Vec<FailedItem>,
}

/// Decides on the cart bundle by bundle, in the cart's order: each is judged with those before it that passed.
pub fn decide(
    cart: &Cart<'_>,
    seats: &BTreeMap<SectionId, SectionSeats>,
    standing: &StudentTerm,
    history: &[CourseId],
    now: Timestamp,
) -> Decision {
    let mut decision = Decision::default();
    let mut passed = standing.clone();
    let mut known = Vec::new();
    for (at, (section, registration)) in cart.items.iter().enumerate() {
        match seats.get(section) {
            Some(_) if cart.items[..at].iter().any(|(earlier, _)| earlier == section) => {
                let twice = ItemRefusal::with(ItemCode::DuplicateSection, *section);
                decision.failed.push(failed(*section, vec![twice]));
            }
            Some(seats) => known.push(Item { seats, registration: *registration }),
            None => decision
                .failed
                .push(failed(*section, vec![ItemRefusal::new(ItemCode::SectionUnknown)])),
        }
    }
    for bundle in bundles(&known) {
        let (entries, mut refused) = judge(cart.term, &bundle, &passed, history, now);
        if refused.is_empty() {
            passed.entries.extend(entries.clone());
            decision.bundles.push(PlannedBundle { entries });
            continue;
        }
        // The others of a bundle fall with the one that failed.
        let culprit = refused[0].section;
        for Item { seats, .. } in &bundle {
            if !refused.iter().any(|item| item.section == seats.section) {
                refused.push(failed(
                    seats.section,
                    vec![ItemRefusal::with(ItemCode::CoreqRequired, culprit)],
                ));
            }
        }
        decision.failed.extend(refused);
    }
    decision
}

fn failed(section: SectionId, refusals: Vec<ItemRefusal>) -> FailedItem {
    FailedItem { section, refusals }
}

/// An item of the cart with the section it names.
#[derive(Clone, Copy)]
struct Item<'a> {
    seats: &'a SectionSeats,
    registration: RegistrationId,
}

/// Connected components over corequisites, each in the cart's order.
fn bundles<'a>(items: &[Item<'a>]) -> Vec<Vec<Item<'a>>> {
    let mut bundles: Vec<Vec<Item<'_>>> = Vec::new();
    for item in items {
        let course = &item.seats.course;
        let linked = |other: &Item<'_>| {
            let other = &other.seats.course;
            other.corequisites.contains(&course.id) || course.corequisites.contains(&other.id)
        };
        let (mut joined, apart): (Vec<_>, Vec<_>) =
            bundles.into_iter().partition(|bundle| bundle.iter().any(linked));
        bundles = apart;
        joined.push(vec![*item]);
        bundles.push(joined.concat());
    }
    let position =
        |item: &Item<'_>| items.iter().position(|other| other.registration == item.registration);
    for bundle in &mut bundles {
        bundle.sort_by_key(position);
    }
    bundles.sort_by_key(|bundle| bundle.first().and_then(position));
    bundles
}

/// All codes of every item of a bundle, against what stands and against each other.
fn judge(
    term: TermId,
    bundle: &[Item<'_>],
    standing: &StudentTerm,
    history: &[CourseId],
    now: Timestamp,
) -> (Vec<Entry>, Vec<FailedItem>) {
    let mut with = standing.clone();
    let mut refused = Vec::new();
    let companions: Vec<CourseId> = bundle.iter().map(|item| item.seats.course.id).collect();
    for Item { seats, registration } in bundle {
        let mut refusals: Vec<ItemRefusal> = window(term, seats, now).into_iter().collect();
        refusals.extend(duplicates(seats, &with));
        refusals.extend(corequisites(seats, &with, &companions, history));
        refusals.extend(conflicts(seats, &with));
        if with.credits_hundredths() + seats.credits_hundredths > CREDITS_MAX_HUNDREDTHS {
            refusals.push(ItemRefusal::new(ItemCode::MaxCredits));
        }
        if seats.is_full() {
            refusals.push(ItemRefusal::new(ItemCode::Closed));
        }
        if refusals.is_empty() {
            with.entries.push(entry(seats, *registration));
        } else {
            refused.push(failed(seats.section, refusals));
        }
    }
    (with.entries.split_off(standing.entries.len()), refused)
}

fn window(term: TermId, seats: &SectionSeats, now: Timestamp) -> Option<ItemRefusal> {
    if seats.term.id != term || now > seats.term.registration_closes_at {
        Some(ItemRefusal::new(ItemCode::TermClosed))
    } else if now < seats.term.registration_opens_at {
        Some(ItemRefusal::new(ItemCode::WindowNotOpen))
    } else {
        None
    }
}

fn duplicates(seats: &SectionSeats, standing: &StudentTerm) -> Option<ItemRefusal> {
    let same = standing.entries.iter().find(|entry| entry.course == seats.course.id)?;
    let code = if same.section == seats.section {
        ItemCode::DuplicateSection
    } else {
        ItemCode::DuplicateCourse
    };
    Some(ItemRefusal::with(code, same.section))
}

fn corequisites(
    seats: &SectionSeats,
    standing: &StudentTerm,
    companions: &[CourseId],
    history: &[CourseId],
) -> Option<ItemRefusal> {
    let met = |course: &CourseId| {
        companions.contains(course)
            || history.contains(course)
            // A seat that is only held may still go, and what was built on it would stand alone.
            || standing
                .entries
                .iter()
                .any(|entry| entry.course == *course && entry.state == EntryState::Registered)
    };
    (!seats.course.corequisites.iter().all(met)).then(|| ItemRefusal::new(ItemCode::CoreqRequired))
}

fn conflicts(seats: &SectionSeats, standing: &StudentTerm) -> Vec<ItemRefusal> {
    let clashes = |entry: &&Entry| {
        entry.section != seats.section
            && entry
                .meetings
                .iter()
                .any(|theirs| seats.meetings.iter().any(|ours| ours.clashes_with(theirs)))
    };
    let clashing = standing.entries.iter().filter(clashes);
    clashing.map(|entry| ItemRefusal::with(ItemCode::TimeConflict, entry.section)).collect()
}

fn entry(seats: &SectionSeats, registration: RegistrationId) -> Entry {
    Entry {
        registration,
        section: seats.section,
        course: seats.course.id,
        corequisites: seats.course.corequisites.clone(),
        credits_hundredths: seats.credits_hundredths,
        meetings: seats.meetings.clone(),
        state: EntryState::Held,
    }
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionOffered};
    use kernel::{Id, Weekday};
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2027-01-15T08:30:00Z";

    fn section(name: &str, change: impl FnOnce(&mut SectionSeats)) -> SectionSeats {
        let mut seats = SectionSeats::offered(SectionOffered::example(), 0);
        seats.section = SectionId::derived_from(name);
        seats.course.id = CourseId::derived_from(name);
        seats.meetings.clear();
        change(&mut seats);
        seats
    }

    fn monday(from: i8, to: i8) -> Vec<Meeting> {
        let days = ["2027-02-01", "2027-06-30"].map(|day| day.parse().expect("a date"));
        let hours = (jiff_time(from), jiff_time(to));
        vec![Meeting::weekly(vec![Weekday::Monday], hours, (days[0], days[1]))]
    }

    fn jiff_time(hour: i8) -> kernel::Time {
        format!("{hour:02}:00").parse().expect("a time")
    }

    fn student_term() -> StudentTerm {
        StudentTerm::empty(PersonId::derived_from("ada"), TermId::derived_from("example"))
    }

    fn check(sections: &[SectionSeats], standing: &StudentTerm, now: &str) -> Decision {
        let seats = sections.iter().map(|seats| (seats.section, seats.clone())).collect();
        let items: Vec<_> = sections
            .iter()
            .map(|seats| (seats.section, RegistrationId::derived_from(&seats.section.to_string())))
            .collect();
        let cart = Cart { term: TermId::derived_from("example"), items: &items };
        decide(&cart, &seats, standing, &[], now.parse().expect("a timestamp"))
    }

    fn codes(decision: &Decision) -> Vec<ItemCode> {
        decision.failed.iter().flat_map(|item| &item.refusals).map(|refusal| refusal.code).collect()
    }

    #[test]
    fn apart_sections_make_apart_bundles_in_the_cart_s_order() {
        let decision = check(&[section("a", |_| ()), section("b", |_| ())], &student_term(), NOW);
        let bundles: Vec<_> =
            decision.bundles.iter().map(|bundle| bundle.entries[0].section).collect();
        assert_eq!(bundles, [SectionId::derived_from("a"), SectionId::derived_from("b")]);
    }

    #[test]
    fn corequisites_share_a_bundle_and_fall_together() {
        let lab = |full| {
            section("lab", |seats| {
                seats.course.corequisites = vec![CourseId::derived_from("lecture")];
                seats.taken = if full { seats.capacity } else { 0 };
            })
        };
        let lecture = section("lecture", |_| ());
        let decision = check(&[lecture.clone(), lab(false)], &student_term(), NOW);
        assert_eq!(decision.bundles.len(), 1);
        assert_eq!(decision.bundles[0].entries.len(), 2);
        let decision = check(&[lecture, lab(true)], &student_term(), NOW);
        assert_eq!(decision.bundles, []);
        assert_eq!(codes(&decision), [ItemCode::Closed, ItemCode::CoreqRequired]);
        assert_eq!(codes(&check(&[lab(false)], &student_term(), NOW)), [ItemCode::CoreqRequired]);
    }

    #[test]
    fn a_corequisite_counts_once_it_is_confirmed_and_not_while_its_seat_is_only_held() {
        let lecture = section("lecture", |_| ());
        let lab = section("lab", |seats| {
            seats.course.corequisites = vec![CourseId::derived_from("lecture")];
        });
        let registration = RegistrationId::derived_from("lecture");
        let mut standing = student_term();
        standing.entries.push(entry(&lecture, registration));
        let judged =
            |standing: &StudentTerm| codes(&check(std::slice::from_ref(&lab), standing, NOW));
        assert_eq!(judged(&standing), [ItemCode::CoreqRequired]);
        standing.confirm(registration);
        assert_eq!(judged(&standing), []);
    }

    #[test]
    fn all_codes_of_an_item_come_at_once() {
        let mut standing = student_term();
        standing.entries.push(entry(
            &section("a", |seats| {
                seats.meetings = monday(9, 11);
                seats.credits_hundredths = 4_400;
            }),
            RegistrationId::derived_from("a"),
        ));
        let clashing = section("b", |seats| {
            seats.meetings = monday(10, 12);
            seats.taken = seats.capacity;
        });
        let decision = check(&[clashing], &standing, NOW);
        assert_eq!(
            codes(&decision),
            [ItemCode::TimeConflict, ItemCode::MaxCredits, ItemCode::Closed]
        );
        assert_eq!(decision.failed[0].refusals[0].with, Some(SectionId::derived_from("a")));
    }

    #[test]
    fn new_items_are_judged_with_each_other() {
        let meets = |name, from, to| section(name, |seats| seats.meetings = monday(from, to));
        let decision = check(
            &[meets("a", 9, 11), meets("b", 10, 12), meets("c", 11, 12)],
            &student_term(),
            NOW,
        );
        assert_eq!(decision.bundles.len(), 2, "back to back is free");
        assert_eq!(codes(&decision), [ItemCode::TimeConflict]);
    }

    #[test]
    fn the_window_is_kept_to_the_second() {
        let at = |now| codes(&check(&[section("a", |_| ())], &student_term(), now));
        assert_eq!(at("2027-01-04T07:59:59Z"), [ItemCode::WindowNotOpen]);
        assert_eq!(at("2027-01-04T08:00:00Z"), []);
        assert_eq!(at("2027-02-12T22:59:59Z"), []);
        assert_eq!(at("2027-02-12T23:00:00Z"), [ItemCode::TermClosed]);
    }

    #[test]
    fn the_same_section_and_the_same_course_are_told_apart() {
        let mut standing = student_term();
        standing.entries.push(entry(&section("a", |_| ()), RegistrationId::derived_from("a")));
        assert_eq!(
            codes(&check(&[section("a", |_| ())], &standing, NOW)),
            [ItemCode::DuplicateSection]
        );
        let other = section("b", |seats| seats.course.id = CourseId::derived_from("a"));
        assert_eq!(codes(&check(&[other], &standing, NOW)), [ItemCode::DuplicateCourse]);
        let twice = [section("c", |_| ()), section("c", |_| ())];
        let decision = check(&twice, &student_term(), NOW);
        assert_eq!(
            (decision.bundles.len(), codes(&decision)),
            (1, vec![ItemCode::DuplicateSection])
        );
    }

    proptest! {
        #[test]
        fn every_item_passes_or_fails_and_limits_hold(
            specs in proptest::collection::vec((0_u32..2_000, 0_i64..3, 8_i8..18, 0_usize..8), 1..12),
        ) {
            let numbered = specs.iter().enumerate();
            let sections: Vec<SectionSeats> = numbered.map(|(at, (credits, capacity, hour, corequisite))| {
                section(&at.to_string(), |seats| {
                    seats.credits_hundredths = *credits;
                    seats.capacity = *capacity;
                    seats.meetings = monday(*hour, hour + 2);
                    if *corequisite < at {
                        seats.course.corequisites = vec![CourseId::derived_from(&corequisite.to_string())];
                    }
                })
            }).collect();
            let decision = check(&sections, &student_term(), NOW);
            let entries: Vec<&Entry> = decision.bundles.iter().flat_map(|bundle| &bundle.entries).collect();
            prop_assert_eq!(entries.len() + decision.failed.len(), sections.len());
            prop_assert!(entries.iter().map(|entry| entry.credits_hundredths).sum::<u32>() <= CREDITS_MAX_HUNDREDTHS);
            for (at, entry) in entries.iter().enumerate() {
                for other in &entries[..at] {
                    prop_assert!(!entry.meetings[0].clashes_with(&other.meetings[0]));
                }
                for corequisite in &entry.corequisites {
                    prop_assert!(entries.iter().any(|other| other.course == *corequisite));
                }
            }
        }
    }
}
