//! Enrollment's items: how they lie in the table, and the transactions that move them together.

mod balance_holds;
mod census;
mod courses;
mod departure;
mod deputies;
mod holding;
mod past;
mod roster;
mod schedule;
mod seat_count;
mod seats;
mod students;
mod term_withdrawals;
mod waitlist;

pub use balance_holds::balance_hold_key;
pub use census::{
    TermSection, census_entries, census_entry_key, census_key, due_censuses, term_sections,
};
pub use courses::{
    CourseFacts, CourseSection, begin_course_update, course_facts_key, course_sections,
    course_update_key, write_course_update,
};
pub use departure::{Departure, departure, undo_bundle};
pub use deputies::{deputies, deputy_key};
pub use holding::{Holding, hold_bundles, hold_seats};
pub use past::{
    AcademicStanding, academic_standing, broken_prerequisite_key, broken_prerequisites,
    registration_policy_key,
};
pub use roster::{RosterEntry, clearance_key, enter_roster, leave_roster, roster, section_pk};
pub use schedule::{feed_address_key, revoke_address, schedule, schedule_feed_key};
pub use seat_count::{
    CountedSection, SeatReconciler, counted_seats, seat_difference_key, seat_differences,
    seat_reconciler_key,
};
pub use seats::{
    Seat, add_taken_seat, change_line, give_seat_back, move_seat, of_line, take_seat,
    tell_free_seat,
};
pub use students::{
    HOLD_PREFIX, HoldEnd, OVERRIDE_PREFIX, ask_lines_again, hold_ends, hold_key, holds,
    kept_cart_key, known_student_key, override_key, overrides, section_links_key, waited_for,
};
pub use term_withdrawals::term_withdrawal_key;
pub use waitlist::{
    LookAgain, due_looks, entries_of, expired_offers, in_line, leave_line, line_of, look_again_key,
    places, waitlist_entry_key, write_end, write_entry,
};

use std::collections::{BTreeMap, BTreeSet};

use events::{RegistrationConfirmed, RegistrationReleased, ReleaseReason};
use kernel::{
    ApprovalId, BundleId, Calendar, CrossListId, Date, PersonId, RegistrationId, SectionId,
    SubmissionId, TermId, Timestamp,
};
use serde::{Deserialize, Serialize};
use shell::Failure;
use table::{Batch, Key, Partition, Position, Record, Stored, Table, Transaction};

use crate::Ctx;
use crate::domain::{
    AcademicBackground, Approval, ApprovalState, Background, Bundle, Entry, History, Hold,
    KeptCart, Override, Refusal, Registration, RegistrationState, SectionSeats, SectionStatus,
    SharedSeats, StoppedBy, StudentTerm, Submission, TermFacts, Verdict,
};

impl Record for SectionSeats {
    const KIND: &'static str = "section-seats";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        seats_key(self.section)
    }
}

impl Record for SharedSeats {
    const KIND: &'static str = "shared-seats";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        shared_seats_key(self.cross_list)
    }
}

impl Record for StudentTerm {
    const KIND: &'static str = "student-term";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        student_term_key(self.student, self.term)
    }
}

impl Record for History {
    const KIND: &'static str = "history";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        history_key(self.student)
    }
}

impl Record for TermFacts {
    const KIND: &'static str = "term-facts";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        term_facts_key(self.term)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some(("TERMS".to_owned(), format!("{}#{}", self.first_day, self.term)))
    }
}

/// The institution's calendar, by the catalog's last word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TheCalendar {
    pub calendar_version: u64,
    pub calendar: Calendar,
}

impl Record for TheCalendar {
    const KIND: &'static str = "calendar";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        calendar_key()
    }
}

impl Record for Registration {
    const KIND: &'static str = "registration";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        registration_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((format!("STUDENT#{}", self.student), self.id.to_string()))
    }
}

impl Record for Submission {
    const KIND: &'static str = "submission";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        Key::new(submission_pk(self.id), "SUBMISSION")
    }
}

impl Record for Bundle {
    const KIND: &'static str = "bundle";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        bundle_key(self.submission, self.id)
    }

    /// Only bundles that are not at their end are listed: those somebody still has to do something about.
    fn index_key(&self) -> Option<(String, String)> {
        let list = match (self.closed, &self.parked) {
            (true, _) => return None,
            (false, Some(_)) => "PARKED-BUNDLES",
            (false, None) => "OPEN-BUNDLES",
        };
        // Written to the nanosecond: a time with fewer digits would sort behind a later one.
        Some((list.to_owned(), format!("{:.9}#{}", self.moved_at, self.id)))
    }
}

impl Record for Approval {
    const KIND: &'static str = "approval";
    const SCHEMA: u32 = 2;

    fn key(&self) -> Key<Self> {
        approval_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let waiting = self.state == ApprovalState::Waiting;
        waiting.then(|| (format!("APPROVALS#{}", self.department), self.id.to_string()))
    }
}

/// Where the reconciler's last run had to stop, for want of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconciler {
    pub stopped_at: Option<Position>,
}

impl Record for Reconciler {
    const KIND: &'static str = "reconciler";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        reconciler_key()
    }
}

pub fn reconciler_key() -> Key<Reconciler> {
    Key::new("RECONCILER", "RECONCILER")
}

pub fn seats_key(section: SectionId) -> Key<SectionSeats> {
    Key::new(section_pk(section), "SEATS")
}

pub fn shared_seats_key(cross_list: CrossListId) -> Key<SharedSeats> {
    Key::new(format!("CROSS-LIST#{cross_list}"), "SEATS")
}

fn student_pk(student: PersonId) -> String {
    format!("STUDENT#{student}")
}

/// Sort keys of a student's terms begin with this.
const TERM_PREFIX: &str = "TERM#";

pub fn student_term_key(student: PersonId, term: TermId) -> Key<StudentTerm> {
    Key::new(student_pk(student), format!("{TERM_PREFIX}{term}"))
}

pub fn history_key(student: PersonId) -> Key<History> {
    Key::new(student_pk(student), "HISTORY")
}

pub fn term_facts_key(term: TermId) -> Key<TermFacts> {
    Key::new(format!("TERM#{term}"), "TERM")
}

/// All terms that the catalog has told of, the latest first.
pub fn all_terms() -> Partition<TermFacts> {
    Partition::in_index("TERMS", "").newest_first()
}

pub fn calendar_key() -> Key<TheCalendar> {
    Key::new("CALENDAR", "CALENDAR")
}

pub fn registration_key(id: RegistrationId) -> Key<Registration> {
    Key::new(format!("REGISTRATION#{id}"), "REGISTRATION")
}

pub fn submission_pk(id: SubmissionId) -> String {
    format!("SUBMISSION#{id}")
}

pub fn submission_key(id: SubmissionId) -> Key<Submission> {
    Key::new(submission_pk(id), "SUBMISSION")
}

pub fn bundle_key(submission: SubmissionId, id: BundleId) -> Key<Bundle> {
    Key::new(submission_pk(submission), format!("{BUNDLE_PREFIX}{id}"))
}

/// Sort keys of a submission's bundles begin with this.
pub const BUNDLE_PREFIX: &str = "BUNDLE#";

pub fn approval_key(id: ApprovalId) -> Key<Approval> {
    Key::new(format!("APPROVAL#{id}"), "APPROVAL")
}

/// A student's registrations, the newest first.
pub fn registrations(student: PersonId) -> Partition<Registration> {
    Partition::in_index(format!("STUDENT#{student}"), "").newest_first()
}

/// A department's waiting approvals, the oldest first.
pub fn waiting_approvals(department: &str) -> Partition<Approval> {
    Partition::in_index(format!("APPROVALS#{department}"), "")
}

/// Bundles whose saga is under way, the longest unmoved first.
pub fn open_bundles() -> Partition<Bundle> {
    Partition::in_index("OPEN-BUNDLES", "")
}

pub fn parked_bundles() -> Partition<Bundle> {
    Partition::in_index("PARKED-BUNDLES", "")
}

/// Everything that the decision on a cart needs.
pub struct Situation {
    pub seats: BTreeMap<SectionId, SectionSeats>,
    pub student_term: StudentTerm,
    pub student_term_version: Option<u64>,
    history: History,
    history_version: Option<u64>,
    /// What the student has put aside for the term.
    pub cart: Option<Stored<KeptCart>>,
    pub background: Background,
}

impl Situation {
    /// The student's term as it now is. Where something new rests on a course that is under way, its grade may be told
    /// at this moment: both pass through the student's history, so that the one sees the other.
    pub fn write_student_term(
        &self,
        transaction: &mut Transaction<'_>,
        student_term: &StudentTerm,
    ) {
        transaction.put(student_term, self.student_term_version);
        let is_new = |entry: &&Entry| !self.student_term.entries.contains(entry);
        if student_term.entries.iter().filter(is_new).any(|entry| entry.provisional) {
            transaction.put(&self.history, self.history_version);
        }
    }
}

/// Two calls at once: what the cart names, and what the student has in all terms. A third where a section shares seats
/// with others, and this process has not yet seen with which.
pub async fn situation(
    ctx: &Ctx,
    student: PersonId,
    term: TermId,
    sections: &[SectionId],
    moment: (Timestamp, Date),
) -> Result<Situation, Failure> {
    let (facts_key, calendar_key) = (term_facts_key(term), calendar_key());
    let seats_keys: BTreeMap<SectionId, _> =
        sections.iter().map(|section| (*section, seats_key(*section))).collect();
    let links_keys: Vec<_> = seats_keys.keys().map(|section| section_links_key(*section)).collect();
    let mut keys: Vec<_> = seats_keys.values().map(Into::into).collect();
    keys.extend(links_keys.iter().map(Into::into));
    keys.extend([(&facts_key).into(), (&calendar_key).into()]);
    let guessed = sections.iter().filter_map(|section| ctx.cross_lists.get(section, moment.0));
    let guessed: BTreeSet<CrossListId> = guessed.collect();
    keys.extend(guessed.iter().map(|list| (&shared_seats_key(*list)).into()));
    let (table, of_student) = (&ctx.table, student_pk(student));
    let (batch, student_s) = tokio::join!(table.get_batch(keys), table.get_collection(&of_student));
    let (mut batch, student_s) = (batch?, student_s?);
    let mut seats = BTreeMap::new();
    for (section, key) in &seats_keys {
        if let Some(stored) = batch.take(key)? {
            seats.insert(*section, stored.value);
        }
    }
    let mut links = BTreeMap::new();
    for key in &links_keys {
        if let Some(stored) = batch.take(key)? {
            links.insert(stored.value.section, stored.value);
        }
    }
    let facts = batch.take(&facts_key)?.map(|stored| stored.value);
    let calendar = batch.take(&calendar_key)?.map(|stored| stored.value.calendar);
    let mut shared = take_shared_seats(&mut batch, &guessed)?;
    let lists = cross_lists(&seats);
    for (section, list) in &lists {
        ctx.cross_lists.keep(*section, *list, moment.0);
    }
    let unguessed = lists.into_values().filter(|list| !guessed.contains(list)).collect();
    shared.extend(read_shared_seats(table, unguessed).await?);
    let background = Background {
        term: facts,
        calendar: calendar.unwrap_or_default(),
        today: moment.1,
        shared_seats: shared,
        links,
        ..Background::default()
    };
    of_student_s(student_s, (student, term), seats, background, moment.0)
}

/// What lies under the student's key, as the decision needs it.
fn of_student_s(
    mut student_s: Batch,
    (student, term): (PersonId, TermId),
    seats: BTreeMap<SectionId, SectionSeats>,
    background: Background,
    now: Timestamp,
) -> Result<Situation, Failure> {
    let stored = student_s.take(&student_term_key(student, term))?;
    let student_term_version = stored.as_ref().map(|stored| stored.version);
    let mut student_term =
        stored.map_or_else(|| StudentTerm::empty(student, term), |stored| stored.value);
    let known_first_day = background.term.as_ref().map(|facts| facts.first_day);
    student_term.first_day = known_first_day.or(student_term.first_day);
    let cart = student_s.take(&kept_cart_key(student, term))?;
    let stored = student_s.take(&history_key(student))?;
    let history_version = stored.as_ref().map(|stored| stored.version);
    let history = stored.map_or_else(|| History::empty(student), |stored| stored.value);
    let known = student_s.take(&known_student_key(student))?.map(|stored| stored.value.record);
    let known = known.unwrap_or_default();
    let holds = student_s.take_all::<Hold>(HOLD_PREFIX)?.into_iter().map(|stored| stored.value);
    let in_force = holds.filter(|hold| hold.is_in_force(now));
    let mut overrides = student_s.take_all::<Override>(OVERRIDE_PREFIX)?;
    overrides.retain(|stored| stored.value.is_in_force(now));
    let mut terms: Vec<StudentTerm> =
        student_s.take_all(TERM_PREFIX)?.into_iter().map(|stored| stored.value).collect();
    // What was given up with a W in this very term is an attempt, too.
    terms.push(student_term.clone());
    let first_day = student_term.first_day;
    let taken = AcademicBackground {
        term,
        first_day,
        terms: &terms,
        history: &history,
        held_counts: false,
    };
    let mut record = taken.record();
    known.add_to(&mut record);
    let background = Background {
        history: history.completed(),
        record,
        attempts: taken.attempts(),
        scale: history.scale.clone(),
        status: known.status,
        holds: in_force.map(|hold| StoppedBy { kind: hold.kind, reason: hold.reason }).collect(),
        overrides,
        ..background
    };
    Ok(Situation {
        seats,
        student_term,
        student_term_version,
        history,
        history_version,
        cart,
        background,
    })
}

/// The seats that these sections share with others.
pub async fn shared_seats(
    table: &Table,
    seats: &BTreeMap<SectionId, SectionSeats>,
) -> Result<BTreeMap<CrossListId, SharedSeats>, Failure> {
    read_shared_seats(table, cross_lists(seats).into_values().collect()).await
}

/// The cross-list of each section that is in one.
fn cross_lists(seats: &BTreeMap<SectionId, SectionSeats>) -> BTreeMap<SectionId, CrossListId> {
    let listed = seats.values().filter_map(|seats| Some((seats.section, seats.cross_listing?)));
    listed.map(|(section, listing)| (section, listing.cross_list)).collect()
}

async fn read_shared_seats(
    table: &Table,
    lists: BTreeSet<CrossListId>,
) -> Result<BTreeMap<CrossListId, SharedSeats>, Failure> {
    let keys = lists.iter().map(|list| (&shared_seats_key(*list)).into()).collect();
    take_shared_seats(&mut table.get_batch(keys).await?, &lists)
}

fn take_shared_seats(
    batch: &mut Batch,
    lists: &BTreeSet<CrossListId>,
) -> Result<BTreeMap<CrossListId, SharedSeats>, Failure> {
    let mut found = BTreeMap::new();
    for list in lists {
        if let Some(stored) = batch.take(&shared_seats_key(*list))? {
            found.insert(*list, stored.value);
        }
    }
    Ok(found)
}

/// Makes the registration with its place on the section's roster.
pub fn write_registration(transaction: &mut Transaction<'_>, registration: &Registration) {
    transaction.create(registration);
    enter_roster(transaction, registration);
}

pub async fn bundle(
    table: &Table,
    submission: SubmissionId,
    id: BundleId,
) -> Result<Stored<Bundle>, Failure> {
    Ok(table.get(&bundle_key(submission, id)).await?.ok_or(Refusal::BundleUnknown)?)
}

/// The bundle, for a step of the execution that carries it. What an earlier execution left under way comes too late.
pub async fn carried_bundle(
    table: &Table,
    submission: SubmissionId,
    id: BundleId,
    attempt: u32,
) -> Result<Stored<Bundle>, Failure> {
    let bundle = bundle(table, submission, id).await?;
    if bundle.value.attempt > attempt {
        return Err(Refusal::ExecutionSuperseded.into());
    }
    Ok(bundle)
}

/// The approvals that the bundle has asked for.
pub async fn approvals(table: &Table, bundle: &Bundle) -> Result<Vec<Stored<Approval>>, Failure> {
    if bundle.approvals.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<_> = bundle.approvals.iter().map(|id| approval_key(*id)).collect();
    let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
    let missing = || shell::Fault::defect(format!("{} has no approval", bundle.id));
    let take = |key| Ok(batch.take(key)?.ok_or_else(missing)?);
    keys.iter().map(take).collect()
}

pub fn verdict(approvals: &[Stored<Approval>]) -> Verdict {
    let states: Vec<_> = approvals.iter().map(|approval| approval.value.state).collect();
    Verdict::of(&states)
}

/// A bundle's registrations with the student's term, in one call.
pub struct Members {
    pub registrations: Vec<Stored<Registration>>,
    pub student_term: Stored<StudentTerm>,
    pub seats: BTreeMap<SectionId, SectionSeats>,
}

impl Members {
    /// Whether one of their sections does not take place.
    pub fn any_cancelled(&self) -> bool {
        self.seats.values().any(|seats| seats.status == SectionStatus::Cancelled)
    }
}

pub async fn members(table: &Table, bundle: &Bundle) -> Result<Members, Failure> {
    let term_key = student_term_key(bundle.student, bundle.term);
    let keys: Vec<_> =
        bundle.registrations.iter().map(|member| registration_key(member.registration)).collect();
    let seats_keys: Vec<_> =
        bundle.registrations.iter().map(|member| seats_key(member.section)).collect();
    let mut wanted: Vec<_> = keys.iter().map(Into::into).collect();
    wanted.extend(seats_keys.iter().map(Into::into));
    wanted.push((&term_key).into());
    let mut batch = table.get_batch(wanted).await?;
    let missing = |what: &str| shell::Fault::defect(format!("{} has no {what}", bundle.id));
    let mut registrations = Vec::new();
    for key in &keys {
        registrations.push(batch.take(key)?.ok_or_else(|| missing("registration"))?);
    }
    let mut seats = BTreeMap::new();
    for key in &seats_keys {
        let stored = batch.take(key)?.ok_or_else(|| missing("section"))?;
        seats.insert(stored.value.section, stored.value);
    }
    let student_term = batch.take(&term_key)?.ok_or_else(|| missing("student term"))?;
    Ok(Members { registrations, student_term, seats })
}

/// What the catalog last said of these terms, in one call; of a term that it has not told of, nothing.
pub async fn terms(
    table: &Table,
    terms: BTreeSet<TermId>,
) -> Result<BTreeMap<TermId, TermFacts>, Failure> {
    let keys: Vec<_> = terms.into_iter().map(term_facts_key).collect();
    let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
    let mut known = BTreeMap::new();
    for key in &keys {
        if let Some(stored) = batch.take(key)? {
            known.insert(stored.value.term, stored.value);
        }
    }
    Ok(known)
}

/// What moves the saga, for its events.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub now: Timestamp,
    pub correlation_id: &'a str,
}

/// The pivot: bundle, registrations, student's term and events in one transaction.
pub async fn record_confirmation(
    table: &Table,
    bundle: &Stored<Bundle>,
    mut members: Members,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let mut transaction = table.transaction();
    transaction.update(bundle);
    for registration in &mut members.registrations {
        registration.value.confirm(cause.now);
        transaction.update(registration);
        let Registration { id, bundle, student, section, term, .. } = registration.value;
        members.student_term.value.confirm(id);
        let event = RegistrationConfirmed { registration: id, bundle, student, section, term };
        transaction.event(event, registration.version + 1, cause.now, cause.correlation_id);
    }
    transaction.update(&members.student_term);
    Ok(transaction.commit().await?)
}

/// The undo of the held seats: they are free again, and nothing of the bundle counts against the student.
pub async fn record_release(
    table: &Table,
    bundle: &Stored<Bundle>,
    mut members: Members,
    reason: ReleaseReason,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let mut transaction = table.transaction();
    transaction.update(bundle);
    for registration in &mut members.registrations {
        debug_assert_eq!(
            registration.value.state,
            RegistrationState::SeatHeld,
            "only held seats are released"
        );
        registration.value.release(cause.now, format!("{reason:?}"));
        transaction.update(registration);
        let Registration { id, bundle, student, section, term, .. } = registration.value;
        let seats = &members.seats[&section];
        let told = (registration.version + 1, cause);
        give_seat_back(&mut transaction, &registration.value, seats, told);
        members.student_term.value.remove(id);
        let event =
            RegistrationReleased { registration: id, bundle, student, section, term, reason };
        transaction.event(event, registration.version + 1, cause.now, cause.correlation_id);
    }
    transaction.update(&members.student_term);
    Ok(transaction.commit().await?)
}
