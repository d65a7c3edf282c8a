//! A course and its versions: what it is from which day on, until when it is offered.

use std::collections::{BTreeMap, BTreeSet};

use events::CourseVersion;
use kernel::{CourseId, Date};
use serde::{Deserialize, Serialize};

use super::{Code, Refusal};

/// Versions that a course may have had.
pub const VERSIONS_MAX: usize = 50;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Course {
    pub id: CourseId,
    pub code: Code,
    /// From this day on it is not offered any more.
    pub retired_from: Option<Date>,
    /// The oldest first, never empty. The first holds for all time before it too: the catalog knows nothing older.
    pub versions: Vec<CourseVersion>,
}

impl Course {
    /// What it is on a day.
    pub fn on(&self, day: Date) -> &CourseVersion {
        let in_force = self.versions.iter().rev().find(|version| version.effective_from <= day);
        in_force.or(self.versions.first()).expect("a course has a version")
    }

    /// What it is to be in the end: what other courses are checked against.
    pub fn latest(&self) -> &CourseVersion {
        self.versions.last().expect("a course has a version")
    }

    pub fn is_retired_on(&self, day: Date) -> bool {
        self.retired_from.is_some_and(|from| from <= day)
    }

    /// Takes a version in: in place of the one of the same day, else between its neighbours.
    pub fn put_version(&mut self, version: CourseVersion) -> Result<(), Refusal> {
        check(&version)?;
        let day = version.effective_from;
        match self.versions.binary_search_by_key(&day, |standing| standing.effective_from) {
            Ok(at) => self.versions[at] = version,
            Err(_) if self.versions.len() == VERSIONS_MAX => {
                return Err(Refusal::CourseVersionsTooMany);
            }
            Err(at) => self.versions.insert(at, version),
        }
        Ok(())
    }

    /// What it requires on a day: course by code, and whether it must come before.
    pub fn requires_on(&self, day: Date) -> BTreeMap<String, bool> {
        let prerequisites = self.on(day).prerequisites.as_ref();
        let courses = prerequisites.map(kernel::Requirement::courses).unwrap_or_default();
        courses.into_iter().map(|(code, before)| (code.to_owned(), before)).collect()
    }

    /// Codes of all courses that any of its versions requires.
    pub fn ever_requires(&self) -> BTreeSet<String> {
        let days = self.versions.iter().map(|version| version.effective_from);
        days.flat_map(|day| self.requires_on(day).into_keys()).collect()
    }
}

pub fn check(version: &CourseVersion) -> Result<(), Refusal> {
    let least = version.credits_hundredths;
    if version.credits_max_hundredths.is_some_and(|most| most < least) {
        return Err(Refusal::CreditsMaxBelowMin);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::{CourseChanged, Event};
    use kernel::Id;

    use super::*;

    fn version(day: &str, title: &str) -> CourseVersion {
        CourseVersion {
            effective_from: day.parse().expect("a date"),
            title: title.into(),
            ..CourseChanged::example().versions.remove(0)
        }
    }

    fn course(versions: &[(&str, &str)]) -> Course {
        let mut course = Course {
            id: CourseId::derived_from("a"),
            code: Code("A".into()),
            retired_from: None,
            versions: Vec::new(),
        };
        for (day, title) in versions {
            course.put_version(version(day, title)).expect("taken in");
        }
        course
    }

    #[test]
    fn the_version_in_force_is_the_last_one_that_has_begun() {
        let course = course(&[("2027-09-01", "new"), ("2026-09-01", "old")]);
        let on = |day: &str| course.on(day.parse().expect("a date")).title.clone();
        assert_eq!(on("2027-08-31"), "old");
        assert_eq!(on("2027-09-01"), "new");
        assert_eq!(on("2020-01-01"), "old", "nothing older is known");
    }

    #[test]
    fn a_version_of_the_same_day_is_replaced() {
        let course = course(&[("2026-09-01", "old"), ("2026-09-01", "mended")]);
        assert_eq!(course.versions.len(), 1);
        assert_eq!(course.latest().title, "mended");
    }

    #[test]
    fn the_most_credits_are_not_fewer_than_the_least() {
        let mut wrong = version("2026-09-01", "a");
        wrong.credits_max_hundredths = Some(wrong.credits_hundredths - 1);
        assert_eq!(check(&wrong), Err(Refusal::CreditsMaxBelowMin));
        wrong.credits_max_hundredths = Some(wrong.credits_hundredths);
        assert_eq!(check(&wrong), Ok(()));
    }
}
