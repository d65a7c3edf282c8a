//! Registration groups as registration sees them: which sections are taken together, such as a lecture with a lab.

use std::collections::BTreeSet;

use events::RegistrationGroupChanged;
use kernel::{RegistrationGroupId, SectionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One choice of linked sections. The first of them carries the course's credits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub group: RegistrationGroupId,
    /// Version of the group in the catalog.
    pub group_version: u64,
    pub code: String,
    pub sections: Vec<SectionId>,
    pub cancelled: bool,
}

/// All choices that a section is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionLinks {
    pub section: SectionId,
    pub links: Vec<Link>,
}

/// A choice of which something is lacking, as the student sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incomplete {
    pub group: RegistrationGroupId,
    pub code: String,
    /// What has to be taken besides.
    pub lacking: Vec<SectionId>,
}

impl From<&RegistrationGroupChanged> for Link {
    fn from(event: &RegistrationGroupChanged) -> Self {
        Self {
            group: event.group,
            group_version: event.group_version,
            code: event.code.clone(),
            sections: event.sections.clone(),
            cancelled: event.cancelled,
        }
    }
}

impl SectionLinks {
    pub fn none(section: SectionId) -> Self {
        Self { section, links: Vec::new() }
    }

    /// `false` where a later word of the group came before.
    pub fn learn(&mut self, link: &Link) -> bool {
        let known = self.links.iter_mut().find(|known| known.group == link.group);
        match known {
            Some(known) if known.group_version >= link.group_version => return false,
            Some(known) => *known = link.clone(),
            None => self.links.push(link.clone()),
        }
        true
    }

    pub fn standing(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| !link.cancelled)
    }

    /// The first choice of which every section is there.
    pub fn complete(&self, there: &BTreeSet<SectionId>) -> Option<&Link> {
        self.standing().find(|link| link.sections.iter().all(|section| there.contains(section)))
    }

    /// What is lacking of each choice.
    pub fn incomplete(&self, there: &BTreeSet<SectionId>) -> Vec<Incomplete> {
        let lacking = |link: &Link| {
            let lacking = link.sections.iter().filter(|section| !there.contains(section));
            Incomplete {
                group: link.group,
                code: link.code.clone(),
                lacking: lacking.copied().collect(),
            }
        };
        self.standing().map(lacking).collect()
    }
}

impl Link {
    /// Which section of it carries the credits: one that carries them already, else the first.
    pub fn bearer(&self, carries: impl Fn(SectionId) -> bool) -> Option<SectionId> {
        let carries_before = self.sections.iter().find(|section| carries(**section));
        carries_before.or(self.sections.first()).copied()
    }
}
