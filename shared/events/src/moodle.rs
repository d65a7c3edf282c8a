//! Events of the moodle context.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Event;

/// Something of a site was marked to be looked at. It only wakes: what is to be done stands in the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkMarked {
    /// Short name of the site.
    pub site: String,
    /// `course`, `user` or `enrolment`; `site` where the site as a whole is to be looked at.
    pub kind: String,
    pub entity: String,
}

impl Event for WorkMarked {
    const NAME: &'static str = "moodle.work.marked";
    const VERSION: u32 = 1;

    fn subject(&self) -> String {
        format!("{}/{}/{}", self.site, self.kind, self.entity)
    }

    fn example() -> Self {
        let section = crate::SectionOffered::example().section;
        Self { site: "academics".into(), kind: "course".into(), entity: section.to_string() }
    }
}
