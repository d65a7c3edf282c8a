//! Courses of a site: found by id number, made in their categories, changed where the section has changed.

use futures_util::{StreamExt, TryStreamExt, stream};
use kernel::SectionId;
use table::Stored;

use super::bisect::{bisected, go_on};
use super::enrolments::entity_of;
use super::{Halt, Session};
use crate::client::{CONNECTIONS_MAX, CallFailure, CourseChange, NewCategory, NewCourse, Remedy};
use crate::domain::{Kind, Mapping, Trouble, WantedCourse, Work, fingerprint, wanted_course};
use crate::store::{self, Looked, Outcome};

const CREATED_AT_ONCE_MAX: usize = 20;
const CHANGED_AT_ONCE_MAX: usize = 20;

/// A section that was looked at, and the course that it should be.
#[derive(Clone)]
struct Course {
    work: Stored<Work>,
    mapping: Option<Stored<Mapping>>,
    wanted: WantedCourse,
    /// In Moodle, where it stands there.
    id: Option<i64>,
    category: i64,
}

impl Course {
    fn looked(self, outcome: Outcome) -> Looked {
        Looked { work: self.work, mapping: self.mapping, outcome }
    }

    fn new_course(&self) -> NewCourse {
        NewCourse {
            fullname: self.wanted.full_name.clone(),
            shortname: self.wanted.short_name.clone(),
            categoryid: self.category,
            idnumber: self.wanted.id_number.clone(),
            startdate: self.wanted.starts_at_s,
            enddate: self.wanted.ends_at_s,
            enablecompletion: true,
        }
    }

    /// What was hidden because it was closed is shown again.
    fn change(&self) -> CourseChange {
        let was_hidden = self.mapping.as_ref().is_some_and(|mapping| mapping.value.is_suspended);
        let change = course_change(self.id.unwrap_or_default(), &self.wanted);
        let visible = change.visible.or(was_hidden.then_some(true));
        CourseChange { visible, ..change }
    }

    fn was_gone(&self) -> bool {
        self.work.value.trouble.as_ref().is_some_and(|trouble| trouble.code == "GONE_THERE")
    }
}

pub(super) fn course_change(id: i64, wanted: &WantedCourse) -> CourseChange {
    CourseChange {
        id,
        fullname: wanted.full_name.clone(),
        shortname: wanted.short_name.clone(),
        idnumber: wanted.id_number.clone(),
        startdate: wanted.starts_at_s,
        enddate: wanted.ends_at_s,
        visible: wanted.hidden.map(|_| false),
    }
}

impl Session<'_> {
    pub(super) async fn courses(&mut self) -> Result<usize, Halt> {
        let due = self.due(Kind::Course).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let (in_step, courses) = self.wanted_courses(due).await?;
        let mut looked = self.record(&in_step).await?;
        let (known, unknown): (Vec<_>, Vec<_>) =
            courses.into_iter().partition(|course| course.id.is_some());
        let (mut to_change, mut to_create) = (known, Vec::new());
        let mut twice = Vec::new();
        for (course, ids) in self.look_up_courses(unknown).await? {
            match ids[..] {
                [] => to_create.push(course),
                [id] => to_change.push(Course { id: Some(id), ..course }),
                _ => twice.push(course.looked(Outcome::Stuck(Trouble::new("ID_NUMBER_TWICE")))),
            }
        }
        looked += self.record(&twice).await?;
        looked += self.create_courses(to_create).await?;
        looked += self.change_courses(to_change).await?;
        Ok(looked)
    }

    async fn wanted_courses(
        &self,
        due: Vec<Stored<Work>>,
    ) -> Result<(Vec<Looked>, Vec<Course>), Halt> {
        let section_of = |work: &Stored<Work>| work.value.entity.parse::<SectionId>().ok();
        let mut keys: Vec<(String, String)> = Vec::new();
        for work in &due {
            keys.extend(section_of(work).map(|id| (&store::section_key(id)).into()));
            keys.extend(section_of(work).map(|id| (&store::closure_key(id)).into()));
            keys.push((&store::mapping_key(&self.site, Kind::Course, &work.value.entity)).into());
        }
        let mut records = store::batch(&self.ctx.table, keys).await?;
        let (mut in_step, mut courses) = (Vec::new(), Vec::new());
        let mut to_look_at = Vec::new();
        for work in due {
            let (section, closure) = match section_of(&work) {
                Some(id) => (
                    store::take(&mut records, &store::section_key(id))?,
                    store::take(&mut records, &store::closure_key(id))?,
                ),
                None => (None, None),
            };
            let key = store::mapping_key(&self.site, Kind::Course, &work.value.entity);
            let mapping: Option<Stored<Mapping>> = store::take(&mut records, &key)?;
            let closure = closure.as_ref().map(|closure| &closure.value);
            let wanted = section.and_then(|known| {
                wanted_course(&self.settings, &known.value, closure, mapping.is_some())
            });
            match wanted {
                Some(wanted)
                    if work.value.sends_anyway
                        || mapping
                            .as_ref()
                            .is_none_or(|m| m.value.fingerprint != fingerprint(&wanted)) =>
                {
                    let id = mapping.as_ref().map(|mapping| mapping.value.moodle_id);
                    courses.push(Course { work, mapping, wanted, id, category: 0 });
                }
                Some(wanted) if work.value.looks_there => {
                    let id = mapping.as_ref().map(|mapping| mapping.value.moodle_id);
                    to_look_at.push(Course { work, mapping, wanted, id, category: 0 });
                }
                _ => in_step.push(Looked { work, mapping, outcome: Outcome::InStep }),
            }
        }
        let ids: Vec<i64> = to_look_at.iter().filter_map(|course| course.id).collect();
        let there = self.client.courses(&ids).await?;
        for course in to_look_at {
            let found = there.iter().find(|one| Some(one.id) == course.id);
            if found.is_some_and(|found| found.is_as(&course.change())) {
                in_step.push(course.looked(Outcome::InStep));
            } else {
                courses.push(course);
            }
        }
        Ok((in_step, courses))
    }

    /// Moodle finds one id number a call.
    async fn look_up_courses(
        &self,
        courses: Vec<Course>,
    ) -> Result<Vec<(Course, Vec<i64>)>, CallFailure> {
        let look_up = async |course: Course| {
            let found = self.client.courses_by("idnumber", &course.wanted.id_number).await?;
            let exact = found.iter().filter(|one| one.idnumber == course.wanted.id_number);
            let ids = exact.map(|one| one.id).collect();
            Ok((course, ids))
        };
        stream::iter(courses).map(look_up).buffered(CONNECTIONS_MAX).try_collect().await
    }

    async fn create_courses(&mut self, courses: Vec<Course>) -> Result<usize, Halt> {
        let (mut placed, mut homeless) = (Vec::new(), Vec::new());
        for course in courses {
            match self.category(&course.wanted.categories).await? {
                Ok(category) => placed.push(Course { category, ..course }),
                Err(trouble) => homeless.push(course.looked(Outcome::PutOff(trouble))),
            }
        }
        let mut looked = self.record(&homeless).await?;
        let (client, session) = (&self.client, &*self);
        let created = bisected(
            placed,
            CREATED_AT_ONCE_MAX,
            || session.may_send(),
            async |courses: &[Course]| {
                let new: Vec<NewCourse> = courses.iter().map(Course::new_course).collect();
                let created = client.create_courses(&new).await?;
                Ok(created.into_iter().map(|one| one.id).collect())
            },
            async |courses: &[Course]| {
                let found = session.look_up_courses(courses.to_vec()).await?;
                Ok(found.into_iter().map(|(_, ids)| ids.first().copied()).collect())
            },
        )
        .await;
        let mut outcomes = Vec::new();
        for (course, result) in created.tried {
            outcomes.push(match result {
                Ok(id) => {
                    if course.was_gone() {
                        self.mark_students_of(&course.wanted.id_number).await?;
                    }
                    self.sent_course(course, id)
                }
                Err(failure) => {
                    let outcome = self.refused_course(&course, &failure).await?;
                    course.looked(outcome)
                }
            });
        }
        looked += self.record(&outcomes).await?;
        go_on(&created.left, created.halted)?;
        Ok(looked)
    }

    fn sent_course(&self, course: Course, id: i64) -> Looked {
        let work = self.id(Kind::Course, &course.work.value.entity);
        let mapping = Mapping::new(&work, id, fingerprint(&course.wanted), self.now());
        let is_suspended = course.wanted.hidden.is_some();
        course.looked(Outcome::Sent(Mapping { is_suspended, ..mapping }))
    }

    /// Why one course alone is not taken.
    async fn refused_course(
        &self,
        course: &Course,
        failure: &CallFailure,
    ) -> Result<Outcome, CallFailure> {
        let trouble =
            |code: &str| Trouble { code: code.to_owned(), moodle_code: Some(failure.code.clone()) };
        if failure.remedy == Remedy::Retry || failure.maybe_done {
            return Ok(Outcome::PutOff(trouble("MOODLE_BUSY")));
        }
        let there = self.client.courses_by("shortname", &course.wanted.short_name).await?;
        let taken = there.iter().any(|other| Some(other.id) != course.id);
        Ok(Outcome::Stuck(trouble(if taken { "SHORT_NAME_TAKEN" } else { "COURSE_REFUSED" })))
    }

    /// A course that was made anew has nobody in it.
    async fn mark_students_of(&self, section: &str) -> Result<(), Halt> {
        let Ok(id) = section.parse() else { return Ok(()) };
        let known = self.registrations_of(id).await?;
        let enrolments = known.iter().map(|one| entity_of(one.section, one.student));
        let mut ids: Vec<_> = enrolments.map(|entity| self.id(Kind::Enrolment, &entity)).collect();
        ids.push(self.id(Kind::Groups, section));
        self.mark(&ids).await
    }

    async fn change_courses(&self, courses: Vec<Course>) -> Result<usize, Halt> {
        let changed = bisected(
            courses,
            CHANGED_AT_ONCE_MAX,
            || self.may_send(),
            async |courses: &[Course]| {
                let changes: Vec<CourseChange> = courses.iter().map(Course::change).collect();
                let told = self.client.update_courses(&changes).await?;
                Ok(changes.iter().map(|change| told.of(change.id)).collect())
            },
            async |courses: &[Course]| self.is_there(courses).await,
        )
        .await;
        let mut outcomes = Vec::new();
        for (course, result) in changed.tried {
            outcomes.push(match result {
                Ok(None) => {
                    let id = course.id.unwrap_or_default();
                    self.sent_course(course, id)
                }
                Ok(Some(warning)) => course.looked(warned_of(&warning)),
                Err(failure) => {
                    let outcome = self.refused_course(&course, &failure).await?;
                    course.looked(outcome)
                }
            });
        }
        let looked = self.record(&outcomes).await?;
        go_on(&changed.left, changed.halted)?;
        Ok(looked)
    }

    /// The innermost of these categories, made with those around it where they are not there. A category's id number
    /// is its path.
    async fn category(&mut self, path: &[String]) -> Result<Result<i64, Trouble>, Halt> {
        let (mut parent, mut id_number) = (0, String::new());
        for name in path.iter().filter(|name| !name.is_empty()) {
            if !id_number.is_empty() {
                id_number.push('/');
            }
            id_number.push_str(name);
            let key = (Kind::Category, id_number.clone());
            if let Some(known) = self.known_ids.get(&key) {
                parent = *known;
                continue;
            }
            parent = match self.find_or_create_category(name, parent, &id_number).await {
                Ok(id) => id,
                Err(failure) if failure.is_of_site() => return Err(failure.into()),
                Err(failure) => {
                    let code = Some(failure.code);
                    return Ok(Err(Trouble {
                        moodle_code: code,
                        ..Trouble::new("CATEGORY_REFUSED")
                    }));
                }
            };
            self.known_ids.insert(key, parent);
        }
        // Without any category of ours: Moodle's first one.
        Ok(Ok(parent.max(1)))
    }

    async fn find_or_create_category(
        &self,
        name: &str,
        parent: i64,
        id_number: &str,
    ) -> Result<i64, CallFailure> {
        let find = async || {
            let found = self.client.categories_by_id_number(id_number).await?;
            let ours = found.into_iter().find(|one| one.idnumber == id_number);
            Ok::<_, CallFailure>(ours.map(|one| one.id))
        };
        if let Some(id) = find().await? {
            return Ok(id);
        }
        let (name, idnumber) = (name.to_owned(), id_number.to_owned());
        match self.client.create_category(&NewCategory { name, parent, idnumber }).await {
            Ok(created) => Ok(created.id),
            Err(failure) => find().await?.ok_or(failure),
        }
    }
}

/// What a change did not do to one course.
fn warned_of(code: &str) -> Outcome {
    let known = match code {
        // It was deleted there.
        "invalidrecord" => return Outcome::Gone,
        "shortnametaken" => "SHORT_NAME_TAKEN",
        _ => "COURSE_REFUSED",
    };
    Outcome::Stuck(Trouble { moodle_code: Some(code.to_owned()), ..Trouble::new(known) })
}
