//! Sections that belong together: registration groups, taken whole, and cross-lists, which share seats.

use events::CrossListing;
use kernel::{Calendar, CourseId, CrossListId, RegistrationGroupId, SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::section::clash_among;
use super::{Code, Refusal, Section, SectionState};

/// One choice of linked sections, such as lecture L1 with lab B2: whoever registers takes a seat in each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationGroup {
    pub id: RegistrationGroupId,
    pub code: Code,
    pub term: TermId,
    pub course: CourseId,
    pub course_code: Code,
    pub sections: Vec<SectionId>,
    pub cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// Not all of its sections are offered.
    Pending,
    Offered,
    Cancelled,
}

impl RegistrationGroup {
    /// Offered only if all of it is; without one of its sections there is nothing left to choose.
    pub fn state(&self, sections: &[SectionState]) -> GroupState {
        let any_cancelled = sections.contains(&SectionState::Cancelled);
        if self.cancelled || any_cancelled {
            GroupState::Cancelled
        } else if sections.iter().all(|state| *state == SectionState::Offered) {
            GroupState::Offered
        } else {
            GroupState::Pending
        }
    }

    /// Sections of one course in one term, each another component, that leave the time for each other.
    pub fn check(sections: &[&Section], calendar: &Calendar) -> Result<(), Refusal> {
        let of_one_course =
            |pair: &[&Section]| pair[0].course == pair[1].course && pair[0].term == pair[1].term;
        if !sections.windows(2).all(of_one_course) {
            return Err(Refusal::GroupSectionsApart);
        }
        let twice = sections.iter().enumerate().any(|(at, section)| {
            section.component.is_none()
                || sections[..at].iter().any(|other| other.component == section.component)
        });
        if twice {
            return Err(Refusal::GroupComponentTwice);
        }
        if clash_among(calendar, sections) {
            return Err(Refusal::GroupSectionsClash);
        }
        Ok(())
    }
}

/// Sections under several codes that are one class: a seat in any counts against the common capacity too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CrossList {
    pub id: CrossListId,
    pub code: Code,
    pub term: TermId,
    pub capacity: u32,
    pub sections: Vec<SectionId>,
}

impl CrossList {
    pub fn listing(&self) -> CrossListing {
        CrossListing { cross_list: self.id, capacity: self.capacity }
    }

    /// Sections of its term that are on no other list.
    pub fn check(&self, sections: &[&Section]) -> Result<(), Refusal> {
        if sections.iter().any(|section| section.term != self.term) {
            return Err(Refusal::CrossListSectionsApart);
        }
        let elsewhere = |section: &&Section| {
            section.cross_listing.is_some_and(|listing| listing.cross_list != self.id)
        };
        if sections.iter().any(elsewhere) {
            return Err(Refusal::SectionCrossListed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::super::Component;
    use super::super::section::tests::{monday, section};
    use super::*;

    fn part(name: &str, component: Option<Component>, from: &str, to: &str) -> Section {
        let id = SectionId::derived_from(name);
        Section { id, component, meetings: vec![monday(from, to)], ..section() }
    }

    #[test]
    fn a_group_has_each_component_once_and_leaves_the_time_for_all() {
        let lecture = part("l", Some(Component::Lecture), "09:00", "10:00");
        let lab = part("b", Some(Component::Lab), "10:00", "12:00");
        let check =
            |sections: &[&Section]| RegistrationGroup::check(sections, &Calendar::default());
        assert_eq!(check(&[&lecture, &lab]), Ok(()));
        assert_eq!(check(&[&lecture, &lecture]), Err(Refusal::GroupComponentTwice));
        let nameless = Section { component: None, ..lab.clone() };
        assert_eq!(check(&[&lecture, &nameless]), Err(Refusal::GroupComponentTwice));
        let early = part("b", Some(Component::Lab), "09:30", "12:00");
        assert_eq!(check(&[&lecture, &early]), Err(Refusal::GroupSectionsClash));
        let foreign = Section { course: CourseId::derived_from("other"), ..lab };
        assert_eq!(check(&[&lecture, &foreign]), Err(Refusal::GroupSectionsApart));
    }

    #[test]
    fn a_group_is_offered_only_if_all_of_it_is() {
        use SectionState::{Approved, Cancelled, Offered, Suspended};
        let group = RegistrationGroup {
            id: RegistrationGroupId::derived_from("g"),
            code: Code("G".into()),
            term: section().term,
            course: section().course,
            course_code: Code("C".into()),
            sections: Vec::new(),
            cancelled: false,
        };
        assert_eq!(group.state(&[Offered, Offered]), GroupState::Offered);
        assert_eq!(group.state(&[Offered, Approved]), GroupState::Pending);
        assert_eq!(group.state(&[Offered, Suspended]), GroupState::Pending);
        assert_eq!(group.state(&[Offered, Cancelled]), GroupState::Cancelled);
        let over = RegistrationGroup { cancelled: true, ..group };
        assert_eq!(over.state(&[Offered, Offered]), GroupState::Cancelled);
    }
}
