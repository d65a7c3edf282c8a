//! The decision on a cart: which items can be registered, in which bundles, and what speaks against the rest.

use std::collections::{BTreeMap, BTreeSet};

use events::{OfferedCourse, TermState};
use kernel::{
    AcademicRecord, Attempt, Calendar, CourseId, CrossListId, Date, GradeScale, Meeting, PersonId,
    Proof, ProofReason, RegistrationGroupId, RegistrationId, Requirement, SectionId, SubmissionId,
    TermId, TermWithdrawalId, Timestamp, Verdict, WaitlistEntryId,
};
use serde::{Deserialize, Serialize};

use table::Stored;

use super::{
    ATTEMPTS_MAX, ItemCode, ItemRefusal, Line, Link, Override, SectionLinks, SectionSeats,
    SectionStatus, SharedSeats, StoppedBy, StudentStatus, TermFacts, Turn, UsedOverride,
    WaitingFor,
};

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
    #[serde(default)]
    pub course_code: String,
    /// Courses that it was let in for: its corequisites, and what it requires and is taken together with.
    pub corequisites: Vec<CourseId>,
    pub credits_hundredths: u32,
    pub meetings: Vec<Meeting>,
    pub state: EntryState,
    /// It rests on a course that has no grade yet.
    #[serde(default)]
    pub provisional: bool,
    /// The list that its section shares seats with: its sections are one class.
    #[serde(default)]
    pub cross_list: Option<CrossListId>,
    /// The population of the pool that its seat is of; absent of a general one.
    #[serde(default)]
    pub pool: Option<String>,
    /// The registration group that it was taken with: what stands in the same is left together.
    #[serde(default)]
    pub group: Option<RegistrationGroupId>,
}

/// The versioned item that every registration of this student in this term passes through: two submissions at once
/// cannot pass the limits together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudentTerm {
    pub student: PersonId,
    pub term: TermId,
    /// When the term begins, where the catalog has said so: what was taken before another term is asked by it.
    #[serde(default)]
    pub first_day: Option<Date>,
    pub entries: Vec<Entry>,
    /// Sections that the student stands in line for.
    #[serde(default)]
    pub waiting: Vec<WaitingFor>,
    /// What the student gave up with a W.
    #[serde(default)]
    pub withdrawn: Vec<Entry>,
    /// The student has withdrawn from the whole term, or is about to.
    #[serde(default)]
    pub withdrawal: Option<TermWithdrawalId>,
}

impl StudentTerm {
    pub fn empty(student: PersonId, term: TermId) -> Self {
        Self {
            student,
            term,
            first_day: None,
            entries: Vec::new(),
            waiting: Vec::new(),
            withdrawn: Vec::new(),
            withdrawal: None,
        }
    }

    /// Whether the student, once these are given up, is registered for nothing any more in a term that has begun.
    pub fn would_be_empty(&self, given_up: &[RegistrationId], today: Date) -> bool {
        let has_begun = self.first_day.is_some_and(|first_day| first_day <= today);
        let stays = |entry: &Entry| {
            entry.state == EntryState::Registered && !given_up.contains(&entry.registration)
        };
        has_begun && !self.entries.iter().any(stays)
    }

    /// A registration's grade is told: it rests on nothing any more that may still come.
    pub fn settle(&mut self, registration: RegistrationId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.registration == registration) {
            entry.provisional = false;
        }
    }

    /// A registration is given up with a W.
    pub fn withdraw(&mut self, registration: RegistrationId) {
        let withdrawn = |entry: &mut Entry| entry.registration == registration;
        self.withdrawn.extend(self.entries.extract_if(.., withdrawn));
    }

    /// The registrations that are left together with this one, itself included.
    pub fn left_together(&self, registration: RegistrationId) -> Vec<RegistrationId> {
        let entry = self.entries.iter().find(|entry| entry.registration == registration);
        let group = entry.and_then(|entry| entry.group);
        let linked = self.entries.iter().filter(|other| group.is_some() && other.group == group);
        let mut together = vec![registration];
        together
            .extend(linked.map(|other| other.registration).filter(|other| *other != registration));
        together
    }

    /// As if these registrations had been given up.
    #[must_use]
    pub fn without(&self, registrations: &[RegistrationId]) -> Self {
        let mut without = self.clone();
        for registration in registrations {
            without.remove(*registration);
        }
        without
    }

    pub fn waits_no_more(&mut self, entry: WaitlistEntryId) {
        self.waiting.retain(|waiting| waiting.entry != entry);
    }

    pub fn waitlisted_credits_hundredths(&self) -> u32 {
        self.waiting.iter().map(|waiting| waiting.credits_hundredths).sum()
    }

    pub fn credits_hundredths(&self) -> u32 {
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

/// What is known beside the cart, the sections and the student's term.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Background {
    /// Nothing where the catalog's word of the term has not come yet: then the sections' own word of it counts.
    pub term: Option<TermFacts>,
    pub calendar: Calendar,
    /// The institution's own date.
    pub today: Date,
    /// Courses that are behind the student.
    pub history: Vec<CourseId>,
    /// What requirements are judged by.
    pub record: AcademicRecord,
    /// What grades compare by.
    pub scale: GradeScale,
    /// How often the student has taken a course before, by its code.
    pub attempts: BTreeMap<String, u32>,
    pub status: StudentStatus,
    /// Holds that stop the student now.
    pub holds: Vec<StoppedBy>,
    /// Seats that the cart's sections share with others.
    pub shared_seats: BTreeMap<CrossListId, SharedSeats>,
    /// The registration groups that the cart's sections are in.
    pub links: BTreeMap<SectionId, SectionLinks>,
    /// The student's overrides that are in force.
    pub overrides: Vec<Stored<Override>>,
}

impl Background {
    pub fn prove(&self, requirement: &Requirement) -> Proof {
        requirement.prove(&self.record, &self.scale)
    }

    /// How often the student has taken the section's course before, under whichever of its codes.
    pub fn attempts_at(&self, course: &OfferedCourse) -> u32 {
        let same =
            [&course.code].into_iter().chain(&course.equivalents).chain(&course.cross_listed);
        let codes: BTreeSet<&String> = same.collect();
        codes.into_iter().filter_map(|code| self.attempts.get(code)).sum()
    }

    /// What lets the student pass this rule in this section.
    pub fn lifting(&self, section: SectionId, code: ItemCode) -> Option<&Stored<Override>> {
        self.overrides.iter().find(|stored| stored.value.lifts(section, code))
    }

    /// The seats that the section shares with others.
    pub fn shared_with(&self, seats: &SectionSeats) -> Option<&SharedSeats> {
        seats.cross_listing.and_then(|listing| self.shared_seats.get(&listing.cross_list))
    }

    /// Where one stands in line for the section.
    pub fn line<'a>(&'a self, seats: &'a SectionSeats) -> &'a Line {
        self.shared_with(seats).map_or(&seats.line, |shared| &shared.line)
    }
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

/// By which way a student comes to a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// As everybody: behind those who wait.
    Public,
    /// It is their turn in the line.
    Line,
    /// A seat of this pool, or a general one, is held for them.
    Offer { pool: Option<&'a str> },
}

/// Sections in the order the student put them, each with the id that its registration would get.
#[derive(Debug, Clone)]
pub struct Cart<'a> {
    pub term: TermId,
    pub items: &'a [(SectionId, RegistrationId)],
    pub door: Door<'a>,
}

/// Registrations that stand or fall together.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedBundle {
    pub entries: Vec<Entry>,
    /// What had to be lifted for each.
    pub overrides: BTreeMap<RegistrationId, Vec<UsedOverride>>,
}

impl PlannedBundle {
    pub fn overrides_of(&self, registration: RegistrationId) -> &[UsedOverride] {
        self.overrides.get(&registration).map(Vec::as_slice).unwrap_or_default()
    }
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
    background: &Background,
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
            Some(seats) => known.push((seats, *registration)),
            None => decision
                .failed
                .push(failed(*section, vec![ItemRefusal::new(ItemCode::SectionUnknown)])),
        }
    }
    let items = items(&known, standing, background);
    for bundle in bundles(&items, background) {
        let (planned, mut refused) = judge(cart, &bundle, &passed, background, now);
        if refused.is_empty() {
            passed.entries.extend(planned.entries.clone());
            decision.bundles.push(planned);
            continue;
        }
        // The others of a bundle fall with the one that failed.
        let culprit = refused[0].section;
        for item in &bundle {
            if !refused.iter().any(|failed| failed.section == item.seats.section) {
                let code = if item.is_linked_with(culprit) {
                    ItemCode::LinkRequired
                } else {
                    ItemCode::CoreqRequired
                };
                refused.push(failed(item.seats.section, vec![ItemRefusal::with(code, culprit)]));
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
    /// The choice of linked sections that the cart, with what the student has, makes whole.
    link: Option<&'a Link>,
    carries_credits: bool,
}

fn items<'a>(
    known: &[(&'a SectionSeats, RegistrationId)],
    standing: &StudentTerm,
    background: &'a Background,
) -> Vec<Item<'a>> {
    let held: BTreeSet<SectionId> = standing.entries.iter().map(|entry| entry.section).collect();
    let carrying = standing.entries.iter().filter(|entry| entry.credits_hundredths > 0);
    let carrying: BTreeSet<SectionId> = carrying.map(|entry| entry.section).collect();
    let mut there = held;
    there.extend(known.iter().map(|(seats, _)| seats.section));
    let item = |(seats, registration): &(&'a SectionSeats, RegistrationId)| {
        let links = background.links.get(&seats.section);
        let link = links.and_then(|links| links.complete(&there));
        let bearer = link.and_then(|link| link.bearer(|section| carrying.contains(&section)));
        let carries_credits = bearer.is_none_or(|bearer| bearer == seats.section);
        Item { seats, registration: *registration, link, carries_credits }
    };
    known.iter().map(item).collect()
}

impl Item<'_> {
    /// Whether this one needs the other to be taken together with it.
    fn leans_on(&self, other: &Self, background: &Background) -> bool {
        let (course, other_course) = (&self.seats.course, &other.seats.course);
        let needs_company = course.prerequisites.as_ref().is_some_and(|requirement| {
            requirement.courses().get(other_course.code.as_str()) == Some(&false)
                && background.prove(requirement).verdict == Verdict::NotMet
        });
        course.corequisites.contains(&other_course.id)
            || needs_company
            || self.is_linked_with(other.seats.section)
    }

    fn is_linked_with(&self, section: SectionId) -> bool {
        self.link.is_some_and(|link| link.sections.contains(&section))
    }

    fn credits_hundredths(&self) -> u32 {
        if self.carries_credits { self.seats.credits_hundredths } else { 0 }
    }
}

/// Connected components over what is taken together, each in the cart's order.
fn bundles<'a>(items: &[Item<'a>], background: &Background) -> Vec<Vec<Item<'a>>> {
    let mut bundles: Vec<Vec<Item<'_>>> = Vec::new();
    for item in items {
        let linked =
            |other: &Item<'_>| item.leans_on(other, background) || other.leans_on(item, background);
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
    cart: &Cart<'_>,
    bundle: &[Item<'_>],
    standing: &StudentTerm,
    background: &Background,
    now: Timestamp,
) -> (PlannedBundle, Vec<FailedItem>) {
    let mut with = standing.clone();
    let mut overrides = BTreeMap::new();
    let mut refused = Vec::new();
    for item in bundle {
        let Item { seats, registration, .. } = item;
        let proof = prerequisites(seats, bundle, standing, background);
        let mut refusals: Vec<ItemRefusal> =
            window(cart.term, seats, background, now).into_iter().collect();
        refusals.extend(of_student(standing, background));
        refusals.extend(of_section(item, bundle, &with, background));
        refusals.extend(unproven(proof.as_ref().map(|(proof, _)| proof)));
        refusals.extend(waiting(seats, cart.door, standing));
        let seat = seat(seats, cart.door, background);
        let codes = seat.as_ref().err().into_iter().flatten();
        refusals.extend(codes.map(|code| ItemRefusal::new(*code)));
        refusals.sort_by_key(|refusal| refusal.code);
        let permitted = proof.as_ref().and_then(|(_, permitted)| permitted.clone());
        let (mut used, refusals) = lift(cart.term, seats, refusals, background);
        used.extend(permitted.filter(|permitted| !used.contains(permitted)));
        if refusals.is_empty() {
            let proof = proof.map(|(proof, _)| proof);
            with.entries.push(Entry {
                corequisites: leaned_on(seats, proof.as_ref(), bundle, standing),
                provisional: proof.is_some_and(|proof| proof.verdict == Verdict::Provisional),
                pool: seat.unwrap_or_default(),
                credits_hundredths: item.credits_hundredths(),
                group: item.link.map(|link| link.group),
                ..entry(seats, *registration)
            });
            overrides.insert(*registration, used);
        } else {
            refused.push(failed(seats.section, refusals));
        }
    }
    overrides.retain(|_, used| !used.is_empty());
    let entries = with.entries.split_off(standing.entries.len());
    (PlannedBundle { entries, overrides }, refused)
}

/// Takes away what an override lifts, each its own rule and no other. A section of another term stays one.
fn lift(
    term: TermId,
    seats: &SectionSeats,
    refusals: Vec<ItemRefusal>,
    background: &Background,
) -> (Vec<UsedOverride>, Vec<ItemRefusal>) {
    let mut used: Vec<UsedOverride> = Vec::new();
    let mut left = Vec::new();
    for refusal in refusals {
        let lifting = background.lifting(seats.section, refusal.code);
        match lifting.filter(|_| seats.term.id == term) {
            Some(lifting) if used.iter().any(|used| used.id == lifting.value.id) => {}
            Some(lifting) => used.push(lifting.value.used()),
            None => left.push(refusal),
        }
    }
    (used, left)
}

/// What speaks against everything that the student might register for.
fn of_student(standing: &StudentTerm, background: &Background) -> Vec<ItemRefusal> {
    let mut refusals = Vec::new();
    if standing.withdrawal.is_some() {
        refusals.push(ItemRefusal::new(ItemCode::TermWithdrawn));
    }
    if !background.holds.is_empty() {
        refusals.push(ItemRefusal::held(background.holds.clone()));
    }
    if background.status != StudentStatus::Active {
        refusals.push(ItemRefusal::new(ItemCode::StatusIneligible));
    }
    refusals
}

/// What speaks against this section beside what comes before it and its seats.
fn of_section(
    item: &Item<'_>,
    bundle: &[Item<'_>],
    with: &StudentTerm,
    background: &Background,
) -> Vec<ItemRefusal> {
    let seats = item.seats;
    let companions: Vec<CourseId> = bundle.iter().map(|item| item.seats.course.id).collect();
    let mut refusals = Vec::new();
    if seats.status != SectionStatus::Offered {
        refusals.push(ItemRefusal::new(ItemCode::SectionNotOffered));
    }
    refusals.extend(duplicates(item, with));
    refusals.extend(restriction(seats, background));
    refusals.extend(corequisites(seats, with, &companions, &background.history));
    refusals.extend(unlinked(item, bundle, with, background));
    if seats.permission_required {
        refusals.push(ItemRefusal::new(ItemCode::InstructorPermission));
    }
    refusals.extend(conflicts(seats, with, &background.calendar));
    if with.credits_hundredths() + item.credits_hundredths() > CREDITS_MAX_HUNDREDTHS {
        refusals.push(ItemRefusal::new(ItemCode::MaxCredits));
    }
    let attempts_max = seats.course.attempts_max.unwrap_or(ATTEMPTS_MAX);
    if background.attempts_at(&seats.course) >= attempts_max {
        refusals.push(ItemRefusal::new(ItemCode::RepeatLimit));
    }
    refusals
}

/// A linked section is taken with the others of one of its choices.
fn unlinked(
    item: &Item<'_>,
    bundle: &[Item<'_>],
    with: &StudentTerm,
    background: &Background,
) -> Option<ItemRefusal> {
    let links = background.links.get(&item.seats.section)?;
    if item.link.is_some() || links.standing().next().is_none() {
        return None;
    }
    let mut there: BTreeSet<SectionId> = bundle.iter().map(|item| item.seats.section).collect();
    there.extend(with.entries.iter().map(|entry| entry.section));
    Some(ItemRefusal::unlinked(links.incomplete(&there)))
}

/// A restriction keeps no seats; whoever meets one of them is let in.
fn restriction(seats: &SectionSeats, background: &Background) -> Option<ItemRefusal> {
    let any = match seats.restrictions.as_slice() {
        [] => return None,
        [one] => one.clone(),
        several => Requirement::Any(several.to_vec()),
    };
    let proof = background.prove(&any);
    let code = match proof.missing().first().map(|missing| &missing.requirement) {
        None => return None,
        Some(Requirement::Program(_)) => ItemCode::RestrictionProgramme,
        Some(Requirement::Standing(_)) => ItemCode::RestrictionLevel,
        Some(_) => ItemCode::RestrictionAttribute,
    };
    (proof.verdict == Verdict::NotMet).then(|| ItemRefusal::unproven(code, proof))
}

fn unproven(proof: Option<&Proof>) -> Option<ItemRefusal> {
    let proof = proof.filter(|proof| proof.verdict == Verdict::NotMet)?;
    let missing = proof.missing();
    let only = |of_kind: fn(&Requirement) -> bool| {
        missing.iter().all(|missing| of_kind(&missing.requirement))
    };
    let code = if only(|requirement| matches!(requirement, Requirement::Test { .. })) {
        ItemCode::TestScore
    } else if only(|requirement| *requirement == Requirement::Permission) {
        ItemCode::InstructorPermission
    } else {
        ItemCode::PrereqNotMet
    };
    Some(ItemRefusal::unproven(code, proof.clone()))
}

/// Whoever stands in line comes to a seat by the line alone: else the line would seat them once more later.
fn waiting(seats: &SectionSeats, door: Door<'_>, standing: &StudentTerm) -> Option<ItemRefusal> {
    let waits = standing.waiting.iter().any(|waiting| waiting.section == seats.section);
    (door == Door::Public && waits).then(|| ItemRefusal::new(ItemCode::WaitingAlready))
}

/// A seat of the section's own, and one of those that it shares; behind those who wait for it.
fn seat(
    seats: &SectionSeats,
    door: Door<'_>,
    background: &Background,
) -> Result<Option<String>, Vec<ItemCode>> {
    if let Door::Offer { pool } = door {
        return Ok(pool.map(str::to_owned));
    }
    if background.shared_with(seats).is_some_and(SharedSeats::is_full) {
        return Err(vec![ItemCode::Closed]);
    }
    let today = background.today;
    let (pool, mut codes) = match seats.seat_for(&background.record, &background.scale, today) {
        Ok(pool) => (pool, Vec::new()),
        // Whoever is let in all the same stands behind the line as everybody.
        Err(ItemCode::ReservedClosed) => (None, vec![ItemCode::ReservedClosed]),
        Err(code) => return Err(vec![code]),
    };
    let turn = seats.turn(pool.as_deref(), background.line(seats), today);
    if door == Door::Public && turn == Turn::OthersFirst {
        codes.push(ItemCode::WaitlistOnly);
    }
    if codes.is_empty() { Ok(pool) } else { Err(codes) }
}

/// The populations with reserved seats in the section that the student belongs to.
pub fn populations(seats: &SectionSeats, background: &Background) -> BTreeSet<String> {
    seats.populations_of(&background.record, &background.scale)
}

/// By the catalog's last word of the term. Whoever is in a population with a window of its own may use that one too.
fn window(
    term: TermId,
    seats: &SectionSeats,
    background: &Background,
    now: Timestamp,
) -> Option<ItemRefusal> {
    let known = background.term.as_ref().filter(|known| known.term == seats.term.id);
    let state = known.map_or(seats.term.state, |known| known.state);
    let own = known
        .map_or((seats.term.registration_opens_at, seats.term.registration_closes_at), |known| {
            (known.registration_opens_at, known.registration_closes_at)
        });
    let of_population = known
        .into_iter()
        .flat_map(|known| &known.windows)
        .filter(|window| background.prove(&window.population).verdict != Verdict::NotMet);
    let mut windows: Vec<_> =
        of_population.map(|window| (window.opens_at, window.closes_at)).collect();
    if windows.is_empty() {
        windows.push(own);
    }
    if seats.term.id != term || state == TermState::Closed {
        return Some(ItemRefusal::new(ItemCode::TermClosed));
    }
    if state != TermState::Published {
        return Some(ItemRefusal::new(ItemCode::WindowNotOpen));
    }
    if known.is_some_and(|known| known.is_closed_to_adding(background.today)) {
        return Some(ItemRefusal::new(ItemCode::TermClosed));
    }
    let is_open =
        |(opens_at, closes_at): &(Timestamp, Timestamp)| *opens_at <= now && now <= *closes_at;
    let any_open = windows.iter().any(is_open);
    let any_to_come = windows.iter().any(|(opens_at, _)| now < *opens_at);
    match (any_open, any_to_come) {
        (true, _) => None,
        (false, true) => Some(ItemRefusal::new(ItemCode::WindowNotOpen)),
        (false, false) => Some(ItemRefusal::new(ItemCode::TermClosed)),
    }
}

/// Judges what was let in before once more, by what is known now; nothing where nothing is required.
pub fn prove_again(
    seats: &SectionSeats,
    registration: RegistrationId,
    standing: &StudentTerm,
    background: &Background,
) -> Option<Proof> {
    let others = standing.without(&[registration]);
    prerequisites(seats, &[], &others, background).map(|(proof, _)| proof)
}

/// The proof of the course's prerequisites, where it has some, and the permission that it rests on. What is confirmed
/// in this term counts like what is submitted together.
fn prerequisites(
    seats: &SectionSeats,
    bundle: &[Item<'_>],
    standing: &StudentTerm,
    background: &Background,
) -> Option<(Proof, Option<UsedOverride>)> {
    let requirement = seats.course.prerequisites.as_ref()?;
    let confirmed = standing.entries.iter().filter(|entry| entry.state == EntryState::Registered);
    let confirmed = confirmed.map(|entry| &entry.course_code);
    let submitted = bundle.iter().map(|item| &item.seats.course.code);
    let mut record = background.record.clone();
    for code in confirmed.chain(submitted).filter(|code| **code != seats.course.code) {
        record.courses.entry(code.clone()).or_default().push(Attempt::Together);
    }
    let proof = requirement.prove(&record, &background.scale);
    let permission = background.lifting(seats.section, ItemCode::InstructorPermission);
    let permission = permission.filter(|_| proof.verdict == Verdict::NotMet);
    let Some(permission) = permission else { return Some((proof, None)) };
    record.permission = true;
    let permitted = requirement.prove(&record, &background.scale);
    let used = (permitted.verdict != Verdict::NotMet).then(|| permission.value.used());
    Some((permitted, used))
}

/// Corequisites, and the courses that the proof rests on because they are taken together: none of them can be dropped
/// alone.
fn leaned_on(
    seats: &SectionSeats,
    proof: Option<&Proof>,
    bundle: &[Item<'_>],
    standing: &StudentTerm,
) -> Vec<CourseId> {
    let submitted = bundle.iter().map(|item| (&item.seats.course.code, item.seats.course.id));
    let standing = standing.entries.iter().map(|entry| (&entry.course_code, entry.course));
    let together = proof.map(taken_together).unwrap_or_default();
    let mut courses = seats.course.corequisites.clone();
    for (code, course) in submitted.chain(standing) {
        if together.contains(code.as_str()) && !courses.contains(&course) {
            courses.push(course);
        }
    }
    courses
}

fn taken_together(proof: &Proof) -> BTreeSet<&str> {
    match &proof.reason {
        ProofReason::TakenTogether { course } => BTreeSet::from([course.as_str()]),
        _ => proof.branches.iter().flat_map(taken_together).collect(),
    }
}

/// Linked sections are of one course, and no duplicates of each other.
fn duplicates(item: &Item<'_>, standing: &StudentTerm) -> Option<ItemRefusal> {
    let seats = item.seats;
    let list = seats.cross_listing.map(|listing| listing.cross_list);
    let is_same = |entry: &&Entry| {
        let is_linked = entry.section != seats.section && item.is_linked_with(entry.section);
        (entry.course == seats.course.id && !is_linked)
            || (list.is_some() && entry.cross_list == list)
    };
    let same = standing.entries.iter().find(is_same)?;
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

/// All meetings against all meetings of what the student has, without holidays and with the ways between buildings.
fn conflicts(
    seats: &SectionSeats,
    standing: &StudentTerm,
    calendar: &Calendar,
) -> Vec<ItemRefusal> {
    let clashes = |entry: &&Entry| {
        entry.section != seats.section
            && calendar.first_clash(&seats.meetings, &entry.meetings).is_some()
    };
    let clashing = standing.entries.iter().filter(clashes);
    clashing.map(|entry| ItemRefusal::with(ItemCode::TimeConflict, entry.section)).collect()
}

/// A held seat as it stands in the student's term.
pub fn entry(seats: &SectionSeats, registration: RegistrationId) -> Entry {
    Entry {
        registration,
        section: seats.section,
        course: seats.course.id,
        course_code: seats.course.code.clone(),
        corequisites: seats.course.corequisites.clone(),
        credits_hundredths: seats.credits_hundredths,
        meetings: seats.meetings.clone(),
        state: EntryState::Held,
        provisional: false,
        cross_list: seats.cross_listing.map(|listing| listing.cross_list),
        pool: None,
        group: None,
    }
}

#[cfg(test)]
mod tests {
    use events::{Event, SectionOffered};
    use kernel::{Id, Weekday};
    use proptest::prelude::*;

    use super::super::{AcademicBackground, History};
    use super::*;

    const NOW: &str = "2027-01-15T08:30:00Z";

    fn section(name: &str, change: impl FnOnce(&mut SectionSeats)) -> SectionSeats {
        let mut seats = SectionSeats::offered(SectionOffered::example(), None);
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
        let cart =
            Cart { term: TermId::derived_from("example"), items: &items, door: Door::Public };
        decide(&cart, &seats, standing, &Background::default(), now.parse().expect("a timestamp"))
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

    fn requiring(name: &str, requirement: &str) -> SectionSeats {
        section(name, |seats| {
            seats.course.code = name.to_uppercase();
            seats.course.prerequisites = Some(requirement.parse().expect("a requirement"));
        })
    }

    fn plain(name: &str) -> SectionSeats {
        section(name, |seats| seats.course.code = name.to_uppercase())
    }

    fn check_with(
        sections: &[SectionSeats],
        standing: &StudentTerm,
        record: AcademicRecord,
    ) -> Decision {
        let seats = sections.iter().map(|seats| (seats.section, seats.clone())).collect();
        let id = |seats: &SectionSeats| RegistrationId::derived_from(&seats.code);
        let items: Vec<_> = sections.iter().map(|seats| (seats.section, id(seats))).collect();
        let cart =
            Cart { term: TermId::derived_from("example"), items: &items, door: Door::Public };
        let background = Background { record, ..Background::default() };
        decide(&cart, &seats, standing, &background, NOW.parse().expect("a timestamp"))
    }

    fn under_way(codes: &[&str]) -> AcademicRecord {
        let courses = codes.iter().map(|code| ((*code).to_owned(), vec![Attempt::InProgress]));
        AcademicRecord { courses: courses.collect(), ..AcademicRecord::default() }
    }

    #[test]
    fn a_prerequisite_that_is_not_met_is_refused_with_its_proof() {
        let next = requiring("next", "course(BASE, C) OR course(OTHER) AND permission");
        let decision =
            check_with(std::slice::from_ref(&next), &student_term(), AcademicRecord::default());
        assert_eq!(codes(&decision), [ItemCode::PrereqNotMet]);
        let refusal = &decision.failed[0].refusals[0];
        assert_eq!(refusal.missing(), ["course(BASE, C)"], "the shortest way");
        let branches = refusal.proof.as_ref().map(|proof| proof.branches.len());
        assert_eq!(branches, Some(2));
        let decision = check_with(&[next], &student_term(), under_way(&["BASE"]));
        assert_eq!(codes(&decision), []);
        assert!(decision.bundles[0].entries[0].provisional, "no grade is known yet");
    }

    #[test]
    fn what_must_come_before_is_not_met_by_taking_it_together() {
        let cart = [plain("base"), requiring("next", "course(BASE)")];
        let decision = check_with(&cart, &student_term(), AcademicRecord::default());
        assert_eq!(codes(&decision), [ItemCode::PrereqNotMet]);
        assert_eq!(decision.bundles.len(), 1, "the other one goes through");
    }

    #[test]
    fn what_may_be_taken_together_stands_and_falls_together() {
        let lab = requiring("lab", "course(LEC, concurrent)");
        let decision =
            check_with(&[lab.clone(), plain("lec")], &student_term(), AcademicRecord::default());
        assert_eq!(decision.bundles.len(), 1);
        let entries = &decision.bundles[0].entries;
        assert_eq!(entries[0].corequisites, [CourseId::derived_from("lec")], "not dropped alone");
        let full = section("lec", |seats| {
            seats.course.code = "LEC".into();
            seats.taken = seats.capacity;
        });
        let cart = [lab.clone(), full];
        let decision = check_with(&cart, &student_term(), AcademicRecord::default());
        assert_eq!(decision.bundles, []);
        // Whoever has had the lecture needs no company.
        let decision = check_with(&cart, &student_term(), under_way(&["LEC"]));
        assert_eq!(decision.bundles.len(), 1);
        let mut standing = student_term();
        let held = entry(&plain("lec"), RegistrationId::derived_from("lec"));
        standing.entries.push(held);
        let alone = check_with(std::slice::from_ref(&lab), &standing, AcademicRecord::default());
        assert_eq!(codes(&alone), [ItemCode::PrereqNotMet], "a held seat may still go");
        standing.entries[0].state = EntryState::Registered;
        let alone = check_with(&[lab], &standing, AcademicRecord::default());
        assert_eq!(codes(&alone), []);
    }

    #[test]
    fn a_course_is_taken_as_often_as_it_may_be_under_whichever_of_its_codes() {
        let limited = |change: fn(&mut SectionSeats)| {
            section("a", |seats| {
                seats.course.code = "A".into();
                change(seats);
            })
        };
        let codes_after = |attempts: &[(&str, u32)], seats: &SectionSeats| {
            let attempts = attempts.iter().map(|(code, taken)| ((*code).to_owned(), *taken));
            let background = Background { attempts: attempts.collect(), ..Background::default() };
            let items = [(seats.section, RegistrationId::derived_from("a"))];
            let cart = Cart { term: seats.term.id, items: &items, door: Door::Public };
            let seats = BTreeMap::from([(seats.section, seats.clone())]);
            let now = NOW.parse().expect("a timestamp");
            codes(&decide(&cart, &seats, &student_term(), &background, now))
        };
        let plain = limited(|_| ());
        assert_eq!(codes_after(&[("A", 2)], &plain), [], "the third time");
        assert_eq!(codes_after(&[("A", 3)], &plain), [ItemCode::RepeatLimit]);
        assert_eq!(codes_after(&[("B", 9)], &plain), []);
        let once = limited(|seats| seats.course.attempts_max = Some(1));
        assert_eq!(codes_after(&[("A", 1)], &once), [ItemCode::RepeatLimit]);
        let often = limited(|seats| seats.course.attempts_max = Some(100));
        assert_eq!(codes_after(&[("A", 99)], &often), [], "such as a choir");
        let known_otherwise = limited(|seats| {
            seats.course.equivalents = vec!["OLD".into()];
            seats.course.cross_listed = vec!["OTHER".into()];
        });
        let spread = [("A", 1), ("OLD", 1), ("OTHER", 1)];
        assert_eq!(codes_after(&spread, &known_otherwise), [ItemCode::RepeatLimit]);
        assert_eq!(codes_after(&spread[..2], &known_otherwise), []);
    }

    #[test]
    fn courses_of_earlier_terms_are_under_way_and_those_of_this_one_and_later_are_not() {
        let term = |name: &str, first_day: Option<&str>, state| {
            let mut term =
                StudentTerm::empty(PersonId::derived_from("ada"), TermId::derived_from(name));
            term.first_day = first_day.map(|day| day.parse().expect("a date"));
            let taken = entry(&plain(name), RegistrationId::derived_from(name));
            term.entries.push(Entry { state, ..taken });
            term
        };
        let registered = EntryState::Registered;
        let terms = [
            term("early", Some("2026-09-01"), registered),
            term("held", Some("2026-09-01"), EntryState::Held),
            term("late", Some("2027-09-01"), registered),
            term("unknown", None, registered),
        ];
        let mut history = History::empty(PersonId::derived_from("ada"));
        for (code, of_term) in [("OLD", "old"), ("NOW", "now")] {
            let of_term = BTreeSet::from([TermId::derived_from(of_term)]);
            history.course_codes.insert(code.into(), of_term);
        }
        let background = AcademicBackground {
            term: TermId::derived_from("now"),
            first_day: Some("2027-02-01".parse().expect("a date")),
            terms: &terms,
            history: &history,
            held_counts: false,
        };
        let record = background.record();
        assert_eq!(record.courses.keys().collect::<Vec<_>>(), ["EARLY", "OLD"]);
        let record = AcademicBackground { held_counts: true, ..background }.record();
        assert_eq!(record.courses.keys().collect::<Vec<_>>(), ["EARLY", "HELD", "OLD"]);
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
