//! What a student has taken: with the grade where one was told, else as it is known from their terms and an import.

use std::collections::{BTreeMap, BTreeSet};

use events::GradePosted;
use kernel::{
    AcademicRecord, Attempt, CourseId, Date, GradeScale, PersonId, RegistrationId, TermId,
};
use serde::{Deserialize, Serialize};

use super::{Entry, EntryState, StudentTerm};

/// How often a student may take a course that says nothing else. Policy.
pub const ATTEMPTS_MAX: u32 = 3;

/// A final grade, by the last word of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastResult {
    pub registration: RegistrationId,
    pub grade_version: u64,
    pub course: CourseId,
    pub course_code: String,
    pub term: TermId,
    pub grade: String,
    pub passed: bool,
    pub attempted: bool,
    pub credits_earned_hundredths: u32,
    /// Which of the history's scales it is a grade of; absent where it was kept before each grade had its own.
    #[serde(default)]
    pub scale: Option<usize>,
}

impl PastResult {
    fn of(event: GradePosted, scale: usize) -> Self {
        Self {
            registration: event.registration,
            grade_version: event.grade_version,
            course: event.course,
            course_code: event.course_code,
            term: event.term,
            grade: event.grade,
            passed: event.passed,
            attempted: event.attempted,
            credits_earned_hundredths: event.credits_earned_hundredths,
            scale: Some(scale),
        }
    }
}

/// Courses that the student has taken in the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub student: PersonId,
    /// Of an import.
    pub courses: Vec<CourseId>,
    /// The terms in which each of the import was taken, by the course's code.
    #[serde(default)]
    pub course_codes: BTreeMap<String, BTreeSet<TermId>>,
    #[serde(default)]
    pub results: Vec<PastResult>,
    /// Of the schemes by which the results were graded: each is kept once.
    #[serde(default)]
    pub scales: Vec<GradeScale>,
    /// What a grade compares by that was kept before each had its own.
    #[serde(default)]
    pub scale: GradeScale,
}

impl History {
    pub fn empty(student: PersonId) -> Self {
        Self {
            student,
            courses: Vec::new(),
            course_codes: BTreeMap::new(),
            results: Vec::new(),
            scales: Vec::new(),
            scale: GradeScale::default(),
        }
    }

    /// `false` where a later word of the grade came before.
    pub fn learn(&mut self, event: GradePosted) -> bool {
        let at = self.results.iter().position(|it| it.registration == event.registration);
        if at.is_some_and(|at| self.results[at].grade_version >= event.grade_version) {
            return false;
        }
        let scale = self.place_of(&event.scale);
        let result = PastResult::of(event, scale);
        match at {
            Some(at) => self.results[at] = result,
            None => self.results.push(result),
        }
        true
    }

    fn place_of(&mut self, scale: &GradeScale) -> usize {
        self.scales.iter().position(|known| known == scale).unwrap_or_else(|| {
            self.scales.push(scale.clone());
            self.scales.len() - 1
        })
    }

    /// Courses that are behind the student: passed, or of an import as long as no grade is told.
    pub fn completed(&self) -> Vec<CourseId> {
        let has_result = |course: &CourseId| self.results.iter().any(|it| it.course == *course);
        let imported = self.courses.iter().filter(|course| !has_result(course)).copied();
        let passed = self.results.iter().filter(|it| it.passed).map(|it| it.course);
        imported.chain(passed).collect()
    }

    fn result_of(&self, code: &str, term: TermId) -> Option<&PastResult> {
        self.results.iter().find(|it| it.course_code == code && it.term == term)
    }
}

/// What a student has taken, seen from a term.
pub struct AcademicBackground<'a> {
    pub term: TermId,
    pub first_day: Option<Date>,
    pub terms: &'a [StudentTerm],
    pub history: &'a History,
    /// Whether a course is under way as soon as a seat is held in it: for what was let in before. It lets nobody in,
    /// since a held seat may still go.
    pub held_counts: bool,
}

impl AcademicBackground<'_> {
    /// What was taken in other terms and has no grade yet counts as under way: whoever is let in by it is judged again
    /// when the grade comes. A term whose first day is not known to lie earlier lets nobody in.
    pub fn record(&self) -> AcademicRecord {
        let mut record = AcademicRecord::default();
        record.scales.clone_from(&self.history.scales);
        record.scales.push(self.history.scale.clone());
        let mut earned: BTreeMap<&str, u32> = BTreeMap::new();
        for result in &self.history.results {
            let (grade, passed) = (result.grade.clone(), result.passed);
            let attempts = record.courses.entry(result.course_code.clone()).or_default();
            let scale = result.scale.unwrap_or(self.history.scales.len());
            attempts.push(Attempt::Graded { grade, passed, scale });
            // A course earns its credits once, however often it is taken.
            let credits = earned.entry(&result.course_code).or_default();
            *credits = (*credits).max(result.credits_earned_hundredths);
        }
        record.credits_earned_hundredths = earned.values().sum();
        let held_counts = self.held_counts;
        let earlier = self.terms.iter().filter(|other| {
            other.term != self.term && other.first_day.is_some() && other.first_day < self.first_day
        });
        let registered = earlier.flat_map(|other| {
            let entries = other.entries.iter();
            let counts = move |entry: &&Entry| held_counts || entry.state == EntryState::Registered;
            let registered = entries.filter(counts);
            registered.map(|entry| (entry.course_code.as_str(), other.term))
        });
        let under_way: BTreeSet<&str> = registered
            .chain(self.imported())
            .filter(|(code, term)| self.history.result_of(code, *term).is_none())
            .map(|(code, _)| code)
            .collect();
        for code in under_way {
            let attempts = record.courses.entry(code.to_owned()).or_default();
            attempts.push(Attempt::InProgress);
        }
        record
    }

    /// How often each course was taken before, by its code: graded where that counts, withdrawn from with a W, or under
    /// way in another term. What was dropped leaves no trace here either.
    pub fn attempts(&self) -> BTreeMap<String, u32> {
        let others = self.terms.iter().filter(|other| other.term != self.term);
        let of_entry = |term: TermId| move |entry: &'_ Entry| (entry.course_code.clone(), term);
        let under_way = others.flat_map(|other| other.entries.iter().map(of_entry(other.term)));
        let withdrawn =
            self.terms.iter().flat_map(|other| other.withdrawn.iter().map(of_entry(other.term)));
        let imported = self.imported().map(|(code, term)| (code.to_owned(), term));
        let without_grade = under_way
            .chain(withdrawn)
            .chain(imported)
            .filter(|(code, term)| self.history.result_of(code, *term).is_none());
        let graded = self.history.results.iter().filter(|result| result.attempted);
        let graded = graded.map(|result| (result.course_code.clone(), result.term));
        // A lecture and its lab are one course, taken once.
        let taken: BTreeSet<(String, TermId)> = without_grade.chain(graded).collect();
        let mut attempts = BTreeMap::new();
        for (code, _) in taken {
            *attempts.entry(code).or_default() += 1;
        }
        attempts
    }

    fn imported(&self) -> impl Iterator<Item = (&str, TermId)> {
        let codes = self.history.course_codes.iter();
        codes
            .flat_map(|(code, terms)| terms.iter().map(move |term| (code.as_str(), *term)))
            .filter(|(_, term)| *term != self.term)
    }
}

#[cfg(test)]
mod tests {
    use events::Event;
    use kernel::{Id, Requirement, Verdict};

    use super::*;

    fn posted(code: &str, term: &str, grade: &str, passed: bool) -> GradePosted {
        GradePosted {
            registration: RegistrationId::derived_from(&format!("{code} {term}")),
            course: CourseId::derived_from(code),
            course_code: code.into(),
            term: TermId::derived_from(term),
            grade: grade.into(),
            passed,
            credits_earned_hundredths: if passed { 600 } else { 0 },
            ..GradePosted::example()
        }
    }

    fn history(results: &[GradePosted]) -> History {
        let mut history = History::empty(PersonId::derived_from("ada"));
        for result in results {
            assert!(history.learn(result.clone()));
        }
        history
    }

    fn seen(history: &History) -> (AcademicRecord, BTreeMap<String, u32>) {
        let term = TermId::derived_from("now");
        let background =
            AcademicBackground { term, first_day: None, terms: &[], history, held_counts: false };
        (background.record(), background.attempts())
    }

    #[test]
    fn the_last_word_of_a_grade_counts() {
        let mut history = history(&[posted("A", "one", "F", false)]);
        let changed = GradePosted { grade_version: 2, ..posted("A", "one", "B", true) };
        assert!(history.learn(changed.clone()));
        assert!(!history.learn(posted("A", "one", "F", false)), "an older word comes late");
        assert!(!history.learn(changed), "a duplicate");
        let (record, attempts) = seen(&history);
        let graded = Attempt::Graded { grade: "B".into(), passed: true, scale: 0 };
        assert_eq!(record.courses["A"], [graded]);
        assert_eq!(attempts["A"], 1);
        assert_eq!(history.completed(), [CourseId::derived_from("A")]);
    }

    #[test]
    fn grades_of_two_schemes_compare_each_by_its_own_whichever_was_told_last() {
        let letters = || posted("A", "one", "B", true);
        let of_twenty = GradeScale((0..=20).map(|mark| mark.to_string()).collect());
        let mark = || GradePosted { scale: of_twenty.clone(), ..posted("B", "one", "14", true) };
        let other = || posted("C", "two", "C", true);
        for told in [[letters(), mark(), other()], [mark(), other(), letters()]] {
            let history = history(&told);
            assert_eq!(history.scales.len(), 2, "each is kept once");
            let (record, _) = seen(&history);
            let proven = |text: &str| {
                let requirement: Requirement = text.parse().expect("a requirement");
                requirement.prove(&record, &GradeScale::default()).verdict
            };
            assert_eq!(proven("course(A, C) AND course(B, 12) AND course(C, D)"), Verdict::Met);
            assert_eq!(proven("course(B, 15)"), Verdict::NotMet);
            assert_eq!(proven("course(C, B)"), Verdict::NotMet);
        }
    }

    #[test]
    fn a_grade_that_was_kept_without_its_scale_compares_by_the_history_s() {
        let mut history = history(&[posted("A", "one", "B", true)]);
        let scale = history.scales.remove(0);
        (history.results[0].scale, history.scale) = (None, scale);
        let of_twenty = GradeScale((0..=20).map(|mark| mark.to_string()).collect());
        let mark = GradePosted { scale: of_twenty, ..posted("B", "one", "14", true) };
        assert!(history.learn(mark));
        let (record, _) = seen(&history);
        let both: Requirement = "course(A, C) AND course(B, 12)".parse().expect("a requirement");
        assert_eq!(both.prove(&record, &GradeScale::default()).verdict, Verdict::Met);
    }

    #[test]
    fn a_course_earns_its_credits_once() {
        let results = [posted("A", "one", "C", true), posted("A", "two", "B", true)];
        let (record, attempts) = seen(&history(&results));
        assert_eq!(record.credits_earned_hundredths, 600);
        assert_eq!(attempts["A"], 2);
    }

    #[test]
    fn what_is_audited_is_no_attempt() {
        let audited = GradePosted { attempted: false, ..posted("A", "one", "AU", false) };
        let (_, attempts) = seen(&history(&[audited]));
        assert_eq!(attempts.get("A"), None);
    }

    #[test]
    fn what_was_withdrawn_from_is_an_attempt_and_what_is_taken_now_is_none_yet() {
        let entry = |code: &str| Entry {
            registration: RegistrationId::derived_from(code),
            section: kernel::SectionId::derived_from(code),
            course: CourseId::derived_from(code),
            course_code: code.into(),
            corequisites: Vec::new(),
            credits_hundredths: 600,
            meetings: Vec::new(),
            state: EntryState::Registered,
            provisional: false,
            cross_list: None,
            pool: None,
            group: None,
        };
        let student = PersonId::derived_from("ada");
        let of = |name: &str, entries: &[&str], withdrawn: &[&str]| {
            let mut term = StudentTerm::empty(student, TermId::derived_from(name));
            term.entries.extend(entries.iter().map(|code| entry(code)));
            term.withdrawn.extend(withdrawn.iter().map(|code| entry(code)));
            term
        };
        let terms = [
            of("one", &["A"], &["B", "B"]),
            of("two", &[], &["B"]),
            of("now", &["A", "C"], &["B"]),
        ];
        let history = history(&[posted("A", "one", "F", false)]);
        let term = TermId::derived_from("now");
        let background = AcademicBackground {
            term,
            first_day: None,
            terms: &terms,
            history: &history,
            held_counts: false,
        };
        let attempts = background.attempts();
        assert_eq!(attempts["A"], 1, "failed once: a grade takes the place of what was under way");
        assert_eq!(attempts["B"], 3, "a lecture and its lab were one course");
        assert_eq!(attempts.get("C"), None);
    }

    #[test]
    fn an_import_is_under_way_until_its_grade_is_told() {
        let mut history = History::empty(PersonId::derived_from("ada"));
        history.courses.push(CourseId::derived_from("A"));
        let terms = BTreeSet::from([TermId::derived_from("one")]);
        history.course_codes.insert("A".into(), terms);
        let (record, attempts) = seen(&history);
        assert_eq!((&record.courses["A"][..], attempts["A"]), (&[Attempt::InProgress][..], 1));
        assert!(history.learn(posted("A", "one", "F", false)));
        let (record, attempts) = seen(&history);
        let graded = Attempt::Graded { grade: "F".into(), passed: false, scale: 0 };
        assert_eq!((&record.courses["A"][..], attempts["A"]), (&[graded][..], 1));
        assert_eq!(history.completed(), [], "it was failed");
    }
}
