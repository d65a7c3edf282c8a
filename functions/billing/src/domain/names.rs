//! What people were called, and since when: a document bears the name of its day, and keeps it when the name changes.

use std::collections::BTreeMap;

use kernel::{PersonId, PersonName, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pub person: PersonId,
    /// By the version of the profile that told of it.
    by_version: BTreeMap<u64, NameSince>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct NameSince {
    since: Timestamp,
    name: PersonName,
}

impl Names {
    pub fn of(person: PersonId) -> Self {
        Self { person, by_version: BTreeMap::new() }
    }

    /// Takes in what a profile said as of this version, in whatever order the news come. Answers whether it is news.
    pub fn take(&mut self, version: u64, name: PersonName, since: Timestamp) -> bool {
        let before = self.by_version.range(..=version).next_back();
        if before.is_some_and(|(known, before)| *known == version || before.name == name) {
            return false;
        }
        self.by_version.insert(version, NameSince { since, name });
        true
    }

    /// The name at this moment; the first one that is known where the moment lies before it.
    pub fn at(&self, moment: Timestamp) -> Option<&PersonName> {
        let mut names = self.by_version.values();
        let known = names.clone().rev().find(|name| name.since <= moment);
        known.or_else(|| names.next()).map(|known| &known.name)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    fn name(family: &str) -> PersonName {
        PersonName { given: "Amélie".into(), family: family.into() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_document_bears_the_name_of_its_day_in_whatever_order_the_news_came() {
        let news = [(1, "Ngono", 10), (2, "Ngono", 15), (3, "Mbarga", 20)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut names = Names::of(PersonId::derived_from("ada"));
            assert_eq!(names.at(at(5)), None);
            for (version, family, second) in order.map(|place: usize| news[place]) {
                names.take(version, name(family), at(second));
                assert!(!names.take(version, name(family), at(second)), "told twice");
            }
            let family = |second| names.at(at(second)).map(|name| name.family.as_str());
            assert_eq!(family(5), Some("Ngono"), "the first that is known");
            assert_eq!(family(19), Some("Ngono"));
            assert_eq!(family(20), Some("Mbarga"));
        }
    }
}
