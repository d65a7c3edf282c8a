//! The seats of a section counted one by one, against the counters by which they are given.

use std::collections::BTreeMap;

use kernel::{SectionId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SectionSeats, SharedSeats};

/// As the counters say, or as they were counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatCount {
    /// In pools and outside, with those that are offered.
    pub taken: i64,
    pub taken_generally: i64,
    /// By the population of the pool, where any is taken.
    pub taken_in_pools: BTreeMap<String, i64>,
    /// Held for who waited and has not answered yet.
    pub offered: i64,
    /// In line without an offer.
    pub waiting: i64,
    /// Of a section that shares its seats with others: in all of them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedCount>,
}

/// What the sections of a cross-list come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SharedCount {
    pub taken: i64,
    pub waiting: i64,
}

impl SharedCount {
    pub fn of_counters(shared: &SharedSeats) -> Self {
        Self { taken: shared.taken, waiting: shared.line.waiting }
    }

    /// With what was counted in one of the sections.
    pub fn add(&mut self, counted: &SeatCount) {
        self.taken += counted.taken;
        self.waiting += counted.waiting;
    }

    /// Sets the counters to what was counted.
    pub fn correct(self, shared: &mut SharedSeats) {
        shared.taken = self.taken;
        shared.line.waiting = self.waiting;
        shared.line = shared.line.with_all_seats_its_own();
    }
}

impl SeatCount {
    pub fn of_counters(seats: &SectionSeats, shared: Option<&SharedSeats>) -> Self {
        let taken = seats.taken_in_pools.iter().filter(|(_, taken)| **taken != 0);
        Self {
            taken: seats.taken,
            taken_generally: seats.taken_generally,
            taken_in_pools: taken.map(|(pool, taken)| (pool.clone(), *taken)).collect(),
            offered: seats.offered,
            waiting: seats.line.waiting,
            shared: shared.map(SharedCount::of_counters),
        }
    }

    /// One seat more, of a pool or a general one.
    pub fn add(&mut self, pool: Option<&str>) {
        self.taken += 1;
        match pool {
            Some(population) => {
                *self.taken_in_pools.entry(population.to_owned()).or_default() += 1;
            }
            None => self.taken_generally += 1,
        }
    }

    /// Sets the counters to what was counted.
    pub fn correct(&self, seats: &mut SectionSeats) {
        seats.taken = self.taken;
        seats.taken_generally = self.taken_generally;
        for taken in seats.taken_in_pools.values_mut() {
            *taken = 0;
        }
        seats.taken_in_pools.extend(self.taken_in_pools.clone());
        seats.offered = self.offered;
        seats.line.waiting = self.waiting;
        seats.line = seats.line.with_all_seats_its_own();
    }
}

/// A section whose counters are not what was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatDifference {
    pub section: SectionId,
    pub section_code: String,
    pub counters: SeatCount,
    pub counted: SeatCount,
    pub found_at: Timestamp,
}
