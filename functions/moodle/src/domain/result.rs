//! What a student has come to in a course, as a site holds it: read, told when it changes, and never decided on here.

use events::{GradeRead, ResultRead};
use kernel::{PersonId, SectionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::SiteCode;
use super::drift::is_shrunken;

/// Whether a course was completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    pub is_completed: bool,
    /// Moodle tells no date of its own: that of the last criterion.
    pub completed_at: Option<Timestamp>,
}

/// A result as it was last read. What it was before stands in the events, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CourseResult {
    pub site: SiteCode,
    pub section: SectionId,
    pub student: PersonId,
    pub grade: Option<GradeRead>,
    pub completion: Option<Completion>,
    /// Into the course; absent where it was never looked into, as far as we were told.
    pub last_access_at: Option<Timestamp>,
    pub read_at: Timestamp,
    /// When it was first read as it is.
    pub changed_at: Timestamp,
    /// Changes so far, which consumers tell old news by.
    pub result_version: u64,
}

/// What one look at a student in a course has found. What it was told nothing of stays as it was read before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub grade: GradeFound,
    pub completion: Option<Completion>,
    pub last_access_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GradeFound {
    /// The site told nothing of the student's grades.
    #[default]
    Untold,
    /// A total; none where nothing is graded.
    Told(Option<GradeRead>),
}

/// How many students of a course had a grade, and of how many a reading of the whole course tells none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GradesLost {
    pub known: u64,
    pub lost: u64,
}

impl GradesLost {
    pub fn count(&mut self, before: &CourseResult, found: &Found) {
        if before.grade.is_some() {
            self.known += 1;
            self.lost += u64::from(!matches!(found.grade, GradeFound::Told(Some(_))));
        }
    }

    pub fn is_doubted(self) -> bool {
        is_shrunken(self.lost, self.known)
    }
}

impl CourseResult {
    /// The result after a look, and what is to be told of it, if it has changed.
    pub fn read(
        (site, section, student): (&SiteCode, SectionId, PersonId),
        before: Option<&Self>,
        found: Found,
        read_at: Timestamp,
    ) -> (Self, Option<ResultRead>) {
        let grade_before = before.and_then(|before| before.grade.clone());
        let completion_before = before.and_then(|before| before.completion);
        let grade = match found.grade {
            GradeFound::Untold => grade_before.clone(),
            GradeFound::Told(grade) => grade,
        };
        let completion = found.completion.or(completion_before);
        let is_news = grade_before != grade || completion_before != completion;
        let version_before = before.map_or(0, |before| before.result_version);
        let result = Self {
            site: site.clone(),
            section,
            student,
            grade,
            completion,
            last_access_at: found
                .last_access_at
                .or_else(|| before.and_then(|before| before.last_access_at)),
            read_at,
            changed_at: before.filter(|_| !is_news).map_or(read_at, |before| before.changed_at),
            result_version: version_before + u64::from(is_news),
        };
        let told = is_news.then(|| ResultRead {
            site: site.0.clone(),
            section,
            student,
            result_version: result.result_version,
            grade: result.grade.clone(),
            grade_before,
            is_completed: result.completion.map(|completion| completion.is_completed),
            completed_at: result.completion.and_then(|completion| completion.completed_at),
            read_at,
        });
        (result, told)
    }
}

#[cfg(test)]
mod tests {
    use events::Event;
    use jiff::SignedDuration;
    use kernel::Id;

    use super::*;

    #[test]
    fn only_what_changed_is_told_and_with_what_it_was() {
        let site = SiteCode("academics".into());
        let of = (&site, SectionId::derived_from("a"), testkit::person("ada"));
        let at = |minutes| testkit::now() + SignedDuration::from_mins(minutes);
        let grade = ResultRead::example().grade;
        let found = |grade: &Option<GradeRead>| Found {
            grade: GradeFound::Told(grade.clone()),
            ..Found::default()
        };
        let (none, told) = CourseResult::read(of, None, found(&None), at(0));
        assert_eq!((none.result_version, told), (0, None), "nothing is no news");
        let (first, told) = CourseResult::read(of, Some(&none), found(&grade), at(1));
        let told = told.expect("a grade is news");
        assert_eq!((told.result_version, told.grade_before), (1, None));
        let seen = Found { last_access_at: Some(at(0)), ..found(&grade) };
        let (second, told) = CourseResult::read(of, Some(&first), seen, at(2));
        assert_eq!((second.changed_at, told), (at(1), None), "a look into the course is no news");
        let (third, told) = CourseResult::read(of, Some(&second), found(&None), at(3));
        let told = told.expect("a grade that is gone is news");
        assert_eq!((told.result_version, told.grade, told.grade_before), (2, None, grade));
        assert_eq!(third.last_access_at, Some(at(0)), "what was not looked at stays");
    }

    #[test]
    fn what_a_site_tells_nothing_of_stays_as_it_was() {
        let site = SiteCode("academics".into());
        let of = (&site, SectionId::derived_from("a"), testkit::person("ada"));
        let completion = Some(Completion { is_completed: true, completed_at: None });
        let grade = GradeFound::Told(ResultRead::example().grade);
        let found = Found { grade, completion, last_access_at: Some(testkit::now()) };
        let (first, _) = CourseResult::read(of, None, found, testkit::now());
        let later = testkit::now() + SignedDuration::from_hours(1);
        let (second, told) = CourseResult::read(of, Some(&first), Found::default(), later);
        assert_eq!(told, None);
        assert_eq!(second, CourseResult { read_at: later, ..first });
    }

    #[test]
    fn grades_that_are_gone_by_the_tenth_or_by_fifty_are_doubted() {
        let lost = |known, lost| GradesLost { known, lost }.is_doubted();
        assert!(!lost(0, 0) && !lost(20, 2) && !lost(600, 50));
        assert!(lost(20, 3) && lost(600, 51) && lost(1, 1));
    }
}
