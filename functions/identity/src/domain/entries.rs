//! Where people are found without looking at everybody: the lists they stand in, those who look like them, and the
//! names that are still to begin.

use std::collections::BTreeSet;

use kernel::{Date, PersonId, PersonName};
use serde::{Deserialize, Serialize};
use shell::{Grant, Role};

use super::{Person, Refusal, Roles, folded};

/// A list of people, each under a text of theirs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// By the first letter of a name.
    Names(char),
    /// Everybody who has ever held the role.
    Role(String),
}

impl List {
    /// Where a name that begins so is found; none where there is no letter in it.
    pub fn of_names(folded: &str) -> Option<Self> {
        folded.chars().next().map(Self::Names)
    }

    pub fn of_role(role: Role) -> Self {
        Self::Role(role.name().to_owned())
    }
}

/// One person in one list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    pub list: List,
    pub text: String,
    pub person: PersonId,
}

/// Every list that a person stands in.
pub fn entries(person: &Person, roles: &Roles) -> BTreeSet<Entry> {
    let names = [Some(&person.name), person.preferred_name.as_ref()];
    let mut entries: BTreeSet<Entry> =
        names.into_iter().flatten().flat_map(|name| under_name(person.id, name)).collect();
    let text = by_family(&person.name);
    let held = roles.assignments.iter().map(|assignment| List::of_role(assignment.role));
    entries.extend(held.map(|list| Entry { list, text: text.clone(), person: person.id }));
    entries
}

/// What of it a directory may find somebody by: a name that they do not go by is nobody's business.
pub fn directory_entries(person: &Person) -> BTreeSet<Entry> {
    under_name(person.id, person.told_name()).collect()
}

/// Family name first and given name first, so that the beginning of either finds the person.
fn under_name(person: PersonId, name: &PersonName) -> impl Iterator<Item = Entry> {
    let by_given = folded(&name.full());
    [by_family(name), by_given]
        .into_iter()
        .filter_map(move |text| Some(Entry { list: List::of_names(&text)?, text, person }))
}

fn by_family(name: &PersonName) -> String {
    folded(&format!("{} {}", name.family, name.given))
}

/// Those who are alike in one way, such as in their address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike {
    pub likeness: String,
    pub people: BTreeSet<PersonId>,
}

impl Alike {
    /// An address that half of the university has is no likeness: so many are told of, no more.
    pub const PEOPLE_MAX: usize = 8;

    pub fn nobody(likeness: String) -> Self {
        Self { likeness, people: BTreeSet::new() }
    }

    pub fn join(&mut self, person: PersonId) {
        if self.people.len() < Self::PEOPLE_MAX {
            self.people.insert(person);
        }
    }
}

/// In what ways somebody else might be this person: an address, or legal name and birth date.
pub fn likenesses(person: &Person) -> BTreeSet<String> {
    let emails = person.email.iter().chain(&person.other_emails);
    let mut likenesses: BTreeSet<String> =
        emails.map(|email| likeness_of_email(&email.folded())).collect();
    if let Some(birth_date) = person.birth_date {
        likenesses.insert(format!("NAME#{}#{birth_date}", by_family(&person.name)));
    }
    likenesses
}

pub fn likeness_of_email(folded: &str) -> String {
    format!("EMAIL#{folded}")
}

/// A name that begins one day, of which the others are told then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameBeginning {
    pub begins_on: Date,
    pub person: PersonId,
}

/// Whether an office keeps the person's record: the registrar's those of students, HR's those of the staff, both those
/// of people who have had no role yet, and an administrator all.
pub fn keeps(office: &[Grant], roles: &Roles) -> bool {
    let held = |role: &dyn Fn(Role) -> bool| {
        roles.assignments.is_empty() || roles.assignments.iter().any(|one| role(one.role))
    };
    office.iter().any(|grant| match grant.role {
        Role::Administrator => true,
        Role::Registrar => held(&|role| role == Role::Student),
        Role::HrOfficer => held(&|role| role != Role::Student),
        _ => false,
    })
}

pub fn check_keeper(office: &[Grant], roles: &Roles) -> Result<(), Refusal> {
    if keeps(office, roles) { Ok(()) } else { Err(Refusal::PersonNotYours) }
}

#[cfg(test)]
mod tests {
    use kernel::Locale;

    use super::*;

    fn ada() -> Person {
        let name = PersonName { given: "Ada".into(), family: "Núñez-King".into() };
        Person::new(testkit::person("ada"), name, Locale::En)
    }

    #[test]
    fn a_person_is_found_by_both_ends_of_both_names_and_by_each_role() {
        let (mut ada, mut roles) = (ada(), Roles::none_of(testkit::person("ada")));
        let preferred = PersonName { given: "Lace".into(), family: "Núñez-King".into() };
        ada.preferred_name = Some(preferred);
        roles.assign(Role::Student, None, None, testkit::now()).expect("assigned");
        let texts: Vec<_> =
            entries(&ada, &roles).into_iter().map(|entry| (entry.list, entry.text)).collect();
        let name = |text: &str| (List::Names(text.chars().next().expect("a letter")), text.into());
        let expected = [
            name("ada nunez king"),
            name("lace nunez king"),
            name("nunez king ada"),
            name("nunez king lace"),
            (List::of_role(Role::Student), "nunez king ada".into()),
        ];
        assert_eq!(texts, expected);
        let shown = directory_entries(&ada);
        assert!(shown.iter().all(|entry| entry.text.contains("lace")), "not by the other name");
    }

    #[test]
    fn an_office_keeps_the_records_of_its_own_people() {
        let kept = |held: &[Role]| {
            let mut roles = Roles::none_of(testkit::person("ada"));
            for role in held {
                let department = Roles::department_for(*role, Some("MATH"));
                roles.assign(*role, department, None, testkit::now()).expect("assigned");
            }
            Role::ALL.map(|role| keeps(&[Grant { role, department: None }], &roles))
        };
        let offices = |registrar, hr| [false, false, false, registrar, false, hr, true];
        assert_eq!(kept(&[]), offices(true, true));
        assert_eq!(kept(&[Role::Student]), offices(true, false));
        assert_eq!(kept(&[Role::Student, Role::Teacher]), offices(true, true));
        assert_eq!(kept(&[Role::Registrar]), offices(false, true));
    }
}
