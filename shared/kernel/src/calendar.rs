//! The institution's calendar, and the one rule that says whether two meetings clash.

use jiff::civil::{Date, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Meeting, Weekday};

/// Days on which nothing meets, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    pub first_day: Date,
    pub last_day: Date,
}

/// How long the way between two buildings takes, in either direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Way {
    #[schemars(length(min = 1, max = 40))]
    pub from: String,
    #[schemars(length(min = 1, max = 40))]
    pub to: String,
    #[schemars(range(min = 1, max = 240))]
    pub minutes: u16,
}

/// What holds for every meeting of the institution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Calendar {
    pub holidays: Vec<Holiday>,
    pub ways: Vec<Way>,
}

impl Calendar {
    /// The first day on which two meetings clash. They do when they share a day that is no holiday and their hours,
    /// half open, overlap: `a.start < b.end && b.start < a.end`. Where a way between their buildings is known, its
    /// minutes must lie between them too.
    pub fn clash(&self, a: &Meeting, b: &Meeting) -> Option<Date> {
        let way_s = i64::from(self.minutes_between(a, b)) * 60;
        let ends_before = |first: &Meeting, second: &Meeting| {
            seconds(first.ends_at) + way_s <= seconds(second.starts_at)
        };
        if ends_before(a, b) || ends_before(b, a) {
            return None;
        }
        let is_common = |day: &Date| a.meets_on(*day) && b.meets_on(*day) && !self.is_holiday(*day);
        let single = a.dates.iter().chain(&b.dates).copied().filter(is_common);
        single.chain(self.common_weekly_days(a, b)).min()
    }

    /// All meetings of one against all meetings of the other.
    pub fn first_clash(&self, ours: &[Meeting], theirs: &[Meeting]) -> Option<Date> {
        ours.iter().flat_map(|a| theirs.iter().filter_map(|b| self.clash(a, b))).min()
    }

    pub fn is_holiday(&self, day: Date) -> bool {
        self.holiday_of(day).is_some()
    }

    fn holiday_of(&self, day: Date) -> Option<&Holiday> {
        self.holidays.iter().find(|holiday| holiday.first_day <= day && day <= holiday.last_day)
    }

    /// The first common day of every weekday that both meet on, week by week.
    fn common_weekly_days(&self, a: &Meeting, b: &Meeting) -> Vec<Date> {
        let (first, last) = (a.first_day.max(b.first_day), a.last_day.min(b.last_day));
        let shared = a.weekdays.iter().filter(|weekday| b.weekdays.contains(weekday));
        shared.filter_map(|weekday| self.first_open_day(*weekday, first, last)).collect()
    }

    fn first_open_day(&self, weekday: Weekday, first: Date, last: Date) -> Option<Date> {
        let mut day = weekday.first_from(first).filter(|day| *day <= last)?;
        // Each holiday is left behind once, so that the search ends.
        while let Some(holiday) = self.holiday_of(day) {
            let after = holiday.last_day.tomorrow().ok()?;
            day = weekday.first_from(after).filter(|day| *day <= last)?;
        }
        Some(day)
    }

    fn minutes_between(&self, a: &Meeting, b: &Meeting) -> u16 {
        let (Some(here), Some(there)) = (&a.room, &b.room) else { return 0 };
        let joins = |way: &&Way| {
            (way.from == here.building && way.to == there.building)
                || (way.from == there.building && way.to == here.building)
        };
        self.ways.iter().find(joins).map_or(0, |way| way.minutes)
    }
}

fn seconds(time: Time) -> i64 {
    i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}

#[cfg(test)]
mod tests {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    use proptest::prelude::*;

    use super::*;
    use crate::Room;

    const AUTUMN: (i8, i8) = (9, 10);

    fn meeting(hours: (i8, i8), months: (i8, i8), weekdays: &[Weekday]) -> Meeting {
        Meeting::weekly(
            weekdays.to_vec(),
            (jiff::civil::time(hours.0, 0, 0, 0), jiff::civil::time(hours.1, 0, 0, 0)),
            (jiff::civil::date(2027, months.0, 1), jiff::civil::date(2027, months.1, 28)),
        )
    }

    fn on_monday(hours: (i8, i8)) -> Meeting {
        meeting(hours, AUTUMN, &[Monday])
    }

    /// Inputs of which each was found wrong in another product.
    #[test]
    fn the_published_vectors_hold() {
        let clash = |a, b| on_monday(a).clashes_with(&on_monday(b));
        assert!(clash((9, 11), (9, 10)), "same start, shorter");
        assert!(clash((9, 11), (10, 12)), "overlap without containment");
        assert!(!clash((10, 11), (11, 12)), "back to back is free");
        let early = on_monday((9, 10));
        assert!(!early.clashes_with(&meeting((9, 10), (11, 12), &[Monday])), "dates apart");
        assert!(!early.clashes_with(&meeting((9, 10), AUTUMN, &[Tuesday])), "weekdays apart");
        let four = meeting((9, 10), AUTUMN, &[Monday, Tuesday, Wednesday, Thursday]);
        let other_four = meeting((9, 10), AUTUMN, &[Thursday, Friday, Saturday, Sunday]);
        assert!(four.clashes_with(&other_four), "four and four days share Thursday");
        let three = meeting((9, 10), AUTUMN, &[Friday, Saturday, Sunday]);
        assert!(!four.clashes_with(&three), "four and three days share none");
        let later = meeting((9, 10), (11, 12), &[Thursday, Friday, Saturday, Sunday]);
        assert!(!four.clashes_with(&later), "eight letters, but in two periods");
    }

    #[test]
    fn a_second_meeting_that_clashes_is_found() {
        let ours = [on_monday((9, 10)), meeting((14, 16), AUTUMN, &[Friday])];
        let theirs = [on_monday((10, 11)), meeting((15, 17), AUTUMN, &[Friday])];
        let calendar = Calendar::default();
        let first_friday = jiff::civil::date(2027, 9, 3);
        assert_eq!(calendar.first_clash(&ours, &theirs), Some(first_friday));
        assert_eq!(calendar.first_clash(&ours[..1], &theirs), None);
    }

    #[test]
    fn holidays_are_removed_first() {
        let day = |day| jiff::civil::date(2027, 9, day);
        let week =
            |from, to| Meeting { first_day: day(from), last_day: day(to), ..on_monday((9, 10)) };
        // The only common Monday, the 6th of September 2027, is a holiday.
        let holiday = Holiday { title: "Founders".into(), first_day: day(5), last_day: day(7) };
        let calendar = Calendar { holidays: vec![holiday], ways: Vec::new() };
        assert_eq!(Calendar::default().clash(&week(1, 10), &week(4, 12)), Some(day(6)));
        assert_eq!(calendar.clash(&week(1, 10), &week(4, 12)), None);
        assert_eq!(calendar.clash(&week(1, 20), &week(4, 20)), Some(day(13)), "a week later");
    }

    #[test]
    fn ranges_that_share_no_monday_share_no_meeting_on_monday() {
        let day = |day| jiff::civil::date(2027, 9, day);
        let until_friday = Meeting { last_day: day(3), ..on_monday((9, 10)) };
        let from_wednesday = Meeting { first_day: day(1), ..on_monday((9, 10)) };
        assert!(!until_friday.clashes_with(&from_wednesday));
    }

    #[test]
    fn single_dates_clash_with_weekdays_and_with_each_other() {
        let monday = jiff::civil::date(2027, 9, 6);
        let single = Meeting { weekdays: Vec::new(), dates: vec![monday], ..on_monday((9, 10)) };
        assert_eq!(Calendar::default().clash(&single, &on_monday((8, 12))), Some(monday));
        assert_eq!(Calendar::default().clash(&single, &single), Some(monday));
        let tuesday = meeting((9, 10), AUTUMN, &[Tuesday]);
        assert_eq!(Calendar::default().clash(&single, &tuesday), None);
    }

    #[test]
    fn a_way_between_buildings_needs_its_minutes() {
        let at = |building: &str, hours| Meeting {
            room: Some(Room { building: building.into(), name: "1".into() }),
            ..on_monday(hours)
        };
        let way = Way { from: "North".into(), to: "South".into(), minutes: 20 };
        let calendar = Calendar { holidays: Vec::new(), ways: vec![way] };
        assert!(calendar.clash(&at("North", (9, 10)), &at("South", (10, 11))).is_some());
        assert!(calendar.clash(&at("South", (10, 11)), &at("North", (9, 10))).is_some());
        assert!(calendar.clash(&at("North", (9, 10)), &at("South", (11, 12))).is_none());
        assert!(calendar.clash(&at("North", (9, 10)), &at("North", (10, 11))).is_none());
        assert!(calendar.clash(&at("North", (9, 10)), &on_monday((10, 11))).is_none());
    }

    fn any_meeting() -> impl Strategy<Value = Meeting> {
        let days = proptest::collection::vec(0_usize..7, 0..4);
        let dates = proptest::collection::vec(0_i64..60, 0..3);
        (days, dates, 8_i8..18, 1_i8..4, 0_i64..50, 0_i64..20).prop_map(
            |(days, dates, hour, hours, first, length)| {
                let day = |ahead: i64| {
                    let start = jiff::civil::date(2027, 9, 1);
                    start.checked_add(jiff::Span::new().days(ahead)).expect("in this year")
                };
                let mut meeting = meeting((hour, hour + hours), AUTUMN, &[]);
                meeting.weekdays = days.into_iter().map(|at| Weekday::ALL[at]).collect();
                (meeting.first_day, meeting.last_day) = (day(first), day(first + length));
                meeting.dates = dates.into_iter().map(day).collect();
                meeting
            },
        )
    }

    proptest! {
        /// The rule against a walk through every day.
        #[test]
        fn a_clash_is_a_common_day_with_common_hours(
            a in any_meeting(), b in any_meeting(), holiday in 0_i64..60, length in 0_i64..14,
        ) {
            let day = |ahead: i64| {
                jiff::civil::date(2027, 9, 1).checked_add(jiff::Span::new().days(ahead)).expect("in this year")
            };
            let holiday = Holiday { title: "H".into(), first_day: day(holiday), last_day: day(holiday + length) };
            let calendar = Calendar { holidays: vec![holiday], ways: Vec::new() };
            let hours = a.starts_at < b.ends_at && b.starts_at < a.ends_at;
            let walked = (0..90).map(day).find(|day| {
                hours && a.meets_on(*day) && b.meets_on(*day) && !calendar.is_holiday(*day)
            });
            prop_assert_eq!(calendar.clash(&a, &b), walked);
            prop_assert_eq!(calendar.clash(&b, &a), walked);
        }
    }
}
