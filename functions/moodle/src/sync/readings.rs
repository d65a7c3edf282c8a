//! What students have come to in their courses: grades, completion and last access, read for a whole course or for
//! one student. Nothing of it is ever written there.

use std::collections::BTreeMap;

use events::GradeRead;
use futures_util::{StreamExt, TryStreamExt, stream};
use kernel::{PersonId, SectionId, Timestamp};
use table::Stored;

use super::enrolments::{entity_of, parts_of};
use super::{Halt, Session};
use crate::client::{
    CONNECTIONS_MAX, CallFailure, CompletionStatus, GradeItem, Remedy, UserGrades,
};
use crate::domain::{
    Completion, CourseResult, Found, GradeFound, GradesLost, Kind, Registrations, Trouble, Work,
};
use crate::store::{self, Looked, Outcome};

/// Students whom one call answers for; a larger course is read student by student, since its grades may have to be
/// computed first.
const READ_AT_ONCE_MAX: usize = 100;
/// Readings that one round takes: each is several calls.
const ROUND_MAX: usize = 20;
/// Results that one transaction writes, each with its event, beside the lease.
const RECORDED_AT_ONCE_MAX: usize = 45;

/// Students of a course whose results are to be read, by their Moodle ids.
struct Course {
    id: i64,
    section: SectionId,
    students: BTreeMap<i64, PersonId>,
}

/// What was read of students before.
type Before = BTreeMap<PersonId, Stored<CourseResult>>;

/// Whether a site follows who completes a course. That it does not is no failure.
enum Followed {
    IsNot,
    /// None of somebody who is not, or no longer, in the course.
    Is(Option<Completion>),
}

impl Session<'_> {
    pub(super) async fn readings(&mut self) -> Result<usize, Halt> {
        let mut due = self.due(Kind::Reading).await?;
        due.truncate(ROUND_MAX);
        let mut looked = 0;
        for work in due {
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            let outcome = match self.reading(&work.value).await {
                Ok(outcome) => outcome,
                Err(Halt::Site(failure)) if failure.remedy != Remedy::Wait => {
                    let moodle_code = Some(failure.code);
                    Outcome::PutOff(Trouble { moodle_code, ..Trouble::new("RESULTS_UNREADABLE") })
                }
                Err(halt) => return Err(halt),
            };
            looked += self.record(&[Looked { work, mapping: None, outcome }]).await?;
        }
        Ok(looked)
    }

    async fn reading(&self, work: &Work) -> Result<Outcome, Halt> {
        let one = parts_of(&work.entity);
        let Some(section) = one.map(|(section, _)| section).or_else(|| work.entity.parse().ok())
        else {
            return Ok(Outcome::InStep);
        };
        let key = store::mapping_key(&self.site, Kind::Course, &section.to_string());
        let Some(course) = self.ctx.table.get(&key).await? else { return Ok(Outcome::InStep) };
        let students = match one {
            Some((_, student)) => vec![student],
            None => self.students_of(section).await?,
        };
        let entities: Vec<String> = students.iter().map(ToString::to_string).collect();
        let accounts = self.mappings(Kind::User, &entities).await?;
        let id_of = |student: PersonId| {
            accounts.get(&student.to_string()).map(|mapping| (mapping.moodle_id, student))
        };
        let students = students.into_iter().filter_map(id_of).collect();
        let course = Course { id: course.value.moodle_id, section, students };
        if course.students.len() > READ_AT_ONCE_MAX {
            return self.split(&course).await;
        }
        self.read_results(&course, one.is_none()).await
    }

    /// A large course: each student by themselves, but what the course lists of all of them is read once.
    async fn split(&self, course: &Course) -> Result<Outcome, Halt> {
        let listed = self.listed(course.id).await?;
        let found = course.students.iter().filter_map(|(user, student)| {
            let last_access_at = moment(listed.get(user)?.last_access_s);
            Some((*student, Found { last_access_at, ..Found::default() }))
        });
        let before = self.results_before(course).await?;
        self.record_results(course.section, found.collect(), &before).await?;
        let id = |student: &PersonId| self.id(Kind::Reading, &entity_of(course.section, *student));
        self.mark(&course.students.values().map(id).collect::<Vec<_>>()).await?;
        Ok(Outcome::InStep)
    }

    /// Those who are enrolled as students now. Of who dropped, what was read before stays.
    async fn students_of(&self, section: SectionId) -> Result<Vec<PersonId>, Halt> {
        let known = self.registrations_of(section).await?.into_iter();
        Ok(known.filter(Registrations::is_active).map(|one| one.student).collect())
    }

    async fn read_results(&self, course: &Course, is_whole: bool) -> Result<Outcome, Halt> {
        let Some(first) = course.students.keys().next() else { return Ok(Outcome::InStep) };
        let user = if is_whole { 0 } else { *first };
        let reports = self.client.grade_items(course.id, user).await?;
        let untold = course.students.keys().map(|user| (*user, Found::default()));
        let mut found: BTreeMap<i64, Found> = untold.collect();
        for report in reports {
            if let Some(found) = found.get_mut(&report.userid) {
                found.grade = GradeFound::Told(total_of(&report));
            }
        }
        let before = self.results_before(course).await?;
        if is_whole && grades_lost(course, &before, &found).is_doubted() {
            tracing::warn!(site = %self.site, section = %course.section, "grades are gone");
            return Ok(Outcome::PutOff(Trouble::new("RESULTS_SHRUNKEN")));
        }
        for (user, completion) in self.completions(course).await? {
            found.entry(user).or_default().completion = completion;
        }
        if is_whole {
            for (user, listed) in self.listed(course.id).await? {
                if let Some(found) = found.get_mut(&user) {
                    found.last_access_at = moment(listed.last_access_s);
                }
            }
        }
        let found: Vec<(PersonId, Found)> = found
            .into_iter()
            .filter_map(|(user, found)| Some((*course.students.get(&user)?, found)))
            .collect();
        self.record_results(course.section, found, &before).await?;
        Ok(Outcome::InStep)
    }

    /// What was read of a course's students before.
    async fn results_before(&self, course: &Course) -> Result<Before, Halt> {
        let key = |student: &PersonId| store::result_key(course.section, &self.site, *student);
        let keys = course.students.values().map(|student| (&key(student)).into()).collect();
        let mut standing = store::batch(&self.ctx.table, keys).await?;
        let mut before = Before::new();
        for student in course.students.values() {
            if let Some(result) = store::take(&mut standing, &key(student))? {
                before.insert(*student, result);
            }
        }
        Ok(before)
    }

    async fn completions(&self, course: &Course) -> Result<Vec<(i64, Option<Completion>)>, Halt> {
        let mut users = course.students.keys().copied();
        let Some(first) = users.next() else { return Ok(Vec::new()) };
        let first_found = self.completion(course.id, first).await?;
        // What is not followed there is not followed for anybody.
        let Followed::Is(first_found) = first_found else { return Ok(Vec::new()) };
        let others: Vec<_> = stream::iter(users)
            .map(async |user| {
                let found = match self.completion(course.id, user).await? {
                    Followed::Is(found) => found,
                    Followed::IsNot => None,
                };
                Ok::<_, CallFailure>((user, found))
            })
            .buffered(CONNECTIONS_MAX)
            .try_collect()
            .await?;
        Ok(std::iter::once((first, first_found)).chain(others).collect())
    }

    async fn completion(&self, course: i64, user: i64) -> Result<Followed, CallFailure> {
        match self.client.completion(course, user).await {
            Ok(status) => Ok(Followed::Is(Some(completion_of(&status)))),
            Err(failure) if failure.code == "usernotenroled" => Ok(Followed::Is(None)),
            Err(failure) if ["nocriteriaset", "cannotviewreport"].contains(&&*failure.code) => {
                Ok(Followed::IsNot)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Of whom nothing was found, nothing is written.
    async fn record_results(
        &self,
        section: SectionId,
        mut found: Vec<(PersonId, Found)>,
        before: &Before,
    ) -> Result<(), Halt> {
        found.retain(|(_, found)| *found != Found::default());
        for some in found.chunks(RECORDED_AT_ONCE_MAX) {
            let mut transaction = self.ctx.table.transaction();
            transaction.check(&store::lease_key(&self.site), Some(self.lease.version));
            for (student, found) in some {
                let before = before.get(student);
                let of = (&self.site, section, *student);
                let value = before.map(|before| &before.value);
                let (result, told) = CourseResult::read(of, value, found.clone(), self.now());
                transaction.put(&result, before.map(|before| before.version));
                if let Some(told) = told {
                    let version = told.result_version;
                    transaction.event(told, version, self.now(), self.correlation_id);
                }
            }
            transaction.commit().await?;
        }
        Ok(())
    }
}

fn grades_lost(course: &Course, before: &Before, found: &BTreeMap<i64, Found>) -> GradesLost {
    let mut lost = GradesLost::default();
    for (user, student) in &course.students {
        if let (Some(before), Some(found)) = (before.get(student), found.get(user)) {
            lost.count(&before.value, found);
        }
    }
    lost
}

/// The course's total; none where nothing is graded.
fn total_of(report: &UserGrades) -> Option<GradeRead> {
    let item: &GradeItem = report.gradeitems.iter().find(|item| item.itemtype == "course")?;
    let raw = item.graderaw.as_ref()?.to_string();
    let bound =
        |number: Option<&serde_json::Number>| number.map(ToString::to_string).unwrap_or_default();
    Some(GradeRead {
        raw,
        min: bound(item.grademin.as_ref()),
        max: bound(item.grademax.as_ref()),
        graded_at: item.gradedategraded.and_then(moment),
        is_overridden: item.gradeisoverridden,
        is_locked: item.gradeislocked,
        is_hidden: item.gradeishidden,
        is_outdated: item.gradeneedsupdate,
    })
}

fn completion_of(status: &CompletionStatus) -> Completion {
    let last = status.completions.iter().filter_map(|one| one.timecompleted).max();
    let is_completed = status.completed;
    Completion { is_completed, completed_at: last.filter(|_| is_completed).and_then(moment) }
}

/// Moodle's seconds; 0 is never.
fn moment(seconds: i64) -> Option<Timestamp> {
    (seconds != 0).then(|| Timestamp::from_second(seconds).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use events::{Event, ResultRead};
    use serde_json::{Value, json};
    use testkit::{MoodleFault, moodle_recording};

    use super::*;
    use crate::domain::SiteCode;
    use crate::fixtures::{self, World};
    use crate::operations::{list_results, start_reading};

    #[test]
    fn a_total_is_read_as_it_was_recorded() {
        let recording = moodle_recording("gradereport_user_get_grade_items/one_user_graded");
        let report = recording.json().expect("JSON")["usergrades"][0].clone();
        let report: UserGrades = serde_json::from_value(report).expect("a report");
        let total = total_of(&report).expect("a total");
        assert_eq!((&*total.raw, &*total.min, &*total.max), ("102.5", "0", "120"));
        assert_eq!(total.graded_at.map(Timestamp::as_second), Some(1_795_392_340));
        let recording = moodle_recording("gradereport_user_get_grade_items/user_not_enrolled");
        let report = recording.json().expect("JSON")["usergrades"][0].clone();
        let report: UserGrades = serde_json::from_value(report).expect("a report");
        assert_eq!(total_of(&report), None, "no grade is no zero");
    }

    #[test]
    fn a_course_was_completed_when_its_last_criterion_was() {
        let case = "core_completion_get_course_completion_status/complete_after_cron";
        let status = moodle_recording(case).json().expect("JSON")["completionstatus"].clone();
        let status = serde_json::from_value(status).expect("a status");
        let completion = completion_of(&status);
        let at = completion.completed_at.map(Timestamp::as_second);
        assert_eq!((completion.is_completed, at), (true, Some(1_795_392_340)));
    }

    async fn read(world: &World, student: Option<&str>, after_s: i64) {
        let command = start_reading::Command {
            site: SiteCode("academics".into()),
            section: fixtures::section("a"),
            person: student.map(testkit::person),
        };
        start_reading::handle(&world.ctx, &testkit::call(command)).await.expect("asked for");
        world.run_after(after_s).await;
    }

    async fn told(world: &World) -> Vec<ResultRead> {
        let events = testkit::published(&world.ctx.table).await.into_iter();
        let results = events.filter(|event| event.name == ResultRead::NAME);
        let mut told: Vec<ResultRead> =
            results.map(|event| serde_json::from_value(event.data).expect("a result")).collect();
        told.sort_by_key(|told| (told.student, told.result_version));
        told
    }

    async fn two_students() -> World {
        let world = World::start().await;
        world.enrol("a", "ada").await;
        world.enrol("a", "bob").await;
        world.run().await;
        world
    }

    fn of(name: &str) -> (String, String) {
        (fixtures::section("a").to_string(), testkit::person(name).to_string())
    }

    #[tokio::test]
    async fn a_course_is_read_whole_and_only_what_changed_is_told() {
        let world = two_students().await;
        let (section, ada) = of("ada");
        world.site.grade(&section, &ada, "87.5", true);
        world.site.access(&section, &ada, 1_800_000_000);
        read(&world, None, 100).await;
        let first = told(&world).await;
        assert_eq!(first.len(), 1, "bob has no grade, and that is no news: {first:?}");
        let grade = first[0].grade.as_ref().expect("a grade");
        assert_eq!((grade.raw.as_str(), grade.is_overridden), ("87.5", true));
        assert_eq!(first[0].is_completed, None, "nobody follows completion: that is no error");
        read(&world, None, 200).await;
        assert_eq!(told(&world).await.len(), 1, "read again, nothing has changed");
        world.site.complete(&section, &ada, 1_800_000_100);
        world.site.grade(&section, &ada, "90", false);
        read(&world, Some("ada"), 300).await;
        let last = told(&world).await.pop().expect("news");
        assert_eq!(last.result_version, 2);
        assert_eq!(last.grade_before.map(|grade| grade.raw), Some("87.5".into()), "kept");
        assert_eq!(last.completed_at.map(Timestamp::as_second), Some(1_800_000_100));
        let call = testkit::call(list_results::Command { section: fixtures::section("a") });
        let listed = list_results::handle(&world.ctx, &call).await.expect("a page").items;
        let ada = listed.iter().find(|item| item.student == testkit::person("ada"));
        let ada = ada.expect("she is listed");
        assert_eq!(ada.grade.as_ref().map(|grade| grade.raw.as_str()), Some("90"));
        assert_eq!(ada.last_access_at.map(Timestamp::as_second), Some(1_800_000_000));
        let asked = world.site.take_asked().requests;
        assert!(!asked.contains_key("core_grades_update_grades"), "nothing is written there");
    }

    /// A course with so many students, each with a grade that was read.
    async fn class_of(count: usize) -> (World, Vec<String>) {
        let world = World::start().await;
        let names: Vec<String> = (0..count).map(|number| format!("s{number:03}")).collect();
        for name in &names {
            world.enrol("a", name).await;
        }
        world.run().await;
        for name in &names {
            let (section, student) = of(name);
            world.site.grade(&section, &student, "10", false);
        }
        read(&world, None, 100).await;
        assert_eq!(told(&world).await.len(), count);
        (world, names)
    }

    /// What they hold in the course is no student's role any more, or is again: who is no student has no report.
    fn set_student(world: &World, name: &str, is_student: bool) {
        let (section, student) = of(name);
        let id = |all: Vec<Value>, number: String| {
            let found = all.into_iter().find(|one| one["idnumber"] == number.as_str());
            found.expect("it stands there")["id"].clone()
        };
        let role = json!([{
            "roleid": 5, "contextlevel": "course", "userid": id(world.site.users(), student),
            "instanceid": id(world.site.courses(), section),
        }]);
        if is_student {
            world.site.act("core_role_assign_roles", &json!({ "assignments": role }));
        } else {
            world.site.act("core_role_unassign_roles", &json!({ "unassignments": role }));
        }
    }

    #[tokio::test]
    async fn whom_the_report_leaves_out_keeps_the_grade_that_is_known() {
        let (world, names) = class_of(10).await;
        set_student(&world, &names[3], false);
        let (section, student) = of(&names[3]);
        world.site.complete(&section, &student, 1_800_000_100);
        read(&world, None, 200).await;
        let person = testkit::person(&names[3]);
        let told = told(&world).await;
        let last = told.iter().rfind(|told| told.student == person).expect("told");
        assert_eq!((last.result_version, last.is_completed), (2, Some(true)));
        assert_eq!(last.grade.as_ref().map(|grade| grade.raw.as_str()), Some("10"));
    }

    #[tokio::test]
    async fn a_whole_course_that_lost_many_grades_is_not_believed_and_says_so() {
        let (world, names) = class_of(10).await;
        for name in &names[..2] {
            set_student(&world, name, false);
        }
        let (section, student) = of(&names[5]);
        world.site.grade(&section, &student, "20", false);
        read(&world, None, 200).await;
        assert_eq!(told(&world).await.len(), 10, "nothing of it is taken in");
        let (site, kind) = (SiteCode("academics".into()), Kind::Reading);
        let key = store::work_key(&crate::domain::WorkId { site, kind, entity: section });
        let work = world.ctx.table.get(&key).await.expect("reads").expect("it is put off").value;
        assert_eq!(work.trouble.map(|trouble| trouble.code).as_deref(), Some("RESULTS_SHRUNKEN"));
        for name in &names[..2] {
            set_student(&world, name, true);
        }
        world.run_after(1_000).await;
        assert_eq!(told(&world).await.len(), 11, "read once the site tells all again");
    }

    #[tokio::test]
    async fn the_last_access_into_a_large_course_is_read_with_one_list() {
        let (world, names) = class_of(READ_AT_ONCE_MAX + 1).await;
        let (section, student) = of(&names[77]);
        world.site.access(&section, &student, 1_800_000_000);
        world.site.take_asked();
        read(&world, None, 200).await;
        let asked = world.site.take_asked().requests;
        assert_eq!(asked["core_enrol_get_enrolled_users"], 2, "who is active, and who suspended");
        let site = SiteCode("academics".into());
        let key = store::result_key(fixtures::section("a"), &site, testkit::person(&names[77]));
        let result = world.ctx.table.get(&key).await.expect("reads").expect("read").value;
        assert_eq!(result.last_access_at.map(Timestamp::as_second), Some(1_800_000_000));
        assert_eq!(result.grade.map(|grade| grade.raw).as_deref(), Some("10"), "kept");
    }

    #[tokio::test]
    async fn results_that_cannot_be_read_are_put_off_and_stop_nobody() {
        let world = two_students().await;
        world.site.break_after(0, MoodleFault::RightLacking, 1);
        read(&world, None, 100).await;
        assert_eq!(fixtures::marked(&world.ctx, "academics").await.len(), 1);
        world.enrol("a", "cleo").await;
        world.run_after(101).await;
        assert_eq!(world.enrolled().len(), 3);
        let (section, cleo) = of("cleo");
        world.site.grade(&section, &cleo, "12", false);
        world.run_after(1_000).await;
        assert_eq!(told(&world).await.len(), 1, "read in the end");
    }

    #[tokio::test]
    async fn a_race_with_dynamodb_in_the_way_tells_each_result_once() {
        for seed in 0..4 {
            let world = two_students().await;
            for name in ["ada", "bob"] {
                let (section, student) = of(name);
                world.site.grade(&section, &student, "15.25", false);
            }
            let command = start_reading::Command {
                site: SiteCode("academics".into()),
                section: fixtures::section("a"),
                person: None,
            };
            start_reading::handle(&world.ctx, &testkit::call(command)).await.expect("asked for");
            world.test.engine.set_faults(testkit::Faults::seeded(seed, 60));
            let site = SiteCode("academics".into());
            drop(crate::sync::run(&world.ctx, &site, testkit::now(), "test").await);
            world.test.engine.set_faults(testkit::Faults::none());
            for seconds in [120, 240] {
                world.run_after(seconds).await;
            }
            let versions: Vec<u64> =
                told(&world).await.iter().map(|told| told.result_version).collect();
            assert_eq!(versions, [1, 1], "seed {seed}");
        }
    }
}
