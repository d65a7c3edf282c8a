//! Groups of a site's courses: who takes a linked section beside this one, such as a lab beside a lecture, is in that
//! section's group of the course. What stands there is read each time: groups are few, and change while a term begins.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{PersonId, SectionId};
use table::Stored;

use super::enrolments::entity_of;
use super::{Halt, Session};
use crate::client::{CallFailure, GroupMember, NewGroup, Remedy};
use crate::domain::{GroupRule, Kind, Links, Mapping, Registrations, Section, Trouble};
use crate::store::{self, Looked, Outcome};

/// Courses whose groups one round looks at: each is several calls.
const ROUND_MAX: usize = 50;
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
    /// Members whose enrolment is still on its way.
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

/// Somebody in a course who stands in Moodle.
struct Member {
    person: PersonId,
    user: i64,
}

impl Session<'_> {
    pub(super) async fn groups(&mut self) -> Result<usize, Halt> {
        let mut due = self.due(Kind::Groups).await?;
        due.truncate(ROUND_MAX);
        let mut looked = 0;
        for work in due {
            if !self.may_send() {
                return Err(Halt::OutOfTime);
            }
            let outcome = match self.bring_groups(&work.value.entity).await {
                Ok(outcome) => outcome,
                Err(Halt::Site(failure)) if failure.remedy != Remedy::Wait => {
                    let moodle_code = Some(failure.code);
                    Outcome::PutOff(Trouble { moodle_code, ..Trouble::new("GROUPS_REFUSED") })
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
        let course = there.course;
        for group in there.groups.iter_mut().filter(|group| group.id.is_none()) {
            let (name, idnumber) = (group.name.clone(), group.id_number.clone());
            let new = NewGroup { courseid: course, name, description: String::new(), idnumber };
            group.id = Some(self.client.create_group(&new).await?.id);
        }
        let mut is_whole = !there.to_come;
        for members in there.members(|group| &group.joining).chunks(MEMBERS_AT_ONCE_MAX) {
            is_whole &= self.join_groups(course, members).await?;
        }
        for members in there.members(|group| &group.leaving).chunks(MEMBERS_AT_ONCE_MAX) {
            self.client.delete_group_members(members).await?;
        }
        Ok(if is_whole {
            Outcome::InStep
        } else {
            Outcome::Waits(Trouble::new("WAITS_FOR_ENROLMENT"))
        })
    }

    /// Whether all of them joined. One who is not in the course spoils the whole call: the others go without them.
    async fn join_groups(&self, course: i64, members: &[GroupMember]) -> Result<bool, Halt> {
        match self.client.add_group_members(members).await {
            Ok(()) => return Ok(true),
            Err(failure) if failure.is_clear_no() && !failure.is_of_site() => {}
            Err(failure) => return Err(failure.into()),
        }
        let enrolled = self.listed(course).await?;
        let (there, away): (Vec<GroupMember>, Vec<GroupMember>) =
            members.iter().copied().partition(|member| enrolled.contains_key(&member.user));
        if !there.is_empty() {
            self.client.add_group_members(&there).await?;
        }
        Ok(away.is_empty())
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
        let (members, to_come) = self.members_of(section).await?;
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
            // Whom we do not know, and who dropped, stays: what a teacher made of the group is theirs.
            let (joining, leaving): (Vec<&Member>, Vec<&Member>) = members
                .iter()
                .filter(|one| taking.contains(&one.person) != inside.contains(&one.user))
                .partition(|one| taking.contains(&one.person));
            let users = |members: Vec<&Member>| members.iter().map(|one| one.user).collect();
            groups.push(Group {
                id: known.map(|(id, _)| *id),
                id_number,
                name: name.clone(),
                joining: users(joining),
                leaving: users(leaving),
            });
        }
        Ok(CourseGroups { course, groups, to_come })
    }

    /// Those who are in a section's course now, and whether more are on their way.
    async fn members_of(&self, section: SectionId) -> Result<(Vec<Member>, bool), Halt> {
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
            (!sent.is_suspended).then_some(Member { person: one.student, user })
        };
        let members: Vec<Member> = known.iter().filter_map(member).collect();
        let to_come = members.len() < known.len();
        Ok((members, to_come))
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
