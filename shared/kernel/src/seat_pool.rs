//! Seats kept for a population, and which seats of a section a student may have.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AcademicRecord, GradeScale, Requirement, Verdict};

/// Seats of a section that are kept for a population. (A restriction, in contrast, keeps none.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatPool {
    /// Such as `program(CS) AND standing(>= 2)`.
    pub population: Requirement,
    #[schemars(range(min = 1, max = 100_000))]
    pub seats: u32,
    /// Of several pools that a student belongs to, the one with the lowest number comes first.
    #[schemars(range(min = 1, max = 1_000))]
    pub priority: u32,
    /// The last day on which its free seats are kept; afterwards they are everybody's.
    #[serde(default)]
    pub until: Option<Date>,
}

/// Where a student's seat would come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// The pool's place in the section's list.
    Reserved(usize),
    General,
    /// Seats are free, but kept for others.
    ReservedForOthers,
    Full,
}

/// The seats of a section as they are now.
#[derive(Debug, Clone, Copy)]
pub struct Seats<'a> {
    pub capacity: u32,
    /// Of all kinds together.
    pub taken: u32,
    pub pools: &'a [SeatPool],
    /// Taken in each pool, in the order of the pools.
    pub taken_in_pools: &'a [u32],
}

impl Seats<'_> {
    /// The free seats of the pool of highest priority that the student belongs to, else the general ones.
    pub fn seat_for(&self, student: &AcademicRecord, scale: &GradeScale, today: Date) -> Seat {
        if self.taken >= self.capacity {
            return Seat::Full;
        }
        let is_kept = |pool: &SeatPool| pool.until.is_none_or(|until| today <= until);
        let free = |at: usize| {
            let taken = self.taken_in_pools.get(at).copied().unwrap_or_default();
            self.pools[at].seats.saturating_sub(taken)
        };
        let kept = || (0..self.pools.len()).filter(|at| is_kept(&self.pools[*at]));
        let belongs = |at: &usize| {
            self.pools[*at].population.prove(student, scale).verdict != Verdict::NotMet
        };
        let own = kept().filter(|at| free(*at) > 0).filter(belongs);
        if let Some(pool) = own.min_by_key(|at| self.pools[*at].priority) {
            return Seat::Reserved(pool);
        }
        let kept_free: u32 = kept().map(free).fold(0, u32::saturating_add);
        if self.capacity - self.taken > kept_free { Seat::General } else { Seat::ReservedForOthers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(population: &str, seats: u32, priority: u32) -> SeatPool {
        let population = population.parse().expect("a requirement");
        let until = Some("2027-01-20".parse().expect("a date"));
        SeatPool { population, seats, priority, until }
    }

    fn student(programs: &[&str]) -> AcademicRecord {
        AcademicRecord {
            programs: programs.iter().map(|code| (*code).to_owned()).collect(),
            ..AcademicRecord::default()
        }
    }

    fn seat(
        pools: &[SeatPool],
        taken: u32,
        in_pools: &[u32],
        programs: &[&str],
        day: &str,
    ) -> Seat {
        let seats = Seats { capacity: 10, taken, pools, taken_in_pools: in_pools };
        let today = day.parse().expect("a date");
        seats.seat_for(&student(programs), &GradeScale(Vec::new()), today)
    }

    #[test]
    fn the_pool_of_highest_priority_with_a_free_seat_comes_first() {
        let pools = [pool("program(MATH)", 3, 2), pool("program(CS)", 2, 1)];
        let at = |in_pools: [u32; 2], programs: &[&str]| {
            seat(&pools, in_pools[0] + in_pools[1], &in_pools, programs, "2027-01-10")
        };
        assert_eq!(at([0, 0], &["MATH", "CS"]), Seat::Reserved(1));
        assert_eq!(at([0, 2], &["MATH", "CS"]), Seat::Reserved(0), "the better pool is used up");
        assert_eq!(at([3, 2], &["MATH", "CS"]), Seat::General);
        assert_eq!(at([0, 0], &["LAW"]), Seat::General);
    }

    #[test]
    fn seats_that_are_kept_are_not_sold_to_others_until_the_milestone() {
        let pools = [pool("program(MATH)", 4, 1)];
        let law = |taken, day| seat(&pools, taken, &[0], &["LAW"], day);
        assert_eq!(law(5, "2027-01-20"), Seat::General);
        assert_eq!(law(6, "2027-01-20"), Seat::ReservedForOthers);
        assert_eq!(law(6, "2027-01-21"), Seat::General, "unfilled seats return to all");
        assert_eq!(law(10, "2027-01-21"), Seat::Full);
        assert_eq!(seat(&pools, 6, &[0], &["MATH"], "2027-01-20"), Seat::Reserved(0));
    }
}
