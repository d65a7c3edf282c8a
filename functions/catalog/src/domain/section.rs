//! A section: its states, who may change what of it in which state of its term, and what it must keep to.

use events::{CrossListing, TermState, WaitlistSettings};
use kernel::{
    Calendar, CourseId, Date, Meeting, PersonId, Requirement, SeatPool, SectionId, TermId,
    Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Code, Refusal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SectionState {
    Draft,
    Approved,
    #[default]
    Offered,
    /// Nobody may register; whoever is registered stays.
    Suspended,
    Cancelled,
}

/// What a section is of its course, where students take several together.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    Lecture,
    Lab,
    Tutorial,
    Seminar,
    Practical,
}

/// Who changes a section: the registrar's office, or a head of the section's department.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Editor {
    Central,
    Department,
}

/// Who moved a section to its state, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateNote {
    pub by: PersonId,
    pub at: Timestamp,
    pub reason: Option<String>,
}

/// A change that the term's state did not allow, made nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    pub by: PersonId,
    pub at: Timestamp,
    pub reason: String,
    pub term_state: TermState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Section {
    pub id: SectionId,
    pub code: Code,
    pub term: TermId,
    pub course: CourseId,
    pub course_code: Code,
    pub department: Code,
    pub state: SectionState,
    pub state_note: Option<StateNote>,
    /// Students have been able to see it, where its term is public: cancelled, it is still theirs to know of.
    #[serde(default)]
    pub was_offered: bool,
    pub component: Option<Component>,
    pub capacity: u32,
    pub price_group: String,
    pub approval_required: bool,
    /// Whether the teacher must let each student in.
    #[serde(default)]
    pub permission_required: bool,
    pub meetings: Vec<Meeting>,
    pub teachers: Vec<PersonId>,
    /// Groups of students for whom it is planned: their sections should not clash.
    pub student_groups: Vec<Code>,
    pub cross_listing: Option<CrossListing>,
    pub pools: Vec<SeatPool>,
    pub restrictions: Vec<Requirement>,
    pub waitlist: WaitlistSettings,
    pub overrides: Vec<Override>,
}

/// A meeting lasts at most so long: a calendar year and a bit.
const MEETING_DAYS_MAX: i32 = 400;

impl Section {
    pub fn check(&self) -> Result<(), Refusal> {
        for meeting in &self.meetings {
            check_meeting(meeting)?;
        }
        let clashes = |(at, meeting): (usize, &Meeting)| {
            self.meetings[..at].iter().any(|earlier| earlier.clashes_with(meeting))
        };
        if self.meetings.iter().enumerate().any(clashes) {
            return Err(Refusal::MeetingsClash);
        }
        self.check_pools()
    }

    fn check_pools(&self) -> Result<(), Refusal> {
        for (at, pool) in self.pools.iter().enumerate() {
            let earlier = &self.pools[..at];
            if earlier.iter().any(|other| other.population == pool.population) {
                return Err(Refusal::PoolPopulationTwice);
            }
            if earlier.iter().any(|other| other.priority == pool.priority) {
                return Err(Refusal::PoolPriorityTwice);
            }
        }
        Ok(())
    }

    /// More seats are kept than there are: not forbidden, but worth a word.
    pub fn pools_exceed_capacity(&self) -> bool {
        let kept = self.pools.iter().map(|pool| u64::from(pool.seats)).sum::<u64>();
        kept > u64::from(self.capacity)
    }

    /// Whether it keeps its rooms and teachers to itself: a draft only pencils them in.
    pub fn is_firm(&self) -> bool {
        !matches!(self.state, SectionState::Draft | SectionState::Cancelled)
    }

    /// Whether those who do not plan see it, where its term is public.
    pub fn is_public(&self) -> bool {
        match self.state {
            SectionState::Draft | SectionState::Approved => false,
            SectionState::Offered | SectionState::Suspended => true,
            // A plan that was given up is nobody's business.
            SectionState::Cancelled => self.was_offered,
        }
    }

    /// As those see it who do not plan: who decided what out of turn, and why, is the planners' business.
    #[must_use]
    pub fn for_the_public(self) -> Self {
        Self { overrides: Vec::new(), ..self }
    }

    pub fn move_to(
        &mut self,
        to: SectionState,
        term: TermState,
        note: StateNote,
    ) -> Result<(), Refusal> {
        use SectionState::{Approved, Cancelled, Draft, Offered, Suspended};
        let allowed = match (self.state, to) {
            (Draft, Approved)
            | (Approved, Draft | Offered)
            | (Offered, Suspended)
            | (Suspended, Offered)
            | (Draft | Approved | Offered | Suspended, Cancelled) => true,
            // Reinstatement: only while the term is still planned.
            (Cancelled, Draft) => term < TermState::Published,
            _ => false,
        };
        if !allowed {
            return Err(Refusal::SectionStateNotReachable);
        }
        self.state = to;
        self.was_offered |= to == Offered;
        self.state_note = Some(note);
        Ok(())
    }

    /// Whether only capacity, waitlist, rooms and teachers differ: what may change although students have seen it.
    pub fn differs_little_from(&self, before: &Self) -> bool {
        let without_rooms = |meetings: &[Meeting]| -> Vec<Meeting> {
            meetings.iter().map(|meeting| Meeting { room: None, ..meeting.clone() }).collect()
        };
        let same_meetings = without_rooms(&self.meetings) == without_rooms(&before.meetings);
        let limited = Self {
            capacity: before.capacity,
            waitlist: before.waitlist,
            teachers: before.teachers.clone(),
            meetings: before.meetings.clone(),
            ..self.clone()
        };
        same_meetings && limited == *before
    }
}

impl Editor {
    /// Whether sections of a term in this state may be made, or changed beyond rooms, teachers and capacity.
    pub fn may_plan(self, term: TermState) -> Result<(), Refusal> {
        match (term, self) {
            (TermState::Open, _)
            | (TermState::Draft | TermState::Locked | TermState::FinalEdits, Self::Central) => {
                Ok(())
            }
            _ => Err(Refusal::TermNotEditable),
        }
    }

    /// Whether sections may be added, moved to another state or cancelled. After publication the registrar's office
    /// still has to react to what happens.
    pub fn may_add_and_move(self, term: TermState) -> Result<(), Refusal> {
        match (term, self) {
            (TermState::Published, Self::Central) => Ok(()),
            _ => self.may_plan(term),
        }
    }

    /// Whether capacity, rooms and teachers may be changed.
    pub fn may_adjust(self, term: TermState) -> Result<(), Refusal> {
        match term {
            TermState::FinalEdits | TermState::Published => Ok(()),
            _ => self.may_plan(term),
        }
    }
}

fn check_meeting(meeting: &Meeting) -> Result<(), Refusal> {
    if meeting.ends_at <= meeting.starts_at || meeting.last_day < meeting.first_day {
        return Err(Refusal::MeetingEndsBeforeItBegins);
    }
    let outside = |day: &Date| *day < meeting.first_day || meeting.last_day < *day;
    let days = (meeting.last_day - meeting.first_day).get_days();
    if meeting.dates.iter().any(outside) || days > MEETING_DAYS_MAX {
        return Err(Refusal::MeetingDatesOutside);
    }
    if meeting.weekdays.is_empty() && meeting.dates.is_empty() {
        return Err(Refusal::MeetingNeverMeets);
    }
    Ok(())
}

/// Linked sections must leave a student the time for all of them.
pub fn clash_among(calendar: &Calendar, sections: &[&Section]) -> bool {
    sections.iter().enumerate().any(|(at, section)| {
        let earlier = sections[..at].iter();
        earlier
            .into_iter()
            .any(|other| calendar.first_clash(&section.meetings, &other.meetings).is_some())
    })
}

#[cfg(test)]
pub mod tests {
    use kernel::{Id, Room, Weekday};

    use super::*;

    pub fn section() -> Section {
        Section {
            id: SectionId::derived_from("a"),
            code: Code("A".into()),
            term: TermId::derived_from("t"),
            course: CourseId::derived_from("c"),
            course_code: Code("C".into()),
            department: Code("MATH".into()),
            state: SectionState::Draft,
            state_note: None,
            was_offered: false,
            component: None,
            capacity: 30,
            price_group: "standard".into(),
            approval_required: false,
            permission_required: false,
            meetings: Vec::new(),
            teachers: Vec::new(),
            student_groups: Vec::new(),
            cross_listing: None,
            pools: Vec::new(),
            restrictions: Vec::new(),
            waitlist: WaitlistSettings::default(),
            overrides: Vec::new(),
        }
    }

    pub fn monday(from: &str, to: &str) -> Meeting {
        Meeting::weekly(
            vec![Weekday::Monday],
            (from.parse().expect("a time"), to.parse().expect("a time")),
            ("2027-02-01".parse().expect("a date"), "2027-06-30".parse().expect("a date")),
        )
    }

    fn note() -> StateNote {
        StateNote { by: PersonId::derived_from("p"), at: Timestamp::UNIX_EPOCH, reason: None }
    }

    #[test]
    fn states_follow_each_other_as_they_must() {
        use SectionState::{Approved, Cancelled, Draft, Offered, Suspended};
        let states = [Draft, Approved, Offered, Suspended, Cancelled];
        let allowed = [
            (Draft, Approved),
            (Draft, Cancelled),
            (Approved, Draft),
            (Approved, Offered),
            (Approved, Cancelled),
            (Offered, Suspended),
            (Offered, Cancelled),
            (Suspended, Offered),
            (Suspended, Cancelled),
        ];
        for from in states {
            for to in states {
                let moves =
                    |term| Section { state: from, ..section() }.move_to(to, term, note()).is_ok();
                let reinstated = (from, to) == (Cancelled, Draft);
                assert_eq!(moves(TermState::Published), allowed.contains(&(from, to)));
                assert_eq!(
                    moves(TermState::FinalEdits),
                    reinstated || allowed.contains(&(from, to)),
                    "{from:?} to {to:?}"
                );
            }
        }
    }

    /// Who may do what, as the rules print it: plan, add or move, adjust; central and department.
    #[test]
    fn the_term_s_state_says_who_may_edit() {
        use Editor::{Central, Department};
        let rows = [
            (TermState::Draft, [true, false, true, false, true, false]),
            (TermState::Open, [true; 6]),
            (TermState::Locked, [true, false, true, false, true, false]),
            (TermState::FinalEdits, [true, false, true, false, true, true]),
            (TermState::Published, [false, false, true, false, true, true]),
            (TermState::Closed, [false; 6]),
        ];
        for (state, expected) in rows {
            let found = [
                Central.may_plan(state),
                Department.may_plan(state),
                Central.may_add_and_move(state),
                Department.may_add_and_move(state),
                Central.may_adjust(state),
                Department.may_adjust(state),
            ];
            assert_eq!(found.map(|may| may.is_ok()), expected, "{state:?}");
        }
    }

    #[test]
    fn a_room_a_teacher_and_seats_are_little_and_an_hour_is_not() {
        let before = Section { meetings: vec![monday("09:00", "10:00")], ..section() };
        let mut after = before.clone();
        after.capacity = 40;
        after.teachers.push(PersonId::derived_from("t"));
        after.meetings[0].room = Some(Room { building: "N".into(), name: "1".into() });
        assert!(after.differs_little_from(&before));
        let later = Section { meetings: vec![monday("09:00", "11:00")], ..before.clone() };
        assert!(!later.differs_little_from(&before));
        assert!(
            !Section { approval_required: true, ..before.clone() }.differs_little_from(&before)
        );
    }

    #[test]
    fn a_population_has_one_pool_and_too_many_kept_seats_are_told() {
        let pool = |population: &str, seats, priority| SeatPool {
            population: population.parse().expect("a requirement"),
            seats,
            priority,
            until: None,
        };
        let with = |pools: &[SeatPool]| Section { pools: pools.to_vec(), ..section() };
        let twice = with(&[pool("program(CS)", 5, 1), pool("PROGRAM( cs )", 5, 2)]);
        assert_eq!(twice.check(), Err(Refusal::PoolPopulationTwice));
        let tied = with(&[pool("program(CS)", 5, 1), pool("program(LAW)", 5, 1)]);
        assert_eq!(tied.check(), Err(Refusal::PoolPriorityTwice));
        let many = with(&[pool("program(CS)", 20, 1), pool("program(LAW)", 20, 2)]);
        assert_eq!((many.check(), many.pools_exceed_capacity()), (Ok(()), true));
        assert!(!with(&[pool("program(CS)", 30, 1)]).pools_exceed_capacity());
    }

    #[test]
    fn a_meeting_must_meet_and_on_days_of_its_own() {
        let check = |meeting: Meeting| Section { meetings: vec![meeting], ..section() }.check();
        let never = Meeting { weekdays: Vec::new(), ..monday("09:00", "10:00") };
        assert_eq!(check(never.clone()), Err(Refusal::MeetingNeverMeets));
        let once = Meeting { dates: vec!["2027-03-03".parse().expect("a date")], ..never.clone() };
        assert_eq!(check(once), Ok(()));
        let outside = Meeting { dates: vec!["2027-09-03".parse().expect("a date")], ..never };
        assert_eq!(check(outside), Err(Refusal::MeetingDatesOutside));
        let endless =
            Meeting { last_day: "2037-06-30".parse().expect("a date"), ..monday("09:00", "10:00") };
        assert_eq!(check(endless), Err(Refusal::MeetingDatesOutside));
    }
}
