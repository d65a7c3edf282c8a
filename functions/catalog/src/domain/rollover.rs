//! A rollover: the sections of a term become drafts of another, page by page, and it says beforehand what will be.

use kernel::{Date, Id, Meeting, RolloverId, SeatPool, SectionId, TermId, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::Refuse;

use super::{Code, Course, Section, SectionState, Term};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloverState {
    /// The dry run: nothing is copied yet.
    Planned,
    Running,
    Done,
}

/// A section that is not copied, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    pub section_code: Code,
    pub code: String,
}

/// Enough to see what is the matter; the counts say how many there are.
pub const SKIPPED_LISTED_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollover {
    pub id: RolloverId,
    pub from: TermId,
    pub to: TermId,
    pub with_teachers: bool,
    pub state: RolloverState,
    /// What the dry run, or the run so far, has copied.
    pub copied: u32,
    pub skipped: u32,
    pub skipped_sections: Vec<Skipped>,
    /// Counts pages and starts: an event of another step is of the past.
    pub step: u32,
    /// Where the next page begins.
    pub after: Option<table::Position>,
}

impl Rollover {
    pub fn skip(&mut self, section: &Section, code: &str) {
        self.skipped += 1;
        if self.skipped_sections.len() < SKIPPED_LISTED_MAX {
            let section_code = section.code.clone();
            self.skipped_sections.push(Skipped { section_code, code: code.to_owned() });
        }
    }

    /// Begins to copy, or goes on where it stopped.
    pub fn start(&mut self) {
        if self.state == RolloverState::Planned {
            (self.copied, self.skipped, self.after) = (0, 0, None);
            self.skipped_sections.clear();
        }
        self.state = RolloverState::Running;
        self.step += 1;
    }
}

/// The section as a draft of the other term, or why there is none. Its id follows from what it is copied from, so
/// that a repeated page finds its own work.
pub fn copied(
    section: &Section,
    course: &Course,
    from: &Term,
    to: &Term,
    with_teachers: bool,
) -> Result<Section, &'static str> {
    if section.state == SectionState::Cancelled {
        return Err("SECTION_CANCELLED");
    }
    if course.is_retired_on(to.first_day) {
        return Err("COURSE_RETIRED");
    }
    let version = course.on(to.first_day);
    let shift = Shift::between(from, to);
    let draft = Section {
        id: SectionId::derived_from(&format!("rollover:{}:{}", section.id, to.id)),
        term: to.id,
        department: Code(version.department.clone()),
        state: SectionState::Draft,
        state_note: None,
        was_offered: false,
        meetings: section.meetings.iter().filter_map(|meeting| shift.meeting(meeting)).collect(),
        teachers: if with_teachers { section.teachers.clone() } else { Vec::new() },
        cross_listing: None,
        pools: shift.pools(section),
        waitlist: events::WaitlistSettings {
            ends_on: section.waitlist.ends_on.map(|day| shift.day(day)),
            ..section.waitlist
        },
        overrides: Vec::new(),
        ..section.clone()
    };
    // Days that were moved or cut may leave two meetings on one hour.
    draft.check().map_err(|refusal| refusal.code_and_status().0)?;
    Ok(draft)
}

/// From one term's days to the other's. Single days move by whole weeks, so that a Friday stays one.
struct Shift {
    days: i32,
    from: (Date, Date),
    to: (Date, Date),
}

impl Shift {
    fn between(from: &Term, to: &Term) -> Self {
        // Half a week more rounds to the nearest week.
        let weeks = ((to.first_day - from.first_day).get_days() + 3).div_euclid(7);
        Self {
            days: weeks * 7,
            from: (from.first_day, from.last_day),
            to: (to.first_day, to.last_day),
        }
    }

    fn day(&self, day: Date) -> Date {
        day.checked_add(jiff::Span::new().days(self.days)).unwrap_or(day)
    }

    /// What begins or ends with the term goes on doing so. Nothing is left of a meeting all of whose days lie outside.
    fn meeting(&self, meeting: &Meeting) -> Option<Meeting> {
        let (begins, ends) = (meeting.first_day <= self.from.0, meeting.last_day >= self.from.1);
        let first_day = if begins { self.to.0 } else { self.day(meeting.first_day).max(self.to.0) };
        let last_day = if ends { self.to.1 } else { self.day(meeting.last_day).min(self.to.1) };
        let moved = meeting.dates.iter().map(|day| self.day(*day));
        let dates: Vec<Date> = moved.filter(|day| (first_day..=last_day).contains(day)).collect();
        let weekly =
            |weekday: &Weekday| weekday.first_from(first_day).is_some_and(|day| day <= last_day);
        let meets = !dates.is_empty() || meeting.weekdays.iter().any(weekly);
        meets.then(|| Meeting { first_day, last_day, dates, ..meeting.clone() })
    }

    fn pools(&self, section: &Section) -> Vec<kernel::SeatPool> {
        let pools = section.pools.iter().cloned();
        pools.map(|pool| SeatPool { until: pool.until.map(|day| self.day(day)), ..pool }).collect()
    }
}

#[cfg(test)]
mod tests {
    use events::{CourseChanged, Event, TermDates, TermState};

    use super::super::section::tests::{monday, section};
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn term(name: &str, first_day: &str, last_day: &str) -> Term {
        Term {
            id: TermId::derived_from(name),
            code: Code(name.into()),
            title: name.into(),
            parent: None,
            state: TermState::Draft,
            first_day: day(first_day),
            last_day: day(last_day),
            registration_opens_at: "2027-01-04T08:00:00Z".parse().expect("a timestamp"),
            registration_closes_at: "2027-02-12T22:59:59Z".parse().expect("a timestamp"),
            windows: Vec::new(),
            dates: TermDates::default(),
        }
    }

    fn course(retired_from: Option<Date>) -> Course {
        let CourseChanged { course, code, versions, .. } = CourseChanged::example();
        Course { id: course, code: Code(code), retired_from, versions }
    }

    /// From Monday, the 1st of February 2027, to Thursday, the 3rd of February 2028.
    fn rolled(section: &Section, course: &Course) -> Result<Section, &'static str> {
        let from = term("A", "2027-02-01", "2027-06-30");
        copied(section, course, &from, &term("B", "2028-02-03", "2028-06-27"), false)
    }

    #[test]
    fn meetings_move_with_the_term_and_single_days_keep_their_weekday() {
        let mut old = section();
        old.meetings = vec![monday("09:00", "10:00"), monday("14:00", "16:00")];
        old.meetings[1].weekdays.clear();
        old.meetings[1].dates = vec![day("2027-03-05"), day("2027-06-30")];
        let new = rolled(&old, &course(None)).expect("copied");
        let days = |meeting: &Meeting| (meeting.first_day, meeting.last_day);
        assert_eq!(days(&new.meetings[0]), (day("2028-02-03"), day("2028-06-27")));
        assert_eq!(new.meetings[1].dates, [day("2028-03-03")], "a Friday; the other is too late");
        assert_eq!((new.state, new.term), (SectionState::Draft, TermId::derived_from("B")));
        assert_eq!(new.id, rolled(&old, &course(None)).expect("copied").id);
    }

    #[test]
    fn meetings_outside_the_other_term_are_left_out_and_not_pressed_into_it() {
        let from_to = |first: &str, last: &str| Meeting {
            first_day: day(first),
            last_day: day(last),
            ..monday("09:00", "10:00")
        };
        let mut old = section();
        // The next term is over on a Tuesday, before the Wednesday on which the first of them meets.
        let last_wednesday = from_to("2027-06-30", "2027-06-30");
        let last_wednesday = Meeting { weekdays: vec![Weekday::Wednesday], ..last_wednesday };
        old.meetings = vec![last_wednesday, from_to("2027-06-07", "2027-06-30")];
        let new = rolled(&old, &course(None)).expect("copied");
        let days = |meeting: &Meeting| (meeting.first_day, meeting.last_day);
        let days: Vec<_> = new.meetings.iter().map(days).collect();
        assert_eq!(days, [(day("2028-06-05"), day("2028-06-27"))]);
    }

    #[test]
    fn what_would_meet_twice_at_once_is_left_to_the_planner() {
        let mut old = section();
        let until = |meeting: Meeting, last: &str| Meeting { last_day: day(last), ..meeting };
        let from = |meeting: Meeting, first: &str| Meeting { first_day: day(first), ..meeting };
        // One begins with the term and one a week later: the next term begins on a Thursday, and ends the same.
        old.meetings = vec![
            until(monday("09:00", "10:00"), "2027-03-01"),
            from(monday("09:00", "10:00"), "2027-03-08"),
        ];
        assert!(rolled(&old, &course(None)).is_ok(), "one after the other");
        old.meetings[1].first_day = day("2027-03-01");
        assert_eq!(rolled(&old, &course(None)), Err("MEETINGS_CLASH"));
    }

    #[test]
    fn what_was_cancelled_or_is_retired_is_left_behind() {
        let cancelled = Section { state: SectionState::Cancelled, ..section() };
        assert_eq!(rolled(&cancelled, &course(None)), Err("SECTION_CANCELLED"));
        let retired = course(Some(day("2028-01-01")));
        assert_eq!(rolled(&section(), &retired), Err("COURSE_RETIRED"));
        assert!(rolled(&section(), &course(Some(day("2028-02-04")))).is_ok());
    }
}
