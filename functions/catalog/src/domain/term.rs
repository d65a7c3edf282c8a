//! A term, or a part of one: its days, its windows, and how far its planning has come.

use events::{RegistrationWindow, TermDates, TermState};
use kernel::{Date, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Code, DateProblem, Refusal};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Term {
    pub id: TermId,
    pub code: Code,
    pub title: String,
    /// The term that this one is a part of.
    pub parent: Option<TermId>,
    pub state: TermState,
    pub first_day: Date,
    pub last_day: Date,
    pub registration_opens_at: Timestamp,
    pub registration_closes_at: Timestamp,
    pub windows: Vec<RegistrationWindow>,
    pub dates: TermDates,
}

impl Term {
    /// Everything that is wrong with its days, at once. A part keeps within its parent's days; its registration
    /// period is its own.
    pub fn check(&self, parent: Option<&Self>) -> Result<(), Refusal> {
        if parent.is_some_and(|parent| parent.parent.is_some() || parent.id == self.id) {
            return Err(Refusal::ParentTermIsPart);
        }
        let outside =
            |parent: &Self| self.first_day < parent.first_day || parent.last_day < self.last_day;
        let problems = [
            (self.last_day < self.first_day, DateProblem::TermEndsBeforeItBegins),
            (
                self.registration_closes_at <= self.registration_opens_at
                    || self.windows.iter().any(|window| window.closes_at <= window.opens_at),
                DateProblem::RegistrationClosesBeforeItOpens,
            ),
            (parent.is_some_and(outside), DateProblem::PartOutsideParent),
            (self.has_population_twice(), DateProblem::WindowPopulationTwice),
            (!self.is_in_order(), DateProblem::DatesOutOfOrder),
            (!self.is_within(), DateProblem::DateOutsideTerm),
            (!self.refunds_fall(), DateProblem::RefundsOutOfOrder),
        ];
        let found: Vec<_> =
            problems.into_iter().filter(|(wrong, _)| *wrong).map(|(_, problem)| problem).collect();
        if found.is_empty() { Ok(()) } else { Err(Refusal::TermDatesWrong(found)) }
    }

    fn has_population_twice(&self) -> bool {
        let windows = self.windows.iter().enumerate();
        windows.into_iter().any(|(at, window)| {
            self.windows[..at].iter().any(|earlier| earlier.population == window.population)
        })
    }

    /// Adding ends before dropping, dropping before withdrawing; grading opens, closes, and is posted.
    fn is_in_order(&self) -> bool {
        let TermDates { add_until, drop_until, withdraw_until, .. } = self.dates;
        let grading = [
            self.dates.grading_opens_on,
            self.dates.grading_closes_on,
            self.dates.grades_posted_on,
            self.dates.incompletes_lapse_on,
        ];
        let rises = |days: &[Option<Date>]| {
            let known: Vec<Date> = days.iter().flatten().copied().collect();
            known.is_sorted()
        };
        rises(&[add_until, drop_until, withdraw_until]) && rises(&grading)
    }

    /// What is done with classes is done until the last day; adding may end before the first.
    fn is_within(&self) -> bool {
        let TermDates { add_until, drop_until, withdraw_until, census_on, .. } = self.dates;
        let ends = [add_until, drop_until, withdraw_until, census_on];
        let census_after_start = census_on.is_none_or(|day| day >= self.first_day);
        ends.iter().flatten().all(|day| *day <= self.last_day) && census_after_start
    }

    fn refunds_fall(&self) -> bool {
        let steps = self.dates.refunds.windows(2);
        steps
            .into_iter()
            .all(|pair| pair[0].until < pair[1].until && pair[0].percent >= pair[1].percent)
    }

    /// Whether students see its sections.
    pub fn is_public(&self) -> bool {
        matches!(self.state, TermState::Published | TermState::Closed)
    }
}

/// One state after the other, never back: what students have seen stays seen.
pub fn may_move(from: TermState, to: TermState) -> bool {
    matches!(
        (from, to),
        (TermState::Draft, TermState::Open)
            | (TermState::Open, TermState::Locked)
            | (TermState::Locked, TermState::FinalEdits)
            | (TermState::FinalEdits, TermState::Published)
            | (TermState::Published, TermState::Closed)
    )
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn term() -> Term {
        Term {
            id: TermId::derived_from("a"),
            code: Code("A".into()),
            title: "Spring".into(),
            parent: None,
            state: TermState::Draft,
            first_day: day("2027-02-01"),
            last_day: day("2027-06-30"),
            registration_opens_at: "2027-01-04T08:00:00Z".parse().expect("a timestamp"),
            registration_closes_at: "2027-02-12T22:59:59Z".parse().expect("a timestamp"),
            windows: Vec::new(),
            dates: TermDates::default(),
        }
    }

    fn problems(change: impl FnOnce(&mut Term)) -> Vec<DateProblem> {
        let mut term = term();
        change(&mut term);
        match term.check(None) {
            Ok(()) => Vec::new(),
            Err(Refusal::TermDatesWrong(problems)) => problems,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_that_is_wrong_comes_at_once() {
        assert_eq!(problems(|_| ()), []);
        let found = problems(|term| {
            term.last_day = day("2027-01-01");
            term.registration_closes_at = term.registration_opens_at;
            term.dates.add_until = Some(day("2027-03-01"));
            term.dates.drop_until = Some(day("2027-02-01"));
        });
        assert_eq!(
            found,
            [
                DateProblem::TermEndsBeforeItBegins,
                DateProblem::RegistrationClosesBeforeItOpens,
                DateProblem::DatesOutOfOrder,
                DateProblem::DateOutsideTerm,
            ]
        );
    }

    #[test]
    fn a_day_that_is_the_same_or_left_open_is_in_order() {
        let same = problems(|term| {
            term.dates.add_until = Some(day("2027-02-12"));
            term.dates.withdraw_until = Some(day("2027-02-12"));
            term.dates.census_on = Some(day("2027-02-01"));
        });
        assert_eq!(same, []);
        let graded_late = problems(|term| {
            term.dates.grading_closes_on = Some(day("2027-07-10"));
            term.dates.grades_posted_on = Some(day("2027-07-09"));
        });
        assert_eq!(graded_late, [DateProblem::DatesOutOfOrder]);
        let counted_early = problems(|term| term.dates.census_on = Some(day("2027-01-31")));
        assert_eq!(counted_early, [DateProblem::DateOutsideTerm]);
    }

    #[test]
    fn later_drops_get_no_more_back() {
        let step = |until, percent| events::RefundStep { until: day(until), percent };
        let fall =
            |steps: &[events::RefundStep]| problems(|term| term.dates.refunds = steps.to_vec());
        assert_eq!(fall(&[step("2027-02-05", 100), step("2027-02-12", 50)]), []);
        let wrong = [DateProblem::RefundsOutOfOrder];
        assert_eq!(fall(&[step("2027-02-05", 50), step("2027-02-12", 100)]), wrong);
        assert_eq!(fall(&[step("2027-02-05", 100), step("2027-02-05", 50)]), wrong);
    }

    #[test]
    fn a_part_keeps_within_its_term_and_has_no_parts() {
        let parent = term();
        let part = |change: fn(&mut Term)| {
            let mut part =
                Term { id: TermId::derived_from("b"), parent: Some(parent.id), ..term() };
            change(&mut part);
            part
        };
        assert_eq!(part(|_| ()).check(Some(&parent)), Ok(()));
        let late = part(|part| part.last_day = day("2027-07-01")).check(Some(&parent));
        assert_eq!(late, Err(Refusal::TermDatesWrong(vec![DateProblem::PartOutsideParent])));
        let of_part = part(|_| ()).check(Some(&part(|part| part.id = TermId::derived_from("c"))));
        assert_eq!(of_part, Err(Refusal::ParentTermIsPart));
    }

    #[test]
    fn planning_goes_forward_one_state_at_a_time() {
        use TermState::{Closed, Draft, FinalEdits, Locked, Open, Published};
        let order = [Draft, Open, Locked, FinalEdits, Published, Closed];
        for (at, from) in order.iter().enumerate() {
            for (to_at, to) in order.iter().enumerate() {
                assert_eq!(may_move(*from, *to), to_at == at + 1, "{from:?} to {to:?}");
            }
        }
    }
}
