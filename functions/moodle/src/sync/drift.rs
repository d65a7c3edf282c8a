//! Looks through a site for what differs from what should stand there, page by page: a page is judged when all of it
//! was read, and a check reports when it has seen every page.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use kernel::{PersonId, SectionId};
use table::{PageRequest, Position, Stored};

use super::courses::course_change;
use super::enrolments::entity_of;
use super::groups::GroupsThere;
use super::users::user_change;
use super::{Halt, Session, sentence_code};
use crate::client::{CONNECTIONS_MAX, CallFailure, Course, Remedy, User, UserField};
use crate::domain::{
    Closure, Difference, DriftCheck, DriftReport, DriftStep, DriftTally, Finding, Kind, Listed,
    Mapping, Registrations, Repair, Section, Stopped, WantedUser, enrolment_difference,
    wanted_course, wanted_enrolment,
};
use crate::store::{self, Cause};

const COURSES_AT_ONCE: u32 = 20;
const PEOPLE_AT_ONCE: u32 = 100;
/// Findings that one transaction writes, beside the lease.
const FOUND_AT_ONCE_MAX: usize = 90;
const REPAIRED_AT_ONCE: u32 = 40;
const LISTED_AT_ONCE: usize = 250;
const LISTED_PAGES_MAX: usize = 200;
/// Times that a list which moved while it was read is read again.
const LISTINGS_MAX: u32 = 3;

/// What one page came to.
#[derive(Default)]
struct Seen {
    findings: Vec<Finding>,
    tally: DriftTally,
}

impl Session<'_> {
    /// One more page of a check, where one is under way.
    pub(super) async fn drift_page(&mut self) -> Result<bool, Halt> {
        let key = store::drift_check_key(&self.site);
        let Some(check) = self.ctx.table.get(&key).await?.filter(|one| one.value.is_under_way())
        else {
            return Ok(false);
        };
        match self.drift_step(&check).await {
            // A right that only checks need must not stop what is sent: the check ends, and says why.
            Err(Halt::Site(failure)) if failure.remedy != Remedy::Wait => {
                self.stop_check(&check, &failure).await?;
            }
            other => other?,
        }
        Ok(true)
    }

    async fn drift_step(&mut self, check: &Stored<DriftCheck>) -> Result<(), Halt> {
        let after = position(check.value.after.as_deref())?;
        let mut seen = Seen { tally: check.value.tally, ..Seen::default() };
        let next = match check.value.step {
            DriftStep::Courses => self.drift_of_courses(&check.value, after, &mut seen).await?,
            DriftStep::People => {
                self.cohort_members().await?;
                let members = self.cohort_members.take().unwrap_or_default();
                let next = self.drift_of_people(&check.value, after, &members, &mut seen).await;
                self.cohort_members = Some(members);
                next?
            }
        };
        let next = next.map(|next| serde_json::to_string(&next).expect("it is JSON"));
        for some in seen.findings.chunks(FOUND_AT_ONCE_MAX) {
            let mut transaction = self.ctx.table.transaction();
            transaction.check(&store::lease_key(&self.site), Some(self.lease.version));
            for finding in some {
                transaction.overwrite(finding);
            }
            transaction.commit().await?;
        }
        let mut transaction = self.ctx.table.transaction();
        if let Some(further) = check.value.behind(next, seen.tally) {
            transaction.put(&further, Some(check.version));
        } else {
            let standing = self.ctx.table.get(&store::drift_report_key(&self.site)).await?;
            let report = DriftReport::of(&check.value, seen.tally, self.now());
            shell::telemetry::count("MoodleDrift", report.tally.found(), ("site", &self.site.0));
            transaction.put(&report, standing.map(|standing| standing.version));
            transaction.delete(check);
        }
        Ok(transaction.commit().await?)
    }

    async fn stop_check(
        &self,
        check: &Stored<DriftCheck>,
        failure: &CallFailure,
    ) -> Result<(), Halt> {
        let stopped = Stopped {
            at: self.now(),
            code: sentence_code(failure).to_owned(),
            moodle_code: failure.code.clone(),
        };
        let value = DriftCheck { stopped: Some(stopped), ..check.value.clone() };
        let mut transaction = self.ctx.table.transaction();
        transaction.put(&value, Some(check.version));
        Ok(transaction.commit().await?)
    }

    /// Which of these wait to be sent: they are known to differ.
    async fn waiting(&self, ids: &[(Kind, String)]) -> Result<BTreeSet<(Kind, String)>, Halt> {
        let key = |(kind, entity): &(Kind, String)| store::work_key(&self.id(*kind, entity));
        let keys = ids.iter().map(|id| (&key(id)).into()).collect();
        let mut works = store::batch(&self.ctx.table, keys).await?;
        let mut waiting = BTreeSet::new();
        for id in ids {
            if store::take(&mut works, &key(id))?.is_some() {
                waiting.insert(id.clone());
            }
        }
        Ok(waiting)
    }

    pub(super) async fn mappings(
        &self,
        kind: Kind,
        entities: &[String],
    ) -> Result<BTreeMap<String, Mapping>, Halt> {
        let key = |entity: &String| store::mapping_key(&self.site, kind, entity);
        let keys = entities.iter().map(|entity| (&key(entity)).into()).collect();
        let mut found = store::batch(&self.ctx.table, keys).await?;
        let mut mappings = BTreeMap::new();
        for entity in entities {
            if let Some(mapping) = store::take(&mut found, &key(entity))? {
                mappings.insert(entity.clone(), mapping.value);
            }
        }
        Ok(mappings)
    }

    fn find(
        &self,
        check: &DriftCheck,
        seen: &mut Seen,
        (kind, entity): (Kind, String),
        difference: Difference,
        moodle_id: Option<i64>,
    ) {
        seen.tally.count(difference);
        seen.findings.push(Finding {
            site: self.site.clone(),
            check: check.asked_at,
            kind,
            entity,
            difference,
            moodle_id,
            found_at: self.now(),
        });
    }

    async fn drift_of_courses(
        &self,
        check: &DriftCheck,
        after: Option<Position>,
        seen: &mut Seen,
    ) -> Result<Option<Position>, Halt> {
        let request = PageRequest { after, limit: COURSES_AT_ONCE };
        let page = self.ctx.table.query(&store::sections(), &request).await?;
        let here = |section: &Section| self.settings.courses.includes(&section.department);
        let sections: Vec<Section> =
            page.records.into_iter().map(|one| one.value).filter(here).collect();
        let entities: Vec<String> = sections.iter().map(|one| one.section.to_string()).collect();
        let mappings = self.mappings(Kind::Course, &entities).await?;
        let ids: Vec<_> = entities.iter().map(|one| (Kind::Course, one.clone())).collect();
        let waiting = self.waiting(&ids).await?;
        let known: Vec<i64> = mappings.values().map(|mapping| mapping.moodle_id).collect();
        let there: BTreeMap<i64, Course> =
            self.client.courses(&known).await?.into_iter().map(|one| (one.id, one)).collect();
        let closures = self.closures(&sections).await?;
        let mut to_list = Vec::new();
        for (section, entity) in sections.iter().zip(entities) {
            let id = (Kind::Course, entity);
            let mapped = mappings.get(&id.1).map(|mapping| mapping.moodle_id);
            let found = mapped.and_then(|mapped| there.get(&mapped));
            let is_there = found.is_some();
            let closure = closures.get(&section.section);
            let wanted = wanted_course(&self.settings, section, closure, is_there);
            if wanted.is_none() && !is_there {
                continue;
            }
            seen.tally.courses += 1;
            if is_there {
                to_list.push((section.section, mapped.unwrap_or_default()));
            }
            if waiting.contains(&id) {
                continue;
            }
            seen.tally.expected += 1;
            match (found, wanted) {
                (None, _) => {
                    self.find(check, seen, id, Difference::Missing, mapped);
                    let known = self.registrations_of(section.section).await?;
                    let unseen = known.iter().filter(|one| self.settings.is_enrolled(one)).count();
                    seen.tally.expected += unseen as u64;
                    seen.tally.unseen += unseen as u64;
                }
                (Some(found), Some(wanted)) if !found.is_as(&course_change(found.id, &wanted)) => {
                    self.find(check, seen, id, Difference::ChangedThere, mapped);
                }
                _ => {}
            }
        }
        let listed: Vec<_> = stream::iter(to_list)
            .map(async |(section, course)| Ok::<_, Halt>((section, self.listed(course).await?)))
            .buffered(CONNECTIONS_MAX)
            .try_collect()
            .await?;
        // The night reads results, too.
        if check.asked_by.is_none() {
            let now = self.now();
            let read = sections.iter().filter(|section| section.is_read_at(now));
            let id = |section: &Section| self.id(Kind::Reading, &section.section.to_string());
            self.mark(&read.map(id).collect::<Vec<_>>()).await?;
        }
        let there: Vec<SectionId> = listed.iter().map(|(section, _)| *section).collect();
        for (section, listed) in listed {
            self.drift_of_enrolments(check, section, &listed, seen).await?;
        }
        self.drift_of_groups(check, there, seen).await?;
        Ok(page.next)
    }

    async fn closures(&self, sections: &[Section]) -> Result<BTreeMap<SectionId, Closure>, Halt> {
        let keys = sections.iter().map(|one| (&store::closure_key(one.section)).into()).collect();
        let mut found = store::batch(&self.ctx.table, keys).await?;
        let mut closures = BTreeMap::new();
        for section in sections.iter().map(|one| one.section) {
            if let Some(closure) = store::take(&mut found, &store::closure_key(section))? {
                closures.insert(section, closure.value);
            }
        }
        Ok(closures)
    }

    async fn drift_of_groups(
        &self,
        check: &DriftCheck,
        sections: Vec<SectionId>,
        seen: &mut Seen,
    ) -> Result<(), Halt> {
        let ids: Vec<_> = sections.iter().map(|one| (Kind::Groups, one.to_string())).collect();
        let waiting = self.waiting(&ids).await?;
        let looked: Vec<GroupsThere> = stream::iter(sections)
            .map(async |section| {
                if !self.may_send() {
                    return Err(Halt::OutOfTime);
                }
                self.groups_there(section).await
            })
            .buffered(CONNECTIONS_MAX)
            .try_collect()
            .await?;
        for (id, there) in ids.into_iter().zip(looked) {
            let GroupsThere::Looked(groups) = there else { continue };
            if waiting.contains(&id) {
                continue;
            }
            seen.tally.expected += 1;
            if groups.is_any_missing() {
                self.find(check, seen, id, Difference::Missing, None);
            } else if groups.differs() {
                self.find(check, seen, id, Difference::ChangedThere, None);
            }
        }
        Ok(())
    }

    /// Everybody in a course, by id. Pages overlap by one: where the list moved, it is read again.
    pub(super) async fn listed(&self, course: i64) -> Result<BTreeMap<i64, Listed>, Halt> {
        for _ in 0..LISTINGS_MAX {
            let mut listed = BTreeMap::new();
            let mut is_whole = true;
            for (only, is_active) in [("onlyactive", true), ("onlysuspended", false)] {
                is_whole &= self.list(course, only, is_active, &mut listed).await?;
            }
            if is_whole {
                return Ok(listed);
            }
        }
        Err(CallFailure::of_moving_list("core_enrol_get_enrolled_users").into())
    }

    async fn list(
        &self,
        course: i64,
        only: &str,
        is_active: bool,
        listed: &mut BTreeMap<i64, Listed>,
    ) -> Result<bool, Halt> {
        let (mut from, mut last) = (0, None);
        for _ in 0..LISTED_PAGES_MAX {
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            let page = self.client.enrolled_users(course, only, from, LISTED_AT_ONCE).await?;
            if last.is_some() && page.first().map(|user| user.id) != last {
                return Ok(false);
            }
            let count = page.len();
            last = page.last().map(|user| user.id);
            for user in page {
                let roles = user.roles.iter().map(|role| role.roleid).collect();
                let last_access_s = user.lastcourseaccess;
                listed.insert(user.id, Listed { is_active, roles, last_access_s });
            }
            if count < LISTED_AT_ONCE {
                return Ok(true);
            }
            from += count - 1;
        }
        Ok(false)
    }

    async fn drift_of_enrolments(
        &self,
        check: &DriftCheck,
        section: SectionId,
        listed: &BTreeMap<i64, Listed>,
        seen: &mut Seen,
    ) -> Result<(), Halt> {
        let mut extra: BTreeSet<i64> = listed.keys().copied().collect();
        let known = self.registrations_of(section).await?;
        self.drift_of_known(check, &known, listed, &mut extra, seen).await?;
        for user in extra {
            let id = (Kind::Enrolment, format!("{section}/moodle-{user}"));
            self.find(check, seen, id, Difference::Extra, Some(user));
        }
        Ok(())
    }

    /// Those of a course whom we know; they are extra no more.
    async fn drift_of_known(
        &self,
        check: &DriftCheck,
        known: &[Registrations],
        listed: &BTreeMap<i64, Listed>,
        extra: &mut BTreeSet<i64>,
        seen: &mut Seen,
    ) -> Result<(), Halt> {
        let entity = |one: &Registrations| entity_of(one.section, one.student);
        let entities: Vec<String> = known.iter().map(entity).collect();
        let people: Vec<String> = known.iter().map(|one| one.student.to_string()).collect();
        let sent = self.mappings(Kind::Enrolment, &entities).await?;
        let accounts = self.mappings(Kind::User, &people).await?;
        let ids: Vec<_> = entities.iter().map(|one| (Kind::Enrolment, one.clone())).collect();
        let waiting = self.waiting(&ids).await?;
        for ((one, id), person) in known.iter().zip(ids).zip(people) {
            let user = accounts.get(&person).map(|mapping| mapping.moodle_id);
            let there = user.and_then(|user| listed.get(&user));
            let wanted = wanted_enrolment(&self.settings, one, sent.contains_key(&id.1));
            if let Some(user) = user
                && (wanted.is_some() || waiting.contains(&id))
            {
                extra.remove(&user);
            }
            if waiting.contains(&id) {
                continue;
            }
            seen.tally.expected += u64::from(wanted.is_some_and(|wanted| !wanted.is_suspended));
            let roles = &self.settings.roles;
            let ours: BTreeSet<i64> = roles.ours().collect();
            let others = there.filter(|_| wanted.is_some()).map(|there| &there.roles - &ours);
            for role in others.into_iter().flatten() {
                let id = (Kind::Enrolment, format!("{}/role-{role}", id.1));
                self.find(check, seen, id, Difference::Extra, user);
            }
            if let Some(difference) = enrolment_difference(roles, wanted, there)
                && difference.is_ours()
            {
                self.find(check, seen, id, difference, user);
            }
        }
        Ok(())
    }

    async fn drift_of_people(
        &self,
        check: &DriftCheck,
        after: Option<Position>,
        members: &Members,
        seen: &mut Seen,
    ) -> Result<Option<Position>, Halt> {
        let request = PageRequest { after, limit: PEOPLE_AT_ONCE };
        let page = self.ctx.table.query(&store::people(), &request).await?;
        let people: Vec<PersonId> = page.records.iter().map(|one| one.value.person).collect();
        if people.is_empty() {
            return Ok(page.next);
        }
        let entities: Vec<String> = people.iter().map(ToString::to_string).collect();
        let mappings = self.mappings(Kind::User, &entities).await?;
        let ids: Vec<_> = entities.iter().map(|one| (Kind::User, one.clone())).collect();
        let waiting = self.waiting(&ids).await?;
        let found = self.client.users_by(UserField::IdNumber, &entities).await?;
        let mut by_number: BTreeMap<&str, Vec<&User>> = BTreeMap::new();
        for user in &found {
            by_number.entry(&user.idnumber).or_default().push(user);
        }
        for (person, id) in people.into_iter().zip(ids) {
            seen.tally.people += 1;
            if waiting.contains(&id) {
                continue;
            }
            let mapped = mappings.get(&id.1).map(|mapping| mapping.moodle_id);
            let (wanted, _) = self.wanted_user(person, mapped.is_some()).await?;
            let there = by_number.get(id.1.as_str()).map_or(&[][..], Vec::as_slice);
            let ours = there.iter().find(|user| mapped.is_none_or(|mapped| mapped == user.id));
            for user in there.iter().filter(|user| !user.suspended) {
                if wanted.is_none() || ours.is_none_or(|ours| ours.id != user.id) {
                    let entity = format!("{}/moodle-{}", id.1, user.id);
                    let id = (Kind::User, entity);
                    self.find(check, seen, id, Difference::Extra, Some(user.id));
                }
            }
            let Some(wanted) = wanted else { continue };
            seen.tally.expected += u64::from(!wanted.is_suspended);
            let user = ours.map(|user| user.id);
            for cohort in cohorts_too_many(&wanted, user, members) {
                let id = (Kind::Cohort, format!("{cohort}/{}", id.1));
                self.find(check, seen, id, Difference::Extra, user);
            }
            if let Some(difference) = account_difference(&wanted, ours.copied(), members) {
                self.find(check, seen, id, difference, mapped);
            }
        }
        Ok(page.next)
    }

    /// Marks one more page of what a report found and what is ours, where somebody asked for that.
    pub(super) async fn repair_page(&mut self) -> Result<bool, Halt> {
        let key = store::drift_report_key(&self.site);
        let Some(report) = self.ctx.table.get(&key).await? else { return Ok(false) };
        let Some(repair) = report.value.repair.clone().filter(|repair| !repair.is_finished) else {
            return Ok(false);
        };
        let request =
            PageRequest { after: position(repair.after.as_deref())?, limit: REPAIRED_AT_ONCE };
        let findings = store::findings(&self.site, report.value.asked_at);
        let page = self.ctx.table.query(&findings, &request).await?;
        let ids: Vec<_> = page
            .records
            .iter()
            .filter(|finding| finding.value.difference.is_ours())
            .map(|finding| self.id(finding.value.kind, &finding.value.entity))
            .collect();
        let cause = Cause { now: self.now(), correlation_id: self.correlation_id };
        let table = &self.ctx.table;
        let mut transaction = table.transaction();
        store::mark_to_send(table, &mut transaction, &ids, true, cause).await?;
        let repair = Repair {
            is_finished: page.next.is_none(),
            after: page.next.map(|next| serde_json::to_string(&next).expect("it is JSON")),
            marked: repair.marked + ids.len() as u64,
            ..repair
        };
        let value = DriftReport { repair: Some(repair), ..report.value };
        transaction.put(&value, Some(report.version));
        transaction.commit().await?;
        Ok(true)
    }
}

/// Users by the id number of the cohort that they are in.
type Members = BTreeMap<String, BTreeSet<i64>>;

fn account_difference(
    wanted: &WantedUser,
    there: Option<&User>,
    members: &Members,
) -> Option<Difference> {
    let Some(user) = there else {
        return (!wanted.is_suspended).then_some(Difference::Missing);
    };
    if user.suspended != wanted.is_suspended {
        return Some(Difference::WrongStatus);
    }
    let is_in = |cohort| members.get(cohort).is_some_and(|inside| inside.contains(&user.id));
    // Whoever is suspended keeps the cohorts that they had.
    let lacks_cohort = !wanted.is_suspended && !wanted.cohorts.iter().all(is_in);
    let is_changed = user.as_sent() != user_change(user.id, wanted).folded();
    (is_changed || lacks_cohort).then_some(Difference::ChangedThere)
}

/// Cohorts of ours that somebody else put an account into.
fn cohorts_too_many<'m>(
    wanted: &WantedUser,
    user: Option<i64>,
    members: &'m Members,
) -> impl Iterator<Item = &'m String> {
    let user = user.filter(|_| !wanted.is_suspended);
    let is_in = move |inside: &BTreeSet<i64>| user.is_some_and(|user| inside.contains(&user));
    members
        .iter()
        .filter(move |(cohort, inside)| is_in(inside) && !wanted.cohorts.contains(*cohort))
        .map(|(cohort, _)| cohort)
}

fn position(after: Option<&str>) -> Result<Option<Position>, Halt> {
    let after = after.map(serde_json::from_str).transpose();
    Ok(after.map_err(|_| shell::Fault::defect("a list goes on nowhere"))?)
}
