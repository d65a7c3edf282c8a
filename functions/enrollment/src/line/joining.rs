//! A student joins the line: judged as on registering, but for the seat itself, and for a clash that may be gone by
//! then.

use std::collections::BTreeSet;

use events::WaitlistState;
use kernel::{RegistrationId, SectionId, Timestamp, WaitlistEntryId};
use shell::{Failure, Fault};
use table::{Change, Field, Transaction};

use crate::domain::{
    Cart, Door, Entry, ItemCode, ItemRefusal, Refusal, SectionSeats, StudentTerm,
    WAITLISTED_CREDITS_MAX_HUNDREDTHS, WaitingFor, WaitlistEntry, WaitlistTransition, decide,
    populations,
};
use crate::store::{self, Cause, Situation};

/// Who joins, and what is given up when a seat comes.
#[derive(Debug, Clone, Copy)]
pub struct Joining {
    pub entry: WaitlistEntryId,
    pub section: SectionId,
    pub swap: Option<RegistrationId>,
    /// What a registration would be called: only to judge by.
    pub registration: RegistrationId,
}

/// Whether what speaks against the section is the lack of a seat alone, and the line takes one more.
pub fn judge(situation: &Situation, joining: Joining, now: Timestamp) -> Result<(), Failure> {
    let Joining { section, swap, registration, .. } = joining;
    let seats = situation.seats.get(&section).ok_or(Refusal::SectionUnknown)?;
    let background = &situation.background;
    if situation.student_term.waiting.iter().any(|waiting| waiting.section == section) {
        return Err(Refusal::WaitingAlready.into());
    }
    let standing = without_swap(&situation.student_term, swap)?;
    let stays =
        |it: &Entry| standing.entries.iter().any(|entry| entry.registration == it.registration);
    let mut leaving = situation.student_term.entries.iter().filter(|entry| !stays(entry));
    if leaving.any(|entry| entry.section == section) {
        return Err(Refusal::SwapImpossible.into());
    }
    let items = [(section, registration)];
    let cart = Cart { term: situation.student_term.term, items: &items, door: Door::Public };
    let mut decision = decide(&cart, &situation.seats, &standing, background, now);
    let Some(mut failed) = decision.failed.pop() else { return Err(Refusal::SeatIsFree.into()) };
    let lacks_seat = failed.refusals.iter().any(|refusal| is_of_seats(refusal.code));
    failed
        .refusals
        .retain(|refusal| !is_of_seats(refusal.code) && refusal.code != ItemCode::TimeConflict);
    if lacks_seat && !seats.has_waitlist(background.today) {
        return Err(Refusal::NoWaitlist.into());
    }
    let mut too_many = |code: ItemCode, is_reached: bool| {
        if is_reached && background.lifting(section, code).is_none() {
            failed.refusals.push(ItemRefusal::new(code));
        }
    };
    too_many(ItemCode::WaitlistFull, seats.line.waiting >= i64::from(seats.waitlist.capacity));
    let credits = situation.student_term.waitlisted_credits_hundredths() + seats.credits_hundredths;
    too_many(ItemCode::MaxWaitlistedCredits, credits > WAITLISTED_CREDITS_MAX_HUNDREDTHS);
    match (failed.refusals.is_empty(), lacks_seat) {
        (true, true) => Ok(()),
        (true, false) => Err(Refusal::SeatIsFree.into()),
        (false, _) => Err(Refusal::NothingRegistered(vec![failed]).into()),
    }
}

fn is_of_seats(code: ItemCode) -> bool {
    matches!(code, ItemCode::Closed | ItemCode::ReservedClosed | ItemCode::WaitlistOnly)
}

/// The student's term as it would be without what is given up.
pub fn without_swap(
    term: &StudentTerm,
    swap: Option<RegistrationId>,
) -> Result<StudentTerm, Refusal> {
    let Some(swap) = swap else { return Ok(term.clone()) };
    if !term.entries.iter().any(|entry| entry.registration == swap) || term.is_required(swap) {
        return Err(Refusal::SwapImpossible);
    }
    Ok(term.without(&term.left_together(swap)))
}

/// Puts the student at the end of the line. The seats must still be as they were judged: one that was freed meanwhile
/// would go to nobody. Where one is free that those before could not take, the line is asked again.
pub fn write(
    transaction: &mut Transaction<'_>,
    situation: &Situation,
    student_term: &mut StudentTerm,
    joining: Joining,
    cause: Cause<'_>,
) -> Result<WaitlistEntry, Failure> {
    let missing = || Fault::defect(format!("{} was not judged", joining.section));
    let seats = situation.seats.get(&joining.section).ok_or_else(missing)?;
    let background = &situation.background;
    let line = background.line(seats);
    let position = line.last_position.max(seats.line.last_position) + 1;
    let mut populations = populations(seats, background);
    populations.retain(|population| seats.waiting_in_pools.contains_key(population));
    let entry = entry(seats, student_term, joining, (position, cause.now));
    let entry = WaitlistEntry { populations, ..entry };
    let of = |name| Field::of_map("line", name);
    store::change_line(transaction, seats, background, |change, line| {
        let grown = position - line.last_position;
        change
            .still(of("last_position"), line.last_position)
            .add(of("last_position"), grown)
            .add(of("waiting"), 1)
            .still(of("passed"), line.passed)
            .add(of("passed"), -line.passed)
    });
    let judged = Change::of(&store::seats_key(seats.section)).still("taken", seats.taken);
    let version = i64::try_from(seats.section_version).unwrap_or(i64::MAX);
    transaction.change(judged.still("section_version", version));
    if let Some(shared) = background.shared_with(seats) {
        let key = store::shared_seats_key(shared.cross_list);
        let judged = Change::of(&key).still("taken", shared.taken);
        transaction.change(judged.still("capacity", shared.capacity));
    }
    for population in &entry.populations {
        let waiting = Field::of_map("waiting_in_pools", population);
        transaction.change(Change::of(&store::seats_key(seats.section)).add(waiting, 1));
    }
    student_term.waiting.push(WaitingFor {
        entry: entry.id,
        section: entry.section,
        credits_hundredths: seats.credits_hundredths,
    });
    transaction.create(&entry);
    transaction.create(&entry.place());
    transaction.event(entry.changed(), 1, cause.now, cause.correlation_id);
    let any_free = match background.shared_with(seats) {
        Some(shared) => !shared.is_full(),
        None => seats.taken < seats.capacity,
    };
    if any_free {
        store::tell_free_seat(transaction, seats, format!("{} joined", entry.id), (1, cause));
    }
    Ok(entry)
}

fn entry(
    seats: &SectionSeats,
    student_term: &StudentTerm,
    joining: Joining,
    (position, now): (i64, Timestamp),
) -> WaitlistEntry {
    let by = student_term.student.to_string();
    WaitlistEntry {
        id: joining.entry,
        student: student_term.student,
        term: student_term.term,
        term_code: seats.term.code.clone(),
        section: seats.section,
        section_code: seats.code.clone(),
        course_title: seats.course.title.clone(),
        position,
        populations: BTreeSet::new(),
        swap: joining.swap,
        state: WaitlistState::Waiting,
        skipped: None,
        offer: None,
        submission: None,
        history: vec![WaitlistTransition { to: WaitlistState::Waiting, at: now, by }],
    }
}
