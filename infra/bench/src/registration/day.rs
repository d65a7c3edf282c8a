//! A registration day from a seed: sections, students with what is known of them, and the cart of each.

use enrollment::domain::{History, Hold, HoldKind, KnownStudent, StudentRecord, StudentStatus};
use events::{
    Event, OfferedCourse, OfferedTerm, SectionOffered, TermChanged, TermDates, TermState,
    WaitlistMode, WaitlistSettings,
};
use fastrand::Rng;
use kernel::{CourseId, Date, HoldId, Id, Meeting, PersonId, SectionId, TermId, Weekday};
use serde_json::{Value, json};

use crate::offering;
use crate::requests::student_id;

/// Sections that a student puts into the cart.
const CART: usize = 5;
/// Sections of one course.
const SECTIONS_OF_COURSE: usize = 3;
/// Students for each 40 of whom there are three sections: 20,000 choose among 1,500.
const STUDENTS_TO_SECTIONS: (usize, usize) = (40, 3);
/// How unevenly they choose: the popularity of the n-th section is n to the power of minus this.
const ZIPF_EXPONENT: f64 = 0.8;
const SEATS: std::ops::RangeInclusive<u32> = 20..=60;
const PLACES_IN_LINE: u32 = 20;
/// Courses that students have passed before, and that others may require.
const BASE_COURSES: usize = 20;
const PASSED_BEFORE: usize = 12;
const PROGRAMS: usize = 8;
/// Clocks at which a section may begin, an hour and a half each: back to back with the next.
const SLOTS: [(&str, &str); 6] = [
    ("08:00", "09:30"),
    ("09:30", "11:00"),
    ("11:00", "12:30"),
    ("13:00", "14:30"),
    ("14:30", "16:00"),
    ("16:00", "17:30"),
];
const WEEKDAYS: [&[Weekday]; 5] = [
    &[Weekday::Monday, Weekday::Wednesday],
    &[Weekday::Tuesday, Weekday::Thursday],
    &[Weekday::Wednesday, Weekday::Friday],
    &[Weekday::Monday, Weekday::Thursday],
    &[Weekday::Friday],
];

pub struct Day {
    pub term: TermId,
    pub sections: Vec<Section>,
    pub students: Vec<Student>,
}

#[derive(Debug, Clone)]
pub struct Section {
    pub id: SectionId,
    pub course: CourseId,
    pub capacity: u32,
    code: String,
    course_code: String,
    credits_hundredths: u32,
    meeting: Meeting,
    prerequisites: Vec<String>,
    programs: Vec<String>,
    waitlist_capacity: u32,
}

pub struct Student {
    pub id: PersonId,
    /// In the order of preference.
    pub cart: Vec<SectionId>,
    program: String,
    passed: Vec<String>,
    is_held: bool,
}

impl Day {
    pub fn of(students: usize, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (of_students, sections) = STUDENTS_TO_SECTIONS;
        let count = (students * sections).div_ceil(of_students).max(CART * SECTIONS_OF_COURSE);
        let sections: Vec<Section> = (0..count).map(|number| section(number, &mut rng)).collect();
        let popularity = Popularity::of(count, &mut rng);
        let students =
            (0..students).map(|number| student(number, &sections, &popularity, &mut rng)).collect();
        Self { term: offering::section("day", 0).term.id, sections, students }
    }

    pub fn seats(&self) -> u32 {
        self.sections.iter().map(|section| section.capacity).sum()
    }

    /// The term, as the catalog tells of it.
    pub fn term_changed(&self) -> TermChanged {
        let OfferedTerm { registration_opens_at, registration_closes_at, .. } = term();
        TermChanged {
            term: self.term,
            state: TermState::Published,
            registration_opens_at,
            registration_closes_at,
            windows: Vec::new(),
            dates: TermDates::default(),
            ..TermChanged::example()
        }
    }

    /// The same day for who does not speak our types.
    pub fn for_others(&self) -> Value {
        let OfferedTerm { registration_opens_at, registration_closes_at, .. } = term();
        json!({
            "term": {
                "id": self.term,
                "state": "published",
                "add_until": null,
                "opens_at": registration_opens_at,
                "closes_at": registration_closes_at,
            },
            "sections": self.sections.iter().map(Section::for_others).collect::<Vec<_>>(),
            "students": self.students.iter().map(Student::for_others).collect::<Vec<_>>(),
        })
    }
}

fn term() -> OfferedTerm {
    offering::section("day", 0).term
}

fn section(number: usize, rng: &mut Rng) -> Section {
    let course = number / SECTIONS_OF_COURSE;
    // What belongs to the course is the same for all its sections.
    let mut of_course = Rng::with_seed(u64::try_from(course).unwrap_or_default());
    let (starts_at, ends_at) = *rng.choice(&SLOTS).expect("there are slots");
    let hour = |text: &str| text.parse().expect("a time");
    let meeting = Meeting::weekly(
        rng.choice(&WEEKDAYS).expect("there are weekdays").to_vec(),
        (hour(starts_at), hour(ends_at)),
        (Date::constant(2027, 2, 1), Date::constant(2027, 6, 30)),
    );
    let code = format!("COURSE{course:04}");
    let requires = usize::from(of_course.u8(..5) == 0);
    let is_restricted = rng.u8(..30) == 0;
    Section {
        id: SectionId::derived_from(&format!("section {number}")),
        course: CourseId::derived_from(&code),
        capacity: rng.u32(SEATS),
        code: format!("{code}-{}", number % SECTIONS_OF_COURSE),
        course_code: code,
        credits_hundredths: if of_course.u8(..10) == 0 { 1_200 } else { 600 },
        meeting,
        prerequisites: (0..requires)
            .map(|_| base_course(of_course.usize(..BASE_COURSES)))
            .collect(),
        programs: if is_restricted { vec![program(rng.usize(..PROGRAMS))] } else { Vec::new() },
        waitlist_capacity: if rng.bool() { PLACES_IN_LINE } else { 0 },
    }
}

fn base_course(number: usize) -> String {
    format!("BASE{number:02}")
}

fn program(number: usize) -> String {
    format!("PROGRAM{number}")
}

fn student(number: usize, sections: &[Section], popularity: &Popularity, rng: &mut Rng) -> Student {
    Student {
        id: student_id(number),
        cart: cart(sections, popularity, rng),
        program: program(rng.usize(..PROGRAMS)),
        passed: rng
            .choose_multiple(0..BASE_COURSES, PASSED_BEFORE)
            .into_iter()
            .map(base_course)
            .collect(),
        is_held: rng.u8(..100) == 0,
    }
}

/// Of different courses, and nearly always without clashes: students look before they choose, and some do not.
fn cart(sections: &[Section], popularity: &Popularity, rng: &mut Rng) -> Vec<SectionId> {
    const LOOKS: usize = 4;
    let mut chosen: Vec<&Section> = Vec::new();
    while chosen.len() < CART {
        let mut candidate = &sections[popularity.choose(rng)];
        for _ in 0..LOOKS {
            let clashes = |other: &&Section| {
                other.course == candidate.course || other.meeting.clashes_with(&candidate.meeting)
            };
            if !chosen.iter().any(clashes) {
                break;
            }
            candidate = &sections[popularity.choose(rng)];
        }
        if !chosen.iter().any(|other| other.id == candidate.id) {
            chosen.push(candidate);
        }
    }
    chosen.into_iter().map(|section| section.id).collect()
}

/// Few sections are wanted by many.
struct Popularity {
    /// Sections, the most popular first.
    ranks: Vec<usize>,
    /// Sums of their weights.
    sums: Vec<f64>,
}

impl Popularity {
    fn of(sections: usize, rng: &mut Rng) -> Self {
        let mut ranks: Vec<usize> = (0..sections).collect();
        rng.shuffle(&mut ranks);
        let mut sum = 0.0;
        let weight = |rank: usize| f64::from(u32::try_from(rank + 1).unwrap_or(u32::MAX));
        let sums = (0..sections).map(|rank| {
            sum += weight(rank).powf(-ZIPF_EXPONENT);
            sum
        });
        let sums = sums.collect();
        Self { ranks, sums }
    }

    fn choose(&self, rng: &mut Rng) -> usize {
        let at = rng.f64() * self.sums.last().copied().unwrap_or_default();
        let rank = self.sums.partition_point(|sum| *sum < at);
        self.ranks[rank.min(self.ranks.len() - 1)]
    }
}

impl Section {
    pub fn offered(&self) -> SectionOffered {
        let requirement = |text: String| text.parse().expect("a requirement");
        let each: Vec<String> =
            self.prerequisites.iter().map(|code| format!("course({code})")).collect();
        let prerequisites = (!each.is_empty()).then(|| requirement(each.join(" AND ")));
        let restrictions =
            self.programs.iter().map(|code| requirement(format!("program({code})"))).collect();
        let mode =
            if self.waitlist_capacity > 0 { WaitlistMode::Automatic } else { WaitlistMode::None };
        SectionOffered {
            section: self.id,
            code: self.code.clone(),
            course: OfferedCourse {
                id: self.course,
                code: self.course_code.clone(),
                title: format!("What {} teaches", self.course_code),
                corequisites: Vec::new(),
                prerequisites,
                equivalents: Vec::new(),
                cross_listed: Vec::new(),
                attempts_max: None,
            },
            credits_hundredths: self.credits_hundredths,
            meetings: vec![self.meeting.clone()],
            restrictions,
            waitlist: WaitlistSettings {
                mode,
                capacity: self.waitlist_capacity,
                ..WaitlistSettings::default()
            },
            ..offering::section(&self.code, self.capacity)
        }
    }

    fn for_others(&self) -> Value {
        let Meeting { weekdays, starts_at, ends_at, first_day, last_day, .. } = &self.meeting;
        let bits: u8 = weekdays.iter().map(|weekday| 1 << *weekday as u8).sum();
        json!({
            "id": self.id,
            "code": self.code,
            "course": self.course,
            "course_code": self.course_code,
            "title": format!("What {} teaches", self.course_code),
            "credits": self.credits_hundredths,
            "meetings": [{
                "weekdays": bits,
                "starts": starts_at,
                "ends": ends_at,
                "first": first_day,
                "last": last_day,
            }],
            "prerequisites": self.prerequisites,
            "programs": self.programs,
            "capacity": self.capacity,
            "waitlist_capacity": self.waitlist_capacity,
        })
    }
}

const HELD_BECAUSE: &str = "Books of the library are overdue.";

impl Student {
    pub fn known(&self) -> KnownStudent {
        let record = StudentRecord {
            status: StudentStatus::Active,
            programs: [self.program.clone()].into(),
            ..StudentRecord::default()
        };
        KnownStudent { student: self.id, record }
    }

    pub fn history(&self) -> History {
        let mut history = History::empty(self.id);
        for code in &self.passed {
            history.courses.push(CourseId::derived_from(code));
            let terms = [TermId::derived_from("the term before")].into();
            history.course_codes.insert(code.clone(), terms);
        }
        history
    }

    pub fn hold(&self) -> Option<Hold> {
        self.is_held.then(|| Hold {
            id: HoldId::derived_from(&self.id.to_string()),
            student: self.id,
            kind: HoldKind::Administrative,
            reason: HELD_BECAUSE.to_owned(),
            placed_by: PersonId::derived_from("registrar"),
            placed_at: shell::now(),
            ends_at: None,
            lifted: None,
        })
    }

    fn for_others(&self) -> Value {
        json!({
            "id": self.id,
            "programs": [self.program],
            "past": self.passed,
            "hold": self.is_held.then_some(HELD_BECAUSE),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn a_day_is_the_same_for_the_same_seed_and_popular_sections_are_oversubscribed() {
        let day = Day::of(2_000, 7);
        let carts = |day: &Day| -> Vec<Vec<SectionId>> {
            day.students.iter().map(|student| student.cart.clone()).collect()
        };
        assert_eq!(carts(&day), carts(&Day::of(2_000, 7)));
        assert_ne!(carts(&day), carts(&Day::of(2_000, 8)));
        assert_eq!(day.sections.len(), 150);
        let mut asked: BTreeMap<SectionId, u32> = BTreeMap::new();
        for cart in carts(&day) {
            assert_eq!(cart.iter().collect::<BTreeSet<_>>().len(), CART, "no section twice");
            for section in cart {
                *asked.entry(section).or_default() += 1;
            }
        }
        let most = asked.values().max().copied().unwrap_or_default();
        assert!(most > 5 * SEATS.end(), "only {most} want the most popular section");
        assert!(asked.values().sum::<u32>() > day.seats(), "there are fewer seats than wishes");
    }

    #[test]
    fn what_others_are_told_is_what_is_offered() {
        let day = Day::of(100, 7);
        let section = &day.sections[0];
        let (offered, told) = (section.offered(), section.for_others());
        assert_eq!(told["capacity"], offered.capacity);
        assert_eq!(told["id"], json!(offered.section));
        let starts_at = told["meetings"][0]["starts"].as_str().expect("a text");
        assert_eq!(starts_at.parse().ok(), Some(offered.meetings[0].starts_at));
    }
}
