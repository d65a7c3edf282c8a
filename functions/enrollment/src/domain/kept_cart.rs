//! The sections that a student has put aside for a term, until they are submitted and go through.

use kernel::{PersonId, SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FailedItem;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptItem {
    pub section: SectionId,
    /// What spoke against it when it was submitted last, with something else that went through.
    pub codes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCart {
    pub student: PersonId,
    pub term: TermId,
    /// In the order of preference.
    pub items: Vec<KeptItem>,
}

impl KeptCart {
    pub fn empty(student: PersonId, term: TermId) -> Self {
        Self { student, term, items: Vec::new() }
    }

    /// What stays in it keeps its codes.
    pub fn replace(&mut self, sections: &[SectionId]) {
        let kept = |section: &SectionId| {
            let before = self.items.iter().find(|item| item.section == *section);
            let codes = before.map(|item| item.codes.clone()).unwrap_or_default();
            KeptItem { section: *section, codes }
        };
        self.items = sections.iter().map(kept).collect();
    }

    /// What went through leaves it; what failed stays, with its codes.
    pub fn submitted(&mut self, sections: &[SectionId], failed: &[FailedItem]) {
        let failed_of = |section: SectionId| failed.iter().find(|failed| failed.section == section);
        self.items
            .retain(|item| !sections.contains(&item.section) || failed_of(item.section).is_some());
        for item in &mut self.items {
            if let Some(failed) = failed_of(item.section) {
                let codes = failed.refusals.iter().map(|refusal| refusal.code.code().to_owned());
                item.codes = codes.collect();
            }
        }
    }
}
