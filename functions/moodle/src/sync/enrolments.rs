//! Enrolments in a site, of many courses in one request: sent whole each time, suspended where a student dropped.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use kernel::{PersonId, SectionId};
use table::{Batch, Stored};

use super::bisect::{Bisected, bisected};
use super::{Halt, Session};
use crate::client::{CONNECTIONS_MAX, CallFailure, Enrolment, Remedy, RoleAssignment, UserField};
use crate::domain::{
    Kind, Listed, Mapping, MoodleRoles, Registrations, Trouble, WantedEnrolment, Work,
    enrolment_difference, fingerprint, wanted_enrolment,
};
use crate::store::{self, Looked, Outcome};

const SENT_AT_ONCE_MAX: usize = 50;

/// How an enrolment is named among a site's work.
pub fn entity_of(section: SectionId, student: PersonId) -> String {
    format!("{section}/{student}")
}

pub(super) fn parts_of(entity: &str) -> Option<(SectionId, PersonId)> {
    let (section, student) = entity.split_once('/')?;
    Some((section.parse().ok()?, student.parse().ok()?))
}

/// A registration that was looked at, and the enrolment that it should be.
#[derive(Clone)]
struct Seat {
    work: Stored<Work>,
    mapping: Option<Stored<Mapping>>,
    wanted: WantedEnrolment,
    section: SectionId,
    student: PersonId,
    user: i64,
    course: i64,
    /// Whether it may stand there: sent before, or just now without a clear no. Clones share it.
    may_stand: Arc<AtomicBool>,
}

impl Seat {
    fn enrolment(&self) -> Enrolment {
        Enrolment {
            roleid: self.wanted.role,
            userid: self.user,
            courseid: self.course,
            timestart: 0,
            timeend: 0,
            suspend: self.wanted.is_suspended,
        }
    }

    /// Other ids there are another enrolment.
    fn fingerprint(&self) -> String {
        fingerprint(&(self.wanted, self.user, self.course))
    }

    /// The role that was sent before, where it is another one now: Moodle adds roles and takes none away. Where
    /// somebody may have given one there, all others that we give.
    fn outdated_roles(&self, roles: &MoodleRoles) -> Vec<RoleAssignment> {
        let before = self.mapping.as_ref().and_then(|mapping| mapping.value.role);
        let is_doubted = self.work.value.sends_anyway || self.work.value.looks_there;
        let others = roles.ours().filter(|_| is_doubted).chain(before);
        let others: BTreeSet<i64> = others.filter(|role| *role != self.wanted.role).collect();
        let unassigned = |roleid| RoleAssignment {
            roleid,
            userid: self.user,
            contextlevel: "course",
            instanceid: self.course,
        };
        others.into_iter().map(unassigned).collect()
    }

    /// As it stands in the table after [`Session::begin`].
    fn begun(mut self) -> Self {
        if !self.work.value.was_begun {
            self.work.value.was_begun = true;
            self.work.version += 1;
        }
        self
    }

    /// What was clearly refused, or never sent, was not begun after all: a drop then leaves nothing behind.
    fn looked(mut self, outcome: Outcome) -> Looked {
        self.work.value.was_begun = self.may_stand.load(Ordering::Relaxed);
        Looked { work: self.work, mapping: self.mapping, outcome }
    }
}

impl Session<'_> {
    pub(super) async fn enrolments(&mut self) -> Result<usize, Halt> {
        let due = self.due(Kind::Enrolment).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let (settled, seats) = self.wanted_enrolments(due).await?;
        let mut looked = self.record(&settled).await?;
        let mut batches = Vec::new();
        for seats in seats.chunks(SENT_AT_ONCE_MAX) {
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            let begun = self.begin(seats.to_vec()).await?;
            // What was marked again meanwhile is due in the next round.
            looked += seats.len() - begun.len();
            batches.push(begun);
        }
        let session = &*self;
        let sent: Vec<Bisected<Seat, ()>> = stream::iter(batches)
            .map(|batch| session.enrol(batch))
            .buffer_unordered(CONNECTIONS_MAX)
            .collect()
            .await;
        let mut halted = None;
        let mut outcomes = Vec::new();
        for Bisected { tried, left, halted: because } in sent {
            for (seat, result) in tried {
                outcomes.push(self.conclude(seat, result).await?);
            }
            outcomes.extend(left.into_iter().map(|seat| seat.looked(Outcome::Untried)));
            halted = halted.or(because);
        }
        looked += self.record(&outcomes).await?;
        self.mark_groups_of(&outcomes).await?;
        match halted {
            Some(failure) => Err(failure.into()),
            None => Ok(looked),
        }
    }

    /// Writes down that these are about to be sent: a student who drops before it is recorded that they were enrolled
    /// is suspended all the same. What was marked again meanwhile is left to the next round.
    async fn begin(&self, seats: Vec<Seat>) -> Result<Vec<Seat>, Halt> {
        let all: Vec<&Seat> = seats.iter().collect();
        if self.write_begun(&all).await? {
            return Ok(seats.into_iter().map(Seat::begun).collect());
        }
        let mut begun = Vec::new();
        for seat in seats {
            if self.write_begun(&[&seat]).await? {
                begun.push(seat.begun());
            }
        }
        Ok(begun)
    }

    /// Whether all of them are as they were read.
    async fn write_begun(&self, seats: &[&Seat]) -> Result<bool, Halt> {
        let mut transaction = self.ctx.table.transaction();
        for seat in seats.iter().filter(|seat| !seat.work.value.was_begun) {
            let work = Work { was_begun: true, ..seat.work.value.clone() };
            transaction.put(&work, Some(seat.work.version));
        }
        if transaction.is_empty() {
            return Ok(true);
        }
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(table::CommitFailure::ConditionFailed(_)) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Said again, an enrolment changes nothing. After a failure the site is asked whether it is there at all.
    async fn enrol(&self, seats: Vec<Seat>) -> Bisected<Seat, ()> {
        bisected(
            seats,
            SENT_AT_ONCE_MAX,
            || self.may_send(),
            async |seats: &[Seat]| {
                let enrolments: Vec<Enrolment> = seats.iter().map(Seat::enrolment).collect();
                let enrolled = self.client.enrol_users(&enrolments).await;
                if !enrolled.as_ref().is_err_and(CallFailure::is_clear_no) {
                    for seat in seats {
                        seat.may_stand.store(true, Ordering::Relaxed);
                    }
                }
                enrolled?;
                let roles = &self.settings.roles;
                let outdated: Vec<RoleAssignment> =
                    seats.iter().flat_map(|seat| seat.outdated_roles(roles)).collect();
                if !outdated.is_empty() {
                    self.client.unassign_roles(&outdated).await?;
                }
                Ok(vec![(); seats.len()])
            },
            async |seats: &[Seat]| self.is_there(seats).await,
        )
        .await
    }

    async fn wanted_enrolments(
        &self,
        due: Vec<Stored<Work>>,
    ) -> Result<(Vec<Looked>, Vec<Seat>), Halt> {
        let mut around = Surroundings::read(self, &due).await?;
        let (mut settled, mut seats) = (Vec::new(), Vec::new());
        let (mut lacking, mut to_look_at) = (BTreeSet::new(), Vec::new());
        for work in due {
            let Some((section, student)) = parts_of(&work.value.entity) else {
                settled.push(Looked { work, mapping: None, outcome: Outcome::InStep });
                continue;
            };
            let mapping = around.mapping(self, &work.value.entity)?;
            let Some(is_here) = around.is_here(self, section)? else {
                let outcome = Outcome::Waits(Trouble::new("WAITS_FOR_COURSE"));
                settled.push(Looked { work, mapping, outcome });
                continue;
            };
            let known = around.registrations(section, student)?;
            let was_sent = mapping.is_some() || work.value.was_begun;
            let wanted = known
                .filter(|_| is_here || was_sent)
                .and_then(|known| wanted_enrolment(&self.settings, &known, was_sent));
            let Some(wanted) = wanted else {
                settled.push(Looked { work, mapping, outcome: Outcome::InStep });
                continue;
            };
            let course = around.moodle_id(self, Kind::Course, section.to_string())?;
            let user = around.moodle_id(self, Kind::User, student.to_string())?;
            let (Some(user), Some(course)) = (user, course) else {
                let (kind, entity, code) = if course.is_none() {
                    (Kind::Course, section.to_string(), "WAITS_FOR_COURSE")
                } else {
                    (Kind::User, student.to_string(), "WAITS_FOR_USER")
                };
                lacking.insert(self.id(kind, &entity));
                let outcome = Outcome::Waits(Trouble::new(code));
                settled.push(Looked { work, mapping, outcome });
                continue;
            };
            let may_stand = Arc::new(AtomicBool::new(was_sent));
            let seat = Seat { work, mapping, wanted, section, student, user, course, may_stand };
            let is_sent =
                seat.mapping.as_ref().is_some_and(|m| m.value.fingerprint == seat.fingerprint());
            if is_sent && seat.work.value.looks_there && !seat.work.value.sends_anyway {
                to_look_at.push(seat);
            } else if is_sent && !seat.work.value.sends_anyway {
                settled.push(seat.looked(Outcome::InStep));
            } else {
                seats.push(seat);
            }
        }
        self.mark_lacking(&lacking.into_iter().collect::<Vec<_>>()).await?;
        seats.extend(self.differing_seats(to_look_at, &mut settled).await?);
        Ok((settled, seats))
    }

    /// Those of these enrolments that are others in Moodle than they should be; the rest is settled.
    async fn differing_seats(
        &self,
        seats: Vec<Seat>,
        settled: &mut Vec<Looked>,
    ) -> Result<Vec<Seat>, Halt> {
        let mut listed = HashMap::new();
        let mut differing = Vec::new();
        for seat in seats {
            let there = match listed.entry(seat.course) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.listed_or_gone(seat.course).await?),
            };
            let there = there.as_ref().map(|users| users.get(&seat.user));
            let roles = &self.settings.roles;
            let is_as_wanted =
                |there| enrolment_difference(roles, Some(seat.wanted), there).is_none();
            if there.is_some_and(is_as_wanted) {
                settled.push(seat.looked(Outcome::InStep));
            } else {
                differing.push(seat);
            }
        }
        Ok(differing)
    }

    /// Everybody in a course; none where the course is not there, which sending finds out about.
    async fn listed_or_gone(&self, course: i64) -> Result<Option<BTreeMap<i64, Listed>>, Halt> {
        match self.listed(course).await {
            Err(Halt::Site(failure)) if !failure.is_of_site() => Ok(None),
            other => other.map(Some),
        }
    }

    /// What an enrolment waits for is looked at, unless it waits itself already.
    async fn mark_lacking(&self, ids: &[crate::domain::WorkId]) -> Result<(), Halt> {
        let keys = ids.iter().map(|id| (&store::work_key(id)).into()).collect();
        let mut standing = store::batch(&self.ctx.table, keys).await?;
        let mut unmarked = Vec::new();
        for id in ids {
            if store::take(&mut standing, &store::work_key(id))?.is_none() {
                unmarked.push(id.clone());
            }
        }
        self.mark(&unmarked).await
    }

    async fn conclude(&self, seat: Seat, result: Result<(), CallFailure>) -> Result<Looked, Halt> {
        let outcome = match result {
            Ok(()) => {
                let work = self.id(Kind::Enrolment, &seat.work.value.entity);
                let mapping = Mapping::new(&work, 0, seat.fingerprint(), self.now());
                Outcome::Sent(Mapping {
                    role: Some(seat.wanted.role),
                    is_suspended: seat.wanted.is_suspended,
                    ..mapping
                })
            }
            Err(failure) => self.refused(&seat, &failure).await?,
        };
        Ok(seat.looked(outcome))
    }

    /// Why one enrolment alone is not taken. Moodle says the same of a wrong course and of a wrong user: both are
    /// looked up, and what is gone is made anew.
    async fn refused(&self, seat: &Seat, failure: &CallFailure) -> Result<Outcome, Halt> {
        let trouble =
            |code: &str| Trouble { code: code.to_owned(), moodle_code: Some(failure.code.clone()) };
        match failure.code.as_str() {
            "wsnoinstance" => return Ok(Outcome::Stuck(trouble("NO_MANUAL_ENROLMENT"))),
            "wsusercannotassign" => return Ok(Outcome::Stuck(trouble("ROLE_NOT_ASSIGNABLE"))),
            _ if failure.remedy == Remedy::Retry || failure.maybe_done => {
                return Ok(Outcome::PutOff(trouble("MOODLE_BUSY")));
            }
            _ => {}
        }
        let (section, student) = (seat.section.to_string(), seat.student.to_string());
        if self.client.courses_by("id", &seat.course.to_string()).await?.is_empty() {
            self.forget(Kind::Course, &section).await?;
            return Ok(Outcome::Waits(trouble("WAITS_FOR_COURSE")));
        }
        let users = self.client.users_by(UserField::Id, &[seat.user.to_string()]).await?;
        // By id Moodle finds deleted users too, without their id number.
        if !users.iter().any(|user| user.idnumber == student) {
            self.forget(Kind::User, &student).await?;
            return Ok(Outcome::Waits(trouble("WAITS_FOR_USER")));
        }
        Ok(Outcome::Stuck(trouble("ENROLMENT_REFUSED")))
    }
}

/// What is known around the enrolments of a round, read together. A course or a user stands for several of them.
struct Surroundings {
    records: Vec<Batch>,
    ids: HashMap<(Kind, String), Option<i64>>,
    /// Whether a section belongs into this site; none where it is still on its way.
    here: HashMap<SectionId, Option<bool>>,
}

impl Surroundings {
    async fn read(session: &Session<'_>, due: &[Stored<Work>]) -> Result<Self, Halt> {
        let mut keys: BTreeSet<(String, String)> = BTreeSet::new();
        for work in due {
            let Some((section, student)) = parts_of(&work.value.entity) else { continue };
            let mapping = |kind, entity: &str| store::mapping_key(&session.site, kind, entity);
            keys.insert((&store::registrations_key(section, student)).into());
            keys.insert((&store::section_key(section)).into());
            keys.insert((&mapping(Kind::Enrolment, &work.value.entity)).into());
            keys.insert((&mapping(Kind::Course, &section.to_string())).into());
            keys.insert((&mapping(Kind::User, &student.to_string())).into());
        }
        let records = store::batch(&session.ctx.table, keys.into_iter().collect()).await?;
        Ok(Self { records, ids: HashMap::new(), here: HashMap::new() })
    }

    fn mapping(
        &mut self,
        session: &Session<'_>,
        entity: &str,
    ) -> Result<Option<Stored<Mapping>>, Halt> {
        let key = store::mapping_key(&session.site, Kind::Enrolment, entity);
        Ok(store::take(&mut self.records, &key)?)
    }

    fn registrations(
        &mut self,
        section: SectionId,
        student: PersonId,
    ) -> Result<Option<Registrations>, Halt> {
        let found = store::take(&mut self.records, &store::registrations_key(section, student))?;
        Ok(found.map(|known| known.value))
    }

    fn is_here(&mut self, session: &Session<'_>, section: SectionId) -> Result<Option<bool>, Halt> {
        if let Some(known) = self.here.get(&section) {
            return Ok(*known);
        }
        let found = store::take(&mut self.records, &store::section_key(section))?;
        let courses = &session.settings.courses;
        let is_here = found.map(|known| courses.includes(&known.value.department));
        self.here.insert(section, is_here);
        Ok(is_here)
    }

    fn moodle_id(
        &mut self,
        session: &Session<'_>,
        kind: Kind,
        entity: String,
    ) -> Result<Option<i64>, Halt> {
        if let Some(known) = self.ids.get(&(kind, entity.clone())) {
            return Ok(*known);
        }
        let key = store::mapping_key(&session.site, kind, &entity);
        let found: Option<Stored<Mapping>> = store::take(&mut self.records, &key)?;
        let id = found.map(|mapping| mapping.value.moodle_id);
        self.ids.insert((kind, entity), id);
        Ok(id)
    }
}
