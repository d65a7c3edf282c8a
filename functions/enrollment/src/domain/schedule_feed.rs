//! A student's schedule as a calendar that other programs subscribe to. One event for each registration and meeting:
//! its UID never changes, and its SEQUENCE rises with whatever may have changed it.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::tz::TimeZone;
use kernel::{Calendar, Date, Meeting, PersonId, Time, Timestamp, Weekday};
use serde::{Deserialize, Serialize};

use super::icalendar::{Lines, local, utc, write_zone, zone_name};
use super::{Scheduled, ScheduledState, end_of};

/// The secret address of a student's calendar: whoever knows it reads their schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleFeed {
    pub student: PersonId,
    /// The secret in the address is not kept: it is known again by this.
    pub digest: String,
    pub issued_at: Timestamp,
}

/// Whose calendar is at an address. Never changed: it comes with the address and goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedAddress {
    pub digest: String,
    pub student: PersonId,
}

/// What every event of a calendar is written by.
#[derive(Debug, Clone, Copy)]
pub struct Almanac<'a> {
    pub calendar: &'a Calendar,
    pub calendar_version: u64,
    pub zone: &'a TimeZone,
}

/// Days after the last meeting for which a section stays in the calendar.
const KEPT_DAYS: i64 = 180;
/// Days of one meeting that are looked at: three years.
const DAYS_MAX: usize = 1_100;

/// Everything that was ever in the student's schedule, unless it is long past; what is there no longer, as cancelled.
pub fn calendar_text(scheduled: &[Scheduled], almanac: Almanac<'_>, now: Timestamp) -> String {
    let today = now.to_zoned(almanac.zone.clone()).date();
    let oldest = today.checked_sub(KEPT_DAYS.days()).unwrap_or(today);
    let kept = scheduled.iter().filter(|of| of.last_day().is_some_and(|last| oldest <= last));
    let mut events: Vec<Event<'_>> = kept.flat_map(|of| events(of, almanac.calendar)).collect();
    events.sort_by_cached_key(Event::uid);
    let mut lines = Lines::default();
    lines.component("VCALENDAR", |lines| {
        lines.value("VERSION", "2.0");
        lines.value("PRODID", "-//Matricula//Schedule//EN");
        lines.value("CALSCALE", "GREGORIAN");
        lines.value("REFRESH-INTERVAL;VALUE=DURATION", "PT1H");
        write_zone(lines, almanac.zone, span(&events, almanac.zone).unwrap_or((now, now)));
        for event in &events {
            lines.component("VEVENT", |lines| event.write(lines, almanac));
        }
    });
    lines.into_text()
}

/// From the first meeting to the last.
fn span(events: &[Event<'_>], zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let first = events.iter().map(|event| event.days.first).min()?;
    let last = events.iter().map(|event| event.days.last()).max()?;
    let midnight = first.to_zoned(zone.clone()).ok()?.timestamp();
    Some((midnight, end_of(last, zone)?))
}

/// One meeting of one registration.
struct Event<'a> {
    of: &'a Scheduled,
    /// Its place among all the meetings that the section has had.
    number: usize,
    meeting: &'a Meeting,
    days: Days,
    is_cancelled: bool,
}

fn events<'a>(of: &'a Scheduled, calendar: &Calendar) -> Vec<Event<'a>> {
    let is_off = of.state().is_none_or(|state| state == ScheduledState::Cancelled);
    let standing = of.seats.meetings.iter().map(|meeting| (meeting, is_off));
    let former = of.seats.former_meetings.iter().map(|meeting| (meeting, true));
    let numbered = standing.chain(former).enumerate();
    let event = |(number, (meeting, is_off)): (usize, (&'a Meeting, bool))| {
        let days = Days::of(meeting, calendar);
        // One that has only holidays left was shown before they were known.
        let is_cancelled = is_off || days.is_none();
        let days = days.or_else(|| Days::of(meeting, &Calendar::default()))?;
        Some(Event { of, number, meeting, days, is_cancelled })
    };
    numbered.filter_map(event).collect()
}

impl Event<'_> {
    fn uid(&self) -> String {
        format!("{}-{}@matricula", self.of.registration.id, self.number)
    }

    /// Each of these counts up, and one of them does when the event changes.
    fn sequence(&self, almanac: Almanac<'_>) -> u64 {
        self.of.registration_version + self.of.seats.section_version + almanac.calendar_version
    }

    fn write(&self, lines: &mut Lines, almanac: Almanac<'_>) {
        let Self { of, meeting, days, .. } = self;
        let zone = zone_name(almanac.zone);
        let at = |day: Date, time: Time| local(day.to_datetime(time));
        let starts = |days: &[Date]| -> String {
            let starts: Vec<String> = days.iter().map(|day| at(*day, meeting.starts_at)).collect();
            starts.join(",")
        };
        let in_zone = |name: &str| format!("{name};TZID={zone}");
        lines.value("UID", &self.uid());
        let changed_at = of.registration.history.last().map(|transition| transition.at);
        lines.value("DTSTAMP", &utc(changed_at.unwrap_or_default()));
        lines.value("SEQUENCE", &self.sequence(almanac).to_string());
        lines.value(&in_zone("DTSTART"), &starts(&[days.first]));
        lines.value(&in_zone("DTEND"), &at(days.first, meeting.ends_at));
        if let Some(until) = days.until.and_then(|last| end_of(last, almanac.zone)) {
            let days_of_week: Vec<&str> =
                meeting.weekdays.iter().map(|weekday| two_letters(*weekday)).collect();
            let rule = format!("FREQ=WEEKLY;UNTIL={};BYDAY={}", utc(until), days_of_week.join(","));
            lines.value("RRULE", &rule);
        }
        if !days.left_out.is_empty() {
            lines.value(&in_zone("EXDATE"), &starts(&days.left_out));
        }
        if !days.besides.is_empty() {
            lines.value(&in_zone("RDATE"), &starts(&days.besides));
        }
        lines.text("SUMMARY", &of.seats.course.title);
        lines.text("DESCRIPTION", &of.seats.code);
        if let Some(room) = &meeting.room {
            lines.text("LOCATION", &room.to_string());
        }
        lines.value("STATUS", self.status());
    }

    fn status(&self) -> &'static str {
        match self.of.state() {
            _ if self.is_cancelled => "CANCELLED",
            Some(ScheduledState::Held) => "TENTATIVE",
            _ => "CONFIRMED",
        }
    }
}

/// On which days a meeting takes place, as a recurrence says it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Days {
    first: Date,
    /// The last day of the weekly rule, where there is one. It begins on the first day.
    until: Option<Date>,
    /// Holidays on which the rule falls.
    left_out: Vec<Date>,
    /// Days beside the rule, each after the first.
    besides: Vec<Date>,
}

impl Days {
    /// None where it never meets. A recurrence begins with its rule: where a single day comes before the first of the
    /// week, each day is named by itself.
    fn of(meeting: &Meeting, calendar: &Calendar) -> Option<Self> {
        let days = meeting.first_day.series(1.day()).take(DAYS_MAX);
        let days = days.take_while(|day| *day <= meeting.last_day);
        let weekly: BTreeSet<Date> =
            days.filter(|day| meeting.weekdays.contains(&Weekday::of(*day))).collect();
        let is_open = |day: &Date| !calendar.is_holiday(*day);
        let open: BTreeSet<Date> = weekly.iter().copied().filter(is_open).collect();
        let single = meeting.dates.iter().copied().filter(is_open);
        let single: BTreeSet<Date> = single.filter(|day| !weekly.contains(day)).collect();
        match (open.first(), open.last()) {
            (Some(first), Some(last))
                if first < last && single.first().is_none_or(|single| first < single) =>
            {
                let left_out = weekly.range(first..last).copied().filter(|day| !is_open(day));
                Some(Self {
                    first: *first,
                    until: Some(*last),
                    left_out: left_out.collect(),
                    besides: single.into_iter().collect(),
                })
            }
            _ => {
                let mut all: BTreeSet<Date> = open.union(&single).copied().collect();
                let first = all.pop_first()?;
                let besides = all.into_iter().collect();
                Some(Self { first, until: None, left_out: Vec::new(), besides })
            }
        }
    }

    fn last(&self) -> Date {
        self.until.into_iter().chain(self.besides.iter().copied()).fold(self.first, Date::max)
    }
}

fn two_letters(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "MO",
        Weekday::Tuesday => "TU",
        Weekday::Wednesday => "WE",
        Weekday::Thursday => "TH",
        Weekday::Friday => "FR",
        Weekday::Saturday => "SA",
        Weekday::Sunday => "SU",
    }
}

#[cfg(test)]
mod tests {
    use calcard::common::timezone::Tz;
    use calcard::{Entry, Parser};
    use events::{Event as _, SectionOffered};
    use kernel::{Holiday, Id, Room};
    use proptest::prelude::*;

    use super::super::{Registration, RegistrationState, SectionSeats, Transition};
    use super::*;

    fn scheduled(meeting: Meeting) -> Scheduled {
        let mut seats = SectionSeats::offered(SectionOffered::example(), None);
        seats.meetings = vec![meeting];
        let at = testkit::now();
        let to = RegistrationState::Registered;
        let registration = Registration {
            id: Id::derived_from("ada"),
            bundle: Id::derived_from("ada"),
            submission: Id::derived_from("ada"),
            student: PersonId::derived_from("ada"),
            term: seats.term.id,
            term_code: seats.term.code.clone(),
            section: seats.section,
            section_code: seats.code.clone(),
            course_title: seats.course.title.clone(),
            credits_hundredths: 600,
            department: "MATH".into(),
            drop_until: at,
            state: to,
            pool: None,
            provisional: false,
            overrides: Vec::new(),
            last_attended_on: None,
            history: vec![Transition { to, at, by: "saga".into(), reason: None }],
        };
        Scheduled { registration, registration_version: 1, seats }
    }

    /// Every start of a meeting, as a parser that is not ours expands it.
    fn expanded(meeting: &Meeting, calendar: &Calendar, zone: &TimeZone) -> Vec<Timestamp> {
        let almanac = Almanac { calendar, calendar_version: 1, zone };
        let text = calendar_text(&[scheduled(meeting.clone())], almanac, testkit::now());
        let Entry::ICalendar(parsed) = Parser::new(&text).strict().entry() else {
            panic!("it is no calendar: {text}");
        };
        let is_off = text.contains("STATUS:CANCELLED");
        let expanded = parsed.expand_dates(Tz::Floating, 10_000);
        assert_eq!(expanded.errors, []);
        let starts = expanded.events.iter().filter(|_| !is_off).map(|event| event.timestamps().0);
        let mut starts: Vec<_> =
            starts.map(|second| Timestamp::from_second(second).expect("in time")).collect();
        starts.sort_unstable();
        starts
    }

    fn day(ahead: i64) -> Date {
        jiff::civil::date(2027, 2, 1).checked_add(ahead.days()).expect("in time")
    }

    fn any_meeting() -> impl Strategy<Value = Meeting> {
        let weekdays = proptest::collection::btree_set(0_usize..7, 0..4);
        let dates = proptest::collection::btree_set(0_i64..120, 0..4);
        (weekdays, dates, 7_i8..21, 0_i64..60, 0_i64..60).prop_map(
            |(weekdays, dates, hour, first, length)| {
                let hours =
                    (jiff::civil::time(hour, 15, 0, 0), jiff::civil::time(hour + 2, 0, 0, 0));
                let weekdays = weekdays.into_iter().map(|at| Weekday::ALL[at]).collect();
                let mut meeting =
                    Meeting::weekly(weekdays, hours, (day(first), day(first + length)));
                meeting.dates = dates.into_iter().map(day).collect();
                meeting.room = Some(Room { building: "North".into(), name: "1".into() });
                meeting
            },
        )
    }

    proptest! {
        /// The recurrence against a walk through every day.
        #[test]
        fn a_calendar_names_each_day_on_which_it_meets_and_no_other(
            meeting in any_meeting(), holiday in 0_i64..120, length in 0_i64..20, zone in 0_usize..3,
        ) {
            let zone = TimeZone::get(["UTC", "Europe/Zurich", "America/New_York"][zone]).expect("a zone");
            let holiday =
                Holiday { title: "H".into(), first_day: day(holiday), last_day: day(holiday + length) };
            let calendar = Calendar { holidays: vec![holiday], ways: Vec::new() };
            let walked: Vec<Timestamp> = (0..130)
                .map(day)
                .filter(|day| meeting.meets_on(*day) && !calendar.is_holiday(*day))
                .map(|day| day.to_datetime(meeting.starts_at).to_zoned(zone.clone()).expect("in time").timestamp())
                .collect();
            prop_assert_eq!(expanded(&meeting, &calendar, &zone), walked);
        }
    }

    #[test]
    fn a_meeting_that_has_only_holidays_left_is_cancelled_and_one_that_never_meets_is_not_there() {
        let mut meeting = SectionOffered::example().meetings.remove(0);
        let holiday = Holiday { title: "H".into(), first_day: day(0), last_day: meeting.last_day };
        let calendar = Calendar { holidays: vec![holiday], ways: Vec::new() };
        let written = |meeting: &Meeting| {
            let zone = TimeZone::UTC;
            let almanac = Almanac { calendar: &calendar, calendar_version: 1, zone: &zone };
            calendar_text(&[scheduled(meeting.clone())], almanac, testkit::now())
        };
        assert!(written(&meeting).contains("DTSTART;TZID=UTC:20270201T090000\r\n"));
        assert!(written(&meeting).contains("STATUS:CANCELLED\r\n"));
        meeting.weekdays.clear();
        assert!(!written(&meeting).contains("BEGIN:VEVENT"));
    }
}
