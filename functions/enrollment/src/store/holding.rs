//! Seats are held for what was decided: the same for a cart, for a seat that comes by the waitlist, and for a swap.

use events::ChargeableRegistration;
use jiff::tz::TimeZone;
use kernel::BundleId;
use table::{Table, Transaction};

use super::{Cause, Seat, Situation, override_key, take_seat, write_registration};
use crate::domain::{
    Bundle, BundleState, Door, Entry, PlannedBundle, Registration, RegistrationState, SectionSeats,
    Submission, Transition,
};

/// For whom seats are held, and by whose doing.
pub struct Holding<'a> {
    pub submission: &'a Submission,
    pub situation: &'a Situation,
    pub zone: &'a TimeZone,
    pub door: Door<'a>,
    /// A person's id, or `waitlist`.
    pub by: &'a str,
    pub cause: Cause<'a>,
}

/// What a submission writes beside its bundles: itself, the student's term and history, the cart that was kept, the reply.
const BESIDE_BUNDLES: usize = 5;

/// Begins a transaction with the bundles of a submission, in their order; answers as well with those that it has no
/// room for.
pub fn hold_bundles<'t>(
    table: &'t Table,
    holding: &Holding<'_>,
    planned: Vec<PlannedBundle>,
    new_id: impl Fn() -> BundleId,
) -> (Transaction<'t>, Vec<(Bundle, PlannedBundle)>, Vec<PlannedBundle>) {
    let (mut transaction, mut held, mut left) = (table.transaction(), Vec::new(), Vec::new());
    for planned in planned {
        let (mut alone, id) = (table.transaction(), new_id());
        hold_seats(&mut alone, holding, id, &planned);
        if transaction.len() + alone.len() + BESIDE_BUNDLES > Transaction::ITEMS_MAX {
            left.push(planned);
            continue;
        }
        let bundle = hold_seats(&mut transaction, holding, id, &planned);
        held.push((bundle, planned));
    }
    (transaction, held, left)
}

/// Holds the seats of a bundle and begins its saga. An override that lets somebody in must still be in force.
pub fn hold_seats(
    transaction: &mut Transaction<'_>,
    holding: &Holding<'_>,
    id: BundleId,
    planned: &PlannedBundle,
) -> Bundle {
    let sections: Vec<(&Entry, &SectionSeats)> = planned
        .entries
        .iter()
        .map(|entry| (entry, &holding.situation.seats[&entry.section]))
        .collect();
    let bundle = bundle(holding, id, &sections);
    for (entry, seats) in sections {
        let overrides = planned.overrides_of(entry.registration);
        let seat = Seat { pool: entry.pool.as_deref(), door: holding.door, overrides };
        take_seat(transaction, seats, seat, &holding.situation.background);
        for used in overrides {
            let stored = &holding.situation.background.overrides;
            let stored = stored.iter().find(|stored| stored.value.id == used.id);
            let key = override_key(bundle.student, used.id);
            transaction.check(&key, stored.map(|stored| stored.version));
        }
        let mut registration = registration(holding, &bundle, entry, seats);
        registration.overrides = overrides.to_vec();
        write_registration(transaction, &registration);
    }
    transaction.create(&bundle);
    let Cause { now, correlation_id } = holding.cause;
    transaction.event(bundle.saga_request(), 1, now, correlation_id);
    bundle
}

fn bundle(holding: &Holding<'_>, id: BundleId, sections: &[(&Entry, &SectionSeats)]) -> Bundle {
    let Holding { submission, cause, .. } = holding;
    let chargeable = |(entry, seats): &(&Entry, &SectionSeats)| ChargeableRegistration {
        registration: entry.registration,
        section: entry.section,
        section_code: seats.code.clone(),
        course_title: seats.course.title.clone(),
        credits_hundredths: entry.credits_hundredths,
        price_group: seats.price_group.clone(),
    };
    let guarded = sections.iter().filter(|(_, seats)| seats.approval_required);
    Bundle {
        id,
        submission: submission.id,
        student: submission.student,
        term: submission.term,
        term_code: sections.first().map(|(_, seats)| seats.term.code.clone()).unwrap_or_default(),
        registrations: sections.iter().map(chargeable).collect(),
        approval_departments: guarded.map(|(_, seats)| seats.department.clone()).collect(),
        approvals: Vec::new(),
        approval_token: None,
        invoice: None,
        state: BundleState::SeatsHeld,
        attempt: 1,
        reason: None,
        parked: None,
        closed: false,
        held_at: cause.now,
        billed_at: None,
        moved_at: cause.now,
    }
}

fn registration(
    holding: &Holding<'_>,
    bundle: &Bundle,
    entry: &Entry,
    seats: &SectionSeats,
) -> Registration {
    let term = holding.situation.background.term.as_ref();
    let closes_at = seats.term.registration_closes_at;
    Registration {
        id: entry.registration,
        bundle: bundle.id,
        submission: bundle.submission,
        student: bundle.student,
        term: bundle.term,
        term_code: seats.term.code.clone(),
        section: seats.section,
        section_code: seats.code.clone(),
        course_title: seats.course.title.clone(),
        credits_hundredths: entry.credits_hundredths,
        department: seats.department.clone(),
        drop_until: term.map_or(closes_at, |term| term.drop_until(holding.zone)),
        state: RegistrationState::SeatHeld,
        pool: entry.pool.clone(),
        provisional: entry.provisional,
        overrides: Vec::new(),
        last_attended_on: None,
        history: vec![Transition {
            to: RegistrationState::SeatHeld,
            at: holding.cause.now,
            by: holding.by.to_owned(),
            reason: None,
        }],
    }
}
