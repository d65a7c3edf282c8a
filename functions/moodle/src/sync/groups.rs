//! Groups of a site's courses: who takes a linked section beside this one, such as a lab beside a lecture, is in that
//! section's group of the course, and who does not is not. What stands there is read each time: groups are few, and
//! change while a term begins.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{PersonId, SectionId};
use table::Stored;

use super::enrolments::{entity_of, parts_of};
use super::{Halt, Session};
use crate::client::{CallFailure, GroupMember, NewGroup};
use crate::domain::{GroupRule, Kind, Links, Mapping, Registrations, Section, Trouble};
use crate::store::{self, Looked, Outcome};

/// Courses whose groups one round looks at: each is several calls.
const COURSES_AT_ONCE_MAX: usize = 50;
const MEMBERS_AT_ONCE_MAX: usize = 50;

/// A group as it stands in a course, and what makes it what it should be.
pub(super) struct Group {
    id_number: String,
    name: String,
    /// Where it stands there.
    id: Option<i64>,
    joining: Vec<i64>,
    leaving: Vec<i64>,
}

/// The groups of one course.
pub(super) struct CourseGroups {
    course: i64,
    groups: Vec<Group>,
    /// Who is in the course, by their Moodle ids.
    people: BTreeMap<i64, PersonId>,
    /// Whether an enrolment is still on its way.
    to_come: bool,
}

/// How the groups of a course stand.
pub(super) enum GroupsThere {
    /// The section has none in this site.
    None,
    Waiting(Trouble),
    Looked(CourseGroups),
}

impl CourseGroups {
    pub fn is_any_missing(&self) -> bool {
        self.groups.iter().any(|group| group.id.is_none())
    }

    pub fn differs(&self) -> bool {
        let differs = |group: &Group| {
            group.id.is_none() || !group.joining.is_empty() || !group.leaving.is_empty()
        };
        self.groups.iter().any(differs)
    }

    fn members(&self, of: impl Fn(&Group) -> &Vec<i64>) -> Vec<GroupMember> {
        let members = self.groups.iter().filter_map(|group| Some((group.id?, of(group))));
        members
            .flat_map(|(group, users)| {
                users.iter().map(move |user| GroupMember { group, user: *user })
            })
            .collect()
    }
}

impl Session<'_> {
    pub(super) async fn groups(&mut self) -> Result<usize, Halt> {
        let mut due = self.due(Kind::Groups).await?;
        due.truncate(COURSES_AT_ONCE_MAX);
        let mut looked = 0;
        for work in due {
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            let outcome = match self.bring_groups(&work.value.entity).await {
                Ok(outcome) => outcome,
                Err(Halt::Site(failure)) if is_of_course(&failure) => {
                    Outcome::PutOff(refused(failure))
                }
                Err(halt) => return Err(halt),
            };
            looked += self.record(&[Looked { work, mapping: None, outcome }]).await?;
        }
        Ok(looked)
    }

    async fn bring_groups(&self, section: &str) -> Result<Outcome, Halt> {
        let Ok(section) = section.parse() else { return Ok(Outcome::InStep) };
        let mut there = match self.groups_there(section).await? {
            GroupsThere::None => return Ok(Outcome::InStep),
            GroupsThere::Waiting(trouble) => return Ok(Outcome::Waits(trouble)),
            GroupsThere::Looked(there) => there,
        };
        let mut trouble = None;
        let course = there.course;
        for group in there.groups.iter_mut().filter(|group| group.id.is_none()) {
            let (name, idnumber) = (group.name.clone(), group.id_number.clone());
            let new = NewGroup { courseid: course, name, description: String::new(), idnumber };
            match self.client.create_group(&new).await {
                Ok(created) => group.id = Some(created.id),
                // The others can do without it.
                Err(failure) if is_of_course(&failure) => trouble = Some(refused(failure)),
                Err(failure) => return Err(failure.into()),
            }
        }
        let mut away = BTreeSet::new();
        for members in there.members(|group| &group.joining).chunks(MEMBERS_AT_ONCE_MAX) {
            away.extend(self.join_groups(course, members).await?);
        }
        for members in there.members(|group| &group.leaving).chunks(MEMBERS_AT_ONCE_MAX) {
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            self.client.delete_group_members(members).await?;
        }
        let people = away.iter().filter_map(|user| there.people.get(user));
        let id = |person: &PersonId| self.id(Kind::Enrolment, &entity_of(section, *person));
        self.mark_to_look(&people.map(id).collect::<Vec<_>>()).await?;
        Ok(match trouble {
            Some(trouble) => Outcome::PutOff(trouble),
            None if there.to_come || !away.is_empty() => {
                Outcome::Waits(Trouble::new("WAITS_FOR_ENROLMENT"))
            }
            None => Outcome::InStep,
        })
    }

    /// Those who are not in the course, though we thought so: one of them spoils the whole call, and the others go
    /// without them.
    async fn join_groups(
        &self,
        course: i64,
        members: &[GroupMember],
    ) -> Result<BTreeSet<i64>, Halt> {
        if !self.may_send() {
            return Err(Halt::OutOfTime);
        }
        match self.client.add_group_members(members).await {
            Ok(()) => return Ok(BTreeSet::new()),
            Err(failure) if failure.is_clear_no() && !failure.is_of_site() => {}
            Err(failure) => return Err(failure.into()),
        }
        let enrolled = self.listed(course).await?;
        let (there, away): (Vec<GroupMember>, Vec<GroupMember>) =
            members.iter().copied().partition(|member| enrolled.contains_key(&member.user));
        if !there.is_empty() {
            self.client.add_group_members(&there).await?;
        }
        Ok(away.into_iter().map(|member| member.user).collect())
    }

    /// Who came into a course, or left it, may come into its groups or leave them, and those of linked courses.
    pub(super) async fn mark_groups_of(&self, looked: &[Looked]) -> Result<(), Halt> {
        if self.settings.groups == GroupRule::None {
            return Ok(());
        }
        let sent = looked.iter().filter(|one| matches!(one.outcome, Outcome::Sent(_)));
        let seats: Vec<(SectionId, PersonId)> =
            sent.filter_map(|one| parts_of(&one.work.value.entity)).collect();
        let table = &self.ctx.table;
        let sections: BTreeSet<SectionId> = seats.iter().map(|(section, _)| *section).collect();
        let keys = sections.iter().map(|section| (&store::links_key(*section)).into());
        let mut links = store::batch(table, keys.collect()).await?;
        let mut linked = BTreeMap::new();
        for section in sections {
            if let Some(links) = store::take(&mut links, &store::links_key(section))? {
                linked.insert(section, links.value.sections());
            }
        }
        let mut touched: BTreeSet<SectionId> = linked.keys().copied().collect();
        let mut beside = BTreeSet::new();
        for (section, person) in &seats {
            let others = linked.get(section).into_iter().flatten();
            beside.extend(others.map(|other| (*other, *person)));
        }
        let key = |(section, person): &(SectionId, PersonId)| {
            (&store::registrations_key(*section, *person)).into()
        };
        let mut known = store::batch(table, beside.iter().map(key).collect()).await?;
        for (section, person) in beside {
            let key = store::registrations_key(section, person);
            if store::take(&mut known, &key)?.is_some() {
                touched.insert(section);
            }
        }
        let id = |section: &SectionId| self.id(Kind::Groups, &section.to_string());
        self.mark(&touched.iter().map(id).collect::<Vec<_>>()).await
    }

    /// The groups that the course of a section should have, beside those that it has.
    pub(super) async fn groups_there(&self, section: SectionId) -> Result<GroupsThere, Halt> {
        let here = |known: &Section| self.settings.courses.includes(&known.department);
        if self.settings.groups == GroupRule::None {
            return Ok(GroupsThere::None);
        }
        let (links, own) = (store::links_key(section), store::section_key(section));
        let course = store::mapping_key(&self.site, Kind::Course, &section.to_string());
        let keys = vec![(&links).into(), (&own).into(), (&course).into()];
        let mut known = self.ctx.table.get_batch(keys).await?;
        let linked = known.take(&links)?.map(|links: Stored<Links>| links.value.sections());
        let linked = linked.unwrap_or_default();
        let own: Option<Stored<Section>> = known.take(&own)?;
        if linked.is_empty() || own.is_some_and(|own| !here(&own.value)) {
            return Ok(GroupsThere::None);
        }
        let waiting = || GroupsThere::Waiting(Trouble::new("WAITS_FOR_COURSE"));
        let course: Option<Stored<Mapping>> = known.take(&course)?;
        let Some(course) = course.map(|course| course.value.moodle_id) else {
            return Ok(waiting());
        };
        let mut names = BTreeMap::new();
        for linked in linked {
            let Some(known) = self.ctx.table.get(&store::section_key(linked)).await? else {
                return Ok(waiting());
            };
            names.insert(linked, known.value.code);
        }
        self.compare_groups(section, course, &names).await.map(GroupsThere::Looked)
    }

    async fn compare_groups(
        &self,
        section: SectionId,
        course: i64,
        names: &BTreeMap<SectionId, String>,
    ) -> Result<CourseGroups, Halt> {
        let (people, to_come) = self.people_in(section).await?;
        let there = self.groups_by_number(course).await?;
        let mut groups = Vec::with_capacity(names.len());
        for (linked, name) in names {
            let taking = self.registrations_of(*linked).await?.into_iter();
            let taking: BTreeSet<PersonId> = taking
                .filter(|one| self.settings.is_enrolled(one))
                .map(|one| one.student)
                .collect();
            let id_number = linked.to_string();
            let none = BTreeSet::new();
            let known = there.get(&id_number);
            let inside = known.map_or(&none, |(_, inside)| inside);
            // Whom we do not know stays, and who dropped the course.
            let (joining, leaving) = people
                .iter()
                .filter(|(user, person)| taking.contains(person) != inside.contains(user))
                .map(|(user, _)| *user)
                .partition(|user| !inside.contains(user));
            let id = known.map(|(id, _)| *id);
            groups.push(Group { id, id_number, name: name.clone(), joining, leaving });
        }
        Ok(CourseGroups { course, groups, people, to_come })
    }

    /// Those who are in a section's course now, and whether more are on their way.
    async fn people_in(&self, section: SectionId) -> Result<(BTreeMap<i64, PersonId>, bool), Halt> {
        let known = self.registrations_of(section).await?.into_iter();
        let known: Vec<Registrations> =
            known.filter(|one| self.settings.is_enrolled(one)).collect();
        let people: Vec<String> = known.iter().map(|one| one.student.to_string()).collect();
        let entities: Vec<String> =
            known.iter().map(|one| entity_of(one.section, one.student)).collect();
        let accounts = self.mappings(Kind::User, &people).await?;
        let enrolments = self.mappings(Kind::Enrolment, &entities).await?;
        let member = |one: &Registrations| {
            let sent = enrolments.get(&entity_of(one.section, one.student))?;
            let user = accounts.get(&one.student.to_string())?.moodle_id;
            (!sent.is_suspended).then_some((user, one.student))
        };
        let people: BTreeMap<i64, PersonId> = known.iter().filter_map(member).collect();
        let to_come = people.len() < known.len();
        Ok((people, to_come))
    }

    /// The groups of a course that are ours, with their members, by id number.
    async fn groups_by_number(
        &self,
        course: i64,
    ) -> Result<BTreeMap<String, (i64, BTreeSet<i64>)>, CallFailure> {
        let groups = self.client.course_groups(course).await?;
        let ours = groups.into_iter().filter(|group| group.idnumber.parse::<SectionId>().is_ok());
        let ours: Vec<_> = ours.collect();
        let ids: Vec<i64> = ours.iter().map(|group| group.id).collect();
        let mut members: BTreeMap<i64, BTreeSet<i64>> = self
            .client
            .group_members(&ids)
            .await?
            .into_iter()
            .map(|group| (group.groupid, group.userids.into_iter().collect()))
            .collect();
        let group = |group: crate::client::Group| {
            (group.idnumber, (group.id, members.remove(&group.id).unwrap_or_default()))
        };
        Ok(ours.into_iter().map(group).collect())
    }
}

/// Whether a call failed because of what is in one course. A right may be lacking for groups alone.
fn is_of_course(failure: &CallFailure) -> bool {
    !failure.is_of_site() || matches!(failure.code.as_str(), "accessexception" | "nopermissions")
}

fn refused(failure: CallFailure) -> Trouble {
    Trouble { moodle_code: Some(failure.code), ..Trouble::new("GROUPS_REFUSED") }
}
