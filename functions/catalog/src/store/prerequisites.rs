//! What a course refers to: that all of it exists, and that no way of prerequisites leads back to it.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{CourseId, Date, Graph, cycle_through};
use shell::{Failure, Fault};
use table::{Stored, Table, Transaction};

use super::{claim_key, course_key};
use crate::domain::{Course, Refusal};

/// Courses that the prerequisites of one lead to; each stands in the transaction.
const COURSES_MAX: usize = 60;
/// Courses that one requires, which require others, and so on.
const LEVELS_MAX: u32 = 20;

/// Courses that the decision was taken on: they must still be as they were read when it is written.
#[derive(Debug, Default)]
pub struct References {
    courses: Vec<(CourseId, u64)>,
}

impl References {
    /// Two courses that are saved at once cannot close a circle together.
    pub fn require_unchanged(&self, transaction: &mut Transaction<'_>) {
        for (course, version) in &self.courses {
            transaction.check(&course_key(*course), Some(*version));
        }
    }
}

/// Checks what the versions of the course refer to, each of them: an earlier one is in force until the next begins.
pub async fn references(table: &Table, course: &Course) -> Result<References, Failure> {
    let versions = &course.versions;
    let corequisites: BTreeSet<CourseId> =
        versions.iter().flat_map(|version| version.corequisites.iter().copied()).collect();
    check_corequisites(table, &corequisites).await?;
    let others =
        versions.iter().flat_map(|version| version.equivalents.iter().chain(&version.cross_listed));
    let mut wanted: BTreeSet<String> = others.cloned().chain(course.ever_requires()).collect();
    let mut reached = BTreeMap::from([(course.code.to_string(), course.clone())]);
    let mut references = References::default();
    for level in 0.. {
        wanted.retain(|code| !reached.contains_key(code));
        if wanted.is_empty() {
            break;
        }
        if level == LEVELS_MAX || reached.len() + wanted.len() > COURSES_MAX {
            return Err(Refusal::PrerequisitesTooMany.into());
        }
        let mut next = BTreeSet::new();
        for read in courses_by_code(table, &wanted).await? {
            next.extend(read.value.ever_requires());
            references.courses.push((read.value.id, read.version));
            reached.insert(read.value.code.to_string(), read.value);
        }
        wanted = next;
    }
    match cycle_on_any_day(&reached, &course.code.0) {
        Some(way) => Err(Refusal::PrerequisiteCycle(way).into()),
        None => Ok(references),
    }
}

/// A circle is one if all of it is in force on one day: what is required changes only where a version begins.
fn cycle_on_any_day(reached: &BTreeMap<String, Course>, code: &str) -> Option<Vec<String>> {
    let versions = reached.values().flat_map(|course| &course.versions);
    let days: BTreeSet<Date> = versions.map(|version| version.effective_from).collect();
    days.into_iter().find_map(|day| {
        let requires = |(code, course): (&String, &Course)| (code.clone(), course.requires_on(day));
        cycle_through(&reached.iter().map(requires).collect::<Graph>(), code)
    })
}

async fn check_corequisites(table: &Table, ids: &BTreeSet<CourseId>) -> Result<(), Failure> {
    let keys: Vec<_> = ids.iter().map(|id| course_key(*id)).collect();
    let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
    for key in &keys {
        batch.take(key)?.ok_or(Refusal::CorequisiteUnknown)?;
    }
    Ok(())
}

async fn courses_by_code(
    table: &Table,
    codes: &BTreeSet<String>,
) -> Result<Vec<Stored<Course>>, Failure> {
    let claims: Vec<_> = codes.iter().map(|code| claim_key("course", code)).collect();
    let mut batch = table.get_batch(claims.iter().map(Into::into).collect()).await?;
    let (mut keys, mut unknown) = (Vec::new(), Vec::new());
    for (code, key) in codes.iter().zip(&claims) {
        match batch.take(key)? {
            Some(claim) => {
                let nobody = |_| Fault::defect(format!("the code {code} is held by no course"));
                keys.push(course_key(claim.value.holder.parse().map_err(nobody)?));
            }
            None => unknown.push(code.clone()),
        }
    }
    if !unknown.is_empty() {
        return Err(Refusal::CourseCodesUnknown(unknown).into());
    }
    let mut batch = table.get_batch(keys.iter().map(Into::into).collect()).await?;
    let missing = || Fault::defect("a code is held by a course that is not there");
    keys.iter().map(|key| Ok(batch.take(key)?.ok_or_else(missing)?)).collect()
}
