//! A free seat goes to the first in line who can take it. Who cannot keeps their place, with the reason; what nobody in
//! line can take is everybody's.

use events::{DropReason, WaitlistMode, WaitlistState};
use jiff::SignedDuration;
use kernel::{BundleId, Id, RegistrationId, SectionId, SubmissionId};
use shell::{Failure, Fault, Refuse, run_step};
use table::{Change, Field, Stored, Transaction};

use super::joining::without_swap;
use crate::Ctx;
use crate::domain::{
    Background, Cart, Door, ItemCode, Line, Place, PlannedBundle, Refusal, SeatOffer, SectionSeats,
    Submission, WaitlistEntry, decide, end_of,
};
use crate::store::{self, Cause, Departure, Holding, Seat, Situation};

/// Students who are asked in one invocation: four calls each.
const ASKED_MAX: usize = 25;

/// Who acts where nobody does.
const BY: &str = "waitlist";

/// What became of one place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Served,
    /// Not now, or no longer there.
    PassedOver,
    NoSeat,
}

/// Goes through the line until no seat is free. Answers the position where the next invocation has to go on.
pub async fn serve_line(
    ctx: &Ctx,
    section: SectionId,
    after: Option<i64>,
    cause: Cause<'_>,
) -> Result<Option<i64>, Failure> {
    let Some(state) = line_state(ctx, section, cause).await? else {
        return Ok(None);
    };
    let waits = |place: &Place| {
        place.offered_until.is_none() && after.is_none_or(|after| place.position > after)
    };
    let sections = state.sections.iter().map(|seats| seats.section);
    let line = store::line_of(&ctx.table, sections).await?;
    let line: Vec<Place> = line.into_iter().filter(waits).collect();
    let mut served = false;
    for place in line.iter().take(ASKED_MAX) {
        // On the heap: with a whole situation in it, it is large.
        let outcome = Box::pin(run_step(async || serve(ctx, place, cause).await)).await?;
        served |= outcome == Outcome::Served;
        // Another section of a cross-list may still have a seat.
        if outcome == Outcome::NoSeat && state.sections.len() == 1 {
            // Whoever was served has left nothing passed on.
            return if served { Ok(None) } else { pass_on(ctx, &state).await.map(|()| None) };
        }
    }
    if let Some(last) = line.get(ASKED_MAX - 1).filter(|_| line.len() > ASKED_MAX) {
        return Ok(Some(last.position));
    }
    if served {
        // What is free still is offered to all of them once more.
        return Ok(Some(0));
    }
    pass_on(ctx, &state).await?;
    Ok(None)
}

/// The sections that have one line, with what they share: one, or those of a cross-list.
struct LineState {
    sections: Vec<SectionSeats>,
    background: Background,
}

impl LineState {
    fn line(&self) -> &Line {
        self.background.line(&self.sections[0])
    }

    /// Seats that anybody might take.
    fn free_generally(&self) -> i64 {
        let today = self.background.today;
        let free = self.sections.iter().map(|seats| seats.free_generally(today)).sum::<i64>();
        let shared = self.background.shared_with(&self.sections[0]);
        shared.map_or(free, |shared| free.min(shared.capacity - shared.taken)).max(0)
    }

    /// Where somebody picks, it is not known who can take what is free.
    fn is_picked_from(&self) -> bool {
        let picks = |seats: &SectionSeats| seats.waitlist.mode == WaitlistMode::Manual;
        self.sections.iter().any(picks)
    }
}

/// Nothing where nobody stands in line.
async fn line_state(
    ctx: &Ctx,
    section: SectionId,
    cause: Cause<'_>,
) -> Result<Option<LineState>, Failure> {
    let stored = ctx.table.get(&store::seats_key(section)).await?;
    let Some(seats) = stored.map(|stored| stored.value) else { return Ok(None) };
    let of_it = [(section, seats.clone())].into();
    let shared_seats = store::shared_seats(&ctx.table, &of_it).await?;
    let today = ctx.date(cause.now);
    let background = Background { today, shared_seats, ..Background::default() };
    if background.line(&seats).waiting == 0 {
        return Ok(None);
    }
    let others = background.shared_with(&seats).map(|shared| &shared.sections);
    let others = others.into_iter().flatten().filter(|other| **other != section);
    let keys: Vec<_> = others.map(|other| store::seats_key(*other)).collect();
    let mut sections = vec![seats];
    let mut batch = ctx.table.get_batch(keys.iter().map(Into::into).collect()).await?;
    for key in &keys {
        sections.extend(batch.take(key)?.map(|stored| stored.value));
    }
    Ok(Some(LineState { sections, background }))
}

/// One section, or those of its cross-list, which are one class.
pub fn sections_of(seats: &SectionSeats, background: &Background) -> Vec<SectionId> {
    let shared = background.shared_with(seats).map(|shared| &shared.sections);
    let shared = shared.filter(|sections| !sections.is_empty());
    shared.map_or_else(|| vec![seats.section], |sections| sections.iter().copied().collect())
}

/// Nobody in line can take the seats that are free: they are everybody's, as long as all is as it was seen.
async fn pass_on(ctx: &Ctx, state: &LineState) -> Result<(), Failure> {
    let (line, free) = (state.line(), state.free_generally());
    if state.is_picked_from() || free == line.passed {
        return Ok(());
    }
    let of = |name| Field::of_map("line", name);
    let mut transaction = ctx.table.transaction();
    let change = store::of_line(&state.sections[0], &state.background)
        .still(of("waiting"), line.waiting)
        .still(of("last_position"), line.last_position)
        .still(of("passed"), line.passed)
        .add(of("passed"), free - line.passed);
    transaction.change(change);
    for seats in &state.sections {
        let key = store::seats_key(seats.section);
        transaction.change(Change::of(&key).still("taken", seats.taken));
    }
    if let Some(shared) = state.background.shared_with(&state.sections[0]) {
        let key = store::shared_seats_key(shared.cross_list);
        transaction.change(Change::of(&key).still("taken", shared.taken));
    }
    Ok(transaction.commit().await?)
}

/// Gives the seat to whoever stands at this place, as their section's list says, or notes why they cannot have it.
async fn serve(ctx: &Ctx, place: &Place, cause: Cause<'_>) -> Result<Outcome, Failure> {
    let key = store::waitlist_entry_key(place.entry);
    let Some(entry) = ctx.table.get(&key).await? else { return Ok(Outcome::PassedOver) };
    if entry.value.state != WaitlistState::Waiting {
        return Ok(Outcome::PassedOver);
    }
    let turn = turn(ctx, &entry.value, Door::Line, cause).await?;
    let mode = turn.seats().waitlist.mode;
    if !turn.seats().has_waitlist(turn.situation.background.today) {
        return Ok(Outcome::PassedOver);
    }
    match (turn.planned.as_ref(), mode) {
        (_, WaitlistMode::None | WaitlistMode::Manual) => Ok(Outcome::PassedOver),
        (Ok(_), WaitlistMode::Automatic) => {
            let mut transaction = ctx.table.transaction();
            write_registration(ctx, &mut transaction, entry, turn, (BY, cause))?;
            transaction.commit().await?;
            Ok(Outcome::Served)
        }
        (Ok(planned), WaitlistMode::Confirmation) => {
            let mut transaction = ctx.table.transaction();
            write_offer(ctx, &mut transaction, entry, &turn, planned, (BY, cause));
            transaction.commit().await?;
            Ok(Outcome::Served)
        }
        (Err(codes), _) if codes.iter().any(|code| code == ItemCode::Closed.code()) => {
            Ok(Outcome::NoSeat)
        }
        (Err(codes), _) => {
            let codes = codes.clone();
            note_skip(ctx, entry, codes, cause).await?;
            Ok(Outcome::PassedOver)
        }
    }
}

async fn note_skip(
    ctx: &Ctx,
    mut entry: Stored<WaitlistEntry>,
    codes: Vec<String>,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    if entry.value.skip(codes, cause.now) {
        let mut transaction = ctx.table.transaction();
        transaction.update(&entry);
        transaction.commit().await?;
    }
    Ok(())
}

/// What a seat would bring to somebody in line.
pub struct Turn {
    pub situation: Situation,
    pub section: SectionId,
    /// What is given up with it.
    pub leaving: Option<Departure>,
    /// What would be held, or the codes that speak against it.
    pub planned: Result<PlannedBundle, Vec<String>>,
    /// The same codes with all that belongs to them.
    pub refusal: Option<Refusal>,
}

impl Turn {
    pub fn seats(&self) -> &SectionSeats {
        &self.situation.seats[&self.section]
    }

    fn refused(situation: Situation, section: SectionId, refusal: Refusal) -> Self {
        let codes = vec![refusal.code().to_owned()];
        let (leaving, refusal) = (None, Some(refusal));
        Self { situation, section, leaving, planned: Err(codes), refusal }
    }
}

/// Judges somebody in line as on registering, without what they give up for it.
pub async fn turn(
    ctx: &Ctx,
    entry: &WaitlistEntry,
    door: Door<'_>,
    cause: Cause<'_>,
) -> Result<Turn, Failure> {
    let WaitlistEntry { id, student, term, section, .. } = *entry;
    let moment = (cause.now, ctx.date(cause.now));
    let situation = store::situation(ctx, student, term, &[section], moment).await?;
    if !situation.seats.contains_key(&section) {
        return Err(Fault::defect(format!("{id} waits for nothing")).into());
    }
    // What was to be given up may be gone already: then nothing is.
    let is_there = |it: &RegistrationId| {
        situation.student_term.entries.iter().any(|entry| entry.registration == *it)
    };
    let swap = entry.swap.filter(is_there);
    let standing = match without_swap(&situation.student_term, swap) {
        Ok(standing) => standing,
        Err(refusal) => return Ok(Turn::refused(situation, section, refusal)),
    };
    let items = [(section, registration_of(entry))];
    let cart = Cart { term, items: &items, door };
    let mut decision = decide(&cart, &situation.seats, &standing, &situation.background, cause.now);
    let Some(planned) = decision.bundles.pop() else {
        let refusals = decision.failed.iter().flat_map(|item| &item.refusals);
        let codes = refusals.map(|refusal| refusal.code.code().to_owned()).collect();
        let refusal = Some(Refusal::NothingRegistered(decision.failed));
        return Ok(Turn { situation, section, leaving: None, planned: Err(codes), refusal });
    };
    let leaving = match swap {
        Some(swap) => match give_up(ctx, swap, entry, cause).await? {
            Ok(departure) => Some(departure),
            Err(refusal) => return Ok(Turn::refused(situation, section, refusal)),
        },
        None => None,
    };
    Ok(Turn { situation, section, leaving, planned: Ok(planned), refusal: None })
}

/// The registrations that go when the seat comes, as they end.
async fn give_up(
    ctx: &Ctx,
    swap: RegistrationId,
    entry: &WaitlistEntry,
    cause: Cause<'_>,
) -> Result<Result<Departure, Refusal>, Failure> {
    let missing = || Fault::defect(format!("{swap} is in the student's term only"));
    let stored = ctx.table.get(&store::registration_key(swap)).await?.ok_or_else(missing)?;
    let mut departure = store::departure(&ctx.table, stored).await?;
    for registration in &mut departure.registrations {
        let until = registration.value.drop_until(departure.term.as_ref(), ctx.time_zone());
        if let Err(refusal) = registration.value.drop_by(entry.student, cause.now, until) {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(departure))
}

/// Follows from the entry: whoever is served twice gets one seat.
fn registration_of(entry: &WaitlistEntry) -> RegistrationId {
    RegistrationId::derived_from(&entry.id.to_string())
}

/// Holds the seat as a submission would, in one transaction with what is given up for it.
pub fn write_registration(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    mut entry: Stored<WaitlistEntry>,
    turn: Turn,
    (by, cause): (&str, Cause<'_>),
) -> Result<WaitlistEntry, Fault> {
    let Turn { situation, section, leaving, planned, .. } = turn;
    let defect = |_| Fault::defect(format!("{} cannot be served", entry.value.id));
    let planned = planned.map_err(defect)?;
    let was = entry.value.state;
    let origin = entry.value.id.to_string();
    let submission = Submission {
        id: SubmissionId::derived_from(&origin),
        student: entry.value.student,
        term: entry.value.term,
        failed: Vec::new(),
        submitted_at: cause.now,
    };
    transaction.create(&submission);
    let mut student_term = situation.student_term.clone();
    if let Some(mut leaving) = leaving {
        leaving.write(transaction, DropReason::StudentDropped, cause);
        for registration in &leaving.registrations {
            student_term.remove(registration.value.id);
        }
    }
    let pool = entry.value.offer.as_ref().map(|offer| offer.pool.clone());
    let door = pool.as_ref().map_or(Door::Line, |pool| Door::Offer { pool: pool.as_deref() });
    let (submission, zone) = (&submission, ctx.time_zone());
    let holding = Holding { submission, situation: &situation, zone, door, by, cause };
    let bundle = BundleId::derived_from(&origin);
    store::hold_seats(transaction, &holding, bundle, &planned);
    student_term.entries.extend(planned.entries);
    student_term.waits_no_more(entry.value.id);
    situation.write_student_term(transaction, &student_term);
    if was == WaitlistState::Waiting {
        leave(transaction, &entry.value, &situation, section);
    }
    entry.value.submission = Some(submission.id);
    entry.value.skipped = None;
    entry.value.become_state(WaitlistState::Registered, cause.now, by);
    store::write_entry(transaction, &entry, was, cause);
    Ok(entry.value)
}

/// Out of the count of those in line; what was passed on is looked at anew.
fn leave(
    transaction: &mut Transaction<'_>,
    entry: &WaitlistEntry,
    situation: &Situation,
    section: SectionId,
) {
    let (seats, background) = (&situation.seats[&section], &situation.background);
    store::leave_line(transaction, entry, seats, background);
    let passed = background.line(seats).passed;
    if passed > 0 {
        let of = || Field::of_map("line", "passed");
        let change = store::of_line(seats, background).still(of(), passed).add(of(), -passed);
        transaction.change(change);
    }
}

/// Holds the seat for the student until they answer, or the offer expires: at the end of the list at the latest.
pub fn write_offer(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    mut entry: Stored<WaitlistEntry>,
    turn: &Turn,
    planned: &PlannedBundle,
    (by, cause): (&str, Cause<'_>),
) -> WaitlistEntry {
    let (seats, background) = (turn.seats(), &turn.situation.background);
    let was = entry.value.state;
    for planned_entry in &planned.entries {
        let overrides = planned.overrides_of(planned_entry.registration);
        let pool = planned_entry.pool.as_deref();
        let seat = Seat { pool, door: Door::Line, overrides };
        store::take_seat(transaction, seats, seat, background);
    }
    transaction.change(Change::of(&store::seats_key(seats.section)).add("offered", 1));
    leave(transaction, &entry.value, &turn.situation, turn.section);
    let hours = i64::from(seats.waitlist.offer_hours);
    let expires_at = cause.now + SignedDuration::from_hours(hours);
    let list_ends = seats.waitlist.ends_on.and_then(|day| end_of(day, ctx.time_zone()));
    let expires_at = list_ends.map_or(expires_at, |end| expires_at.min(end));
    let pool = planned.entries.first().and_then(|entry| entry.pool.clone());
    entry.value.offer(SeatOffer { expires_at, pool }, cause.now, by);
    store::write_entry(transaction, &entry, was, cause);
    entry.value
}
