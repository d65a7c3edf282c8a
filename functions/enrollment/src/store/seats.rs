//! How seats are taken and given back: the one write with a rule in its condition.

use events::SeatFreed;
use table::{Change, Field, Transaction};

use super::{Cause, leave_roster, seats_key, shared_seats_key};
use crate::domain::{
    Background, Door, ItemCode, Line, Registration, SectionSeats, Turn, UsedOverride,
};

/// Which seat a student gets, and what lets them in.
#[derive(Debug, Clone, Copy)]
pub struct Seat<'a> {
    /// The population of the pool that it is of; absent of a general one.
    pub pool: Option<&'a str>,
    pub door: Door<'a>,
    pub overrides: &'a [UsedOverride],
}

impl Seat<'_> {
    fn lifts(&self, code: ItemCode) -> bool {
        self.overrides.iter().any(|used| used.code == code)
    }
}

fn kind_of(pool: Option<&str>) -> Field {
    let general = || Field::from("taken_generally");
    pool.map_or_else(general, |population| Field::of_map("taken_in_pools", population))
}

/// A seat is taken only while one is free: the one rule that stands in a condition, since a popular section is the
/// hottest item of the system and cannot be read and written back. It is one of a pool or a general one, where seats
/// are shared one of those as well, and nobody's who stands in line for it.
pub fn take_seat(
    transaction: &mut Transaction<'_>,
    seats: &SectionSeats,
    seat: Seat<'_>,
    background: &Background,
) {
    let section = Change::of(&seats_key(seats.section))
        .still("section_version", number(seats.section_version))
        .only_if("status", seats.status.name());
    if let Door::Offer { .. } = seat.door {
        // It was taken when it was offered.
        transaction.change(section.add("offered", -1));
        return;
    }
    // A capacity override lifts the capacity, and nothing else.
    let beyond = seat.lifts(ItemCode::Closed);
    let kind = kind_of(seat.pool);
    let capacity = match seat.pool {
        Some(population) => seats.pool_capacity(population),
        None => seats.general_capacity(background.today),
    };
    let mut change = section.add("taken", 1).add(kind.clone(), 1);
    if !beyond {
        change = change.at_most("taken", seats.capacity);
        if !seat.lifts(ItemCode::ReservedClosed) {
            change = change.at_most(kind, capacity);
        }
    }
    transaction.change(change);
    if let Some(shared) = background.shared_with(seats) {
        let key = shared_seats_key(shared.cross_list);
        let mut change = Change::of(&key).add("taken", 1).still("capacity", shared.capacity);
        if !beyond {
            change = change.at_most("taken", shared.capacity);
        }
        transaction.change(change);
    }
    if seat.door == Door::Public && !beyond && !seat.lifts(ItemCode::WaitlistOnly) {
        behind_the_line(transaction, seats, seat.pool, background);
    }
}

/// Nobody stands in line for such a seat, or those who do could not take it.
fn behind_the_line(
    transaction: &mut Transaction<'_>,
    seats: &SectionSeats,
    pool: Option<&str>,
    background: &Background,
) {
    let passed = || Field::of_map("line", "passed");
    match (seats.turn(pool, background.line(seats), background.today), pool) {
        (Turn::NobodyWaits { bars: false } | Turn::OthersFirst, _) => {}
        (Turn::NobodyWaits { bars: true }, Some(population)) => {
            let waiting = Field::of_map("waiting_in_pools", population);
            transaction.change(Change::of(&seats_key(seats.section)).still(waiting, 0));
        }
        (Turn::NobodyWaits { bars: true }, None) => {
            let waiting = Field::of_map("line", "waiting");
            transaction.change(of_line(seats, background).still(waiting, 0));
        }
        (Turn::PassedOn, _) => {
            let line = background.line(seats);
            let change = of_line(seats, background);
            transaction.change(change.still(passed(), line.passed).add(passed(), -1));
        }
    }
}

/// Where the line for the section is counted: with the seats that it shares, else with its own.
pub fn of_line(seats: &SectionSeats, background: &Background) -> Change {
    match background.shared_with(seats) {
        Some(shared) => Change::of(&shared_seats_key(shared.cross_list)),
        None => Change::of(&seats_key(seats.section)),
    }
}

/// Adds to the number of those in line: to the section's own, and to that of its cross-list.
pub fn change_line(
    transaction: &mut Transaction<'_>,
    seats: &SectionSeats,
    background: &Background,
    change: impl Fn(Change, &Line) -> Change,
) {
    transaction.change(change(Change::of(&seats_key(seats.section)), &seats.line));
    if let Some(shared) = background.shared_with(seats) {
        let of_list = Change::of(&shared_seats_key(shared.cross_list));
        transaction.change(change(of_list, &shared.line));
    }
}

/// A seat that was taken elsewhere is one more here, whether one is free or not.
pub fn add_taken_seat(transaction: &mut Transaction<'_>, seats: &SectionSeats) {
    move_seat(transaction, seats, None, 1);
}

/// What the section is of, and its pools, must still be what was read: the counters follow from it.
pub fn move_seat(
    transaction: &mut Transaction<'_>,
    seats: &SectionSeats,
    pool: Option<&str>,
    amount: i64,
) {
    let change = Change::of(&seats_key(seats.section))
        .add("taken", amount)
        .add(kind_of(pool), amount)
        .still("section_version", number(seats.section_version));
    transaction.change(change);
    if let Some(listing) = seats.cross_listing {
        let change = Change::of(&shared_seats_key(listing.cross_list)).add("taken", amount);
        transaction.change(change);
    }
}

/// `version` is the one that the registration becomes.
pub fn give_seat_back(
    transaction: &mut Transaction<'_>,
    registration: &Registration,
    seats: &SectionSeats,
    (version, cause): (u64, Cause<'_>),
) {
    move_seat(transaction, seats, registration.pool.as_deref(), -1);
    leave_roster(transaction, registration);
    tell_free_seat(transaction, seats, registration.id.to_string(), (version, cause));
}

/// Whoever stands in line for it, or for another of its cross-list, is to have it. Told whether somebody does or not:
/// they may be joining at this moment.
pub fn tell_free_seat(
    transaction: &mut Transaction<'_>,
    seats: &SectionSeats,
    freed_by: String,
    (version, cause): (u64, Cause<'_>),
) {
    if seats.may_be_waited_for() {
        let event = SeatFreed { section: seats.section, freed_by, step: 0, after: None };
        transaction.event(event, version, cause.now, cause.correlation_id);
    }
}

fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}
