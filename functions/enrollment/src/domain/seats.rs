//! A section as registration sees it: the seats, and everything that decides who may take one.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    CourseVersion, CrossListing, OfferedCourse, OfferedTerm, SectionOffered, WaitlistMode,
    WaitlistSettings,
};
use jiff::ToSpan;
use kernel::{
    AcademicRecord, CrossListId, Date, GradeScale, Meeting, PersonId, Requirement, Seat, SeatPool,
    Seats, SectionId, Verdict,
};
use serde::{Deserialize, Serialize};

use super::{ItemCode, Line};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionStatus {
    Offered,
    /// Nobody may register until it is offered again.
    Suspended,
    /// It does not take place.
    Cancelled,
}

impl SectionStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Invariant: `taken` is the number of registrations that hold or have a seat with the seats that are `offered` to who
/// waited; `taken_generally` and `taken_in_pools` are those of each kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SectionSeats {
    pub section: SectionId,
    /// Version of the section in the catalog.
    pub section_version: u64,
    pub code: String,
    pub status: SectionStatus,
    pub term: OfferedTerm,
    pub course: OfferedCourse,
    /// Version of the course in the catalog; 0 as long as only the section's own word of it is known.
    #[serde(default)]
    pub course_version: u64,
    pub credits_hundredths: u32,
    pub capacity: i64,
    /// In pools and outside.
    pub taken: i64,
    pub taken_generally: i64,
    /// By the population of the pool. One that the catalog has taken away stays as long as somebody sits in it.
    pub taken_in_pools: BTreeMap<String, i64>,
    pub pools: Vec<SeatPool>,
    /// A student must meet one of these, where there are any.
    pub restrictions: Vec<Requirement>,
    pub cross_listing: Option<CrossListing>,
    pub department: String,
    pub price_group: String,
    pub approval_required: bool,
    /// Whether the teacher must let each student in.
    #[serde(default)]
    pub permission_required: bool,
    pub meetings: Vec<Meeting>,
    /// Those that it had besides and has no longer: behind the others, each at the place that it had.
    #[serde(default)]
    pub former_meetings: Vec<Meeting>,
    #[serde(default)]
    pub teachers: Vec<PersonId>,
    #[serde(default)]
    pub waitlist: WaitlistSettings,
    #[serde(default)]
    pub line: Line,
    /// Those in line who belonged to the population of a pool on joining.
    #[serde(default)]
    pub waiting_in_pools: BTreeMap<String, i64>,
    /// Seats that are held for who waited and has not answered yet.
    #[serde(default)]
    pub offered: i64,
}

impl SectionSeats {
    /// The section as the catalog now offers it. Nobody loses a seat, even where the capacity shrank below what is
    /// taken.
    pub fn offered(event: SectionOffered, standing: Option<&Self>) -> Self {
        let by_population = |before: Option<&BTreeMap<String, i64>>| {
            let empty = event.pools.iter().map(|pool| (pool.population.to_string(), 0));
            let mut counts: BTreeMap<String, i64> =
                empty.chain(before.cloned().unwrap_or_default()).collect();
            counts.retain(|population, count| {
                let is_population = |pool: &SeatPool| pool.population.to_string() == *population;
                *count > 0 || event.pools.iter().any(is_population)
            });
            counts
        };
        let taken_in_pools = by_population(standing.map(|standing| &standing.taken_in_pools));
        let waiting_in_pools = by_population(standing.map(|standing| &standing.waiting_in_pools));
        let before = standing.into_iter().flat_map(Self::all_meetings);
        let former_meetings = before.skip(event.meetings.len()).cloned().collect();
        Self {
            section: event.section,
            section_version: event.section_version,
            code: event.code,
            status: SectionStatus::Offered,
            term: event.term,
            course: event.course,
            course_version: 0,
            credits_hundredths: event.credits_hundredths,
            capacity: i64::from(event.capacity),
            taken: standing.map(|standing| standing.taken).unwrap_or_default(),
            taken_generally: standing.map(|standing| standing.taken_generally).unwrap_or_default(),
            taken_in_pools,
            pools: event.pools,
            restrictions: event.restrictions,
            cross_listing: event.cross_listing,
            department: event.department,
            price_group: event.price_group,
            approval_required: event.approval_required,
            permission_required: event.permission_required,
            meetings: event.meetings,
            former_meetings,
            teachers: event.teachers,
            waitlist: event.waitlist,
            line: standing
                .map(|standing| standing.line.with_all_seats_its_own())
                .unwrap_or_default(),
            waiting_in_pools,
            offered: standing.map(|standing| standing.offered).unwrap_or_default(),
        }
    }

    /// Those that it has, and those that it has no longer. A meeting keeps its place as long as it is there.
    pub fn all_meetings(&self) -> impl Iterator<Item = &Meeting> {
        self.meetings.iter().chain(&self.former_meetings)
    }

    /// The course's own word takes the place of what the section said of it.
    pub fn follow_course(&mut self, course: &CourseVersion, course_version: u64) {
        let course = course.clone();
        self.course.title = course.title;
        self.course.corequisites = course.corequisites;
        self.course.prerequisites = course.prerequisites;
        self.course.equivalents = course.equivalents;
        self.course.cross_listed = course.cross_listed;
        self.course.attempts_max = course.attempts_max;
        self.credits_hundredths = course.credits_hundredths;
        self.course_version = course_version;
    }

    /// Which seat the student would get: of a pool, named by its population, or a general one; or why none.
    pub fn seat_for(
        &self,
        student: &AcademicRecord,
        scale: &GradeScale,
        today: Date,
    ) -> Result<Option<String>, ItemCode> {
        let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        let in_pools: Vec<u32> = self.pools.iter().map(|pool| count(self.taken_in(pool))).collect();
        let seats = Seats {
            capacity: count(self.capacity),
            taken: count(self.taken),
            pools: &self.pools,
            taken_in_pools: &in_pools,
        };
        match seats.seat_for(student, scale, today) {
            Seat::Reserved(at) => Ok(Some(self.pools[at].population.to_string())),
            Seat::General => Ok(None),
            Seat::ReservedForOthers => Err(ItemCode::ReservedClosed),
            Seat::Full => Err(ItemCode::Closed),
        }
    }

    fn taken_in(&self, pool: &SeatPool) -> i64 {
        self.taken_in_pools.get(&pool.population.to_string()).copied().unwrap_or_default()
    }

    /// How many may be taken outside the pools: what they keep is not for all, and what is taken in them is gone.
    pub fn general_capacity(&self, today: Date) -> i64 {
        let kept = self.pools.iter().filter(|pool| pool.until.is_none_or(|until| today <= until));
        let kept_free: i64 =
            kept.map(|pool| (i64::from(pool.seats) - self.taken_in(pool)).max(0)).sum();
        self.capacity - kept_free - self.taken_in_pools.values().sum::<i64>()
    }

    /// Whether one may stand in line for it, and whoever does goes before who comes later.
    pub fn has_waitlist(&self, today: Date) -> bool {
        let is_open = self.waitlist.ends_on.is_none_or(|last| today <= last);
        self.waitlist.mode != WaitlistMode::None && is_open
    }

    /// Whether somebody may stand in line, or still does though the list is closed.
    pub fn may_have_line(&self) -> bool {
        self.waitlist.mode != WaitlistMode::None || self.line.waiting > 0
    }

    /// Whether a seat that is free in it may be somebody's who stands in line: for it, or for another of its
    /// cross-list, which may have a list though this one has none.
    pub fn may_be_waited_for(&self) -> bool {
        self.may_have_line() || self.cross_listing.is_some()
    }

    /// Free seats that are kept for nobody.
    pub fn free_generally(&self, today: Date) -> i64 {
        let general = self.general_capacity(today) - self.taken_generally;
        general.min(self.capacity - self.taken).max(0)
    }

    /// The next day on which something changes for who stands in line without anybody doing anything: the list is over,
    /// or kept seats become everybody's.
    pub fn next_look(&self, today: Date) -> Option<Date> {
        let kept_until = self.pools.iter().filter_map(|pool| pool.until);
        let last_days = kept_until.chain(self.waitlist.ends_on);
        let next = last_days.filter(|day| today <= *day).min()?;
        next.checked_add(1.day()).ok()
    }

    /// The populations with reserved seats that the student belongs to.
    pub fn populations_of(&self, student: &AcademicRecord, scale: &GradeScale) -> BTreeSet<String> {
        let populations = self.pools.iter().map(|pool| &pool.population);
        let theirs = populations
            .filter(|population| population.prove(student, scale).verdict != Verdict::NotMet);
        theirs.map(ToString::to_string).collect()
    }

    /// Whether a seat of this kind is somebody else's first, who stands in line. `line` is the section's, or that of
    /// its cross-list.
    pub fn turn(&self, pool: Option<&str>, line: &Line, today: Date) -> Turn {
        let before = match pool {
            Some(population) => self.waiting_in_pools.get(population).copied().unwrap_or_default(),
            None => line.waiting,
        };
        // The line of a cross-list is that of all its sections, whichever of them has the list.
        if !self.has_waitlist(today) && self.cross_listing.is_none() {
            Turn::NobodyWaits { bars: false }
        } else if before == 0 {
            Turn::NobodyWaits { bars: true }
        } else if line.passed > 0 {
            Turn::PassedOn
        } else {
            Turn::OthersFirst
        }
    }

    /// Seats of the pool of this population.
    pub fn pool_capacity(&self, population: &str) -> i64 {
        let pool = self.pools.iter().find(|pool| pool.population.to_string() == population);
        pool.map_or(0, |pool| i64::from(pool.seats))
    }
}

/// Whose turn it is to have a free seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    NobodyWaits {
        /// Whether somebody might.
        bars: bool,
    },
    /// Nobody in line could take it.
    PassedOn,
    OthersFirst,
}

/// The seats that the sections of a cross-list share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SharedSeats {
    pub cross_list: CrossListId,
    pub capacity: i64,
    /// In all its sections together.
    pub taken: i64,
    /// All its sections are one class, so that who waits for any stands in one line.
    #[serde(default)]
    pub line: Line,
    /// Its sections.
    #[serde(default)]
    pub sections: BTreeSet<SectionId>,
}

impl SharedSeats {
    pub fn empty(cross_list: CrossListId) -> Self {
        let (line, sections) = (Line::default(), BTreeSet::new());
        Self { cross_list, capacity: 0, taken: 0, line, sections }
    }

    pub fn is_full(&self) -> bool {
        self.taken >= self.capacity
    }
}
