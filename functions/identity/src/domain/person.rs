//! A person: a human being whom every context knows by one id.

use kernel::{AccountId, Date, Email, Id, Locale, PersonId, PersonName, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::external_id::KIND_DEFAULT;
use super::{Account, Chooser, ExternalId, Identifier, Refusal};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    /// The legal name of the day on which the record was last written: by it the person is told of and found.
    pub name: PersonName,
    /// Every legal name that has a beginning, and the one before; empty as long as it never changed.
    #[serde(default)]
    pub legal_names: Vec<LegalName>,
    /// What they want to be called.
    #[serde(default)]
    pub preferred_name: Option<PersonName>,
    #[serde(default)]
    pub birth_date: Option<Date>,
    #[serde(default)]
    pub pronouns: Option<String>,
    /// The one that is theirs alone; absent for somebody imported without one.
    pub email: Option<Email>,
    /// Further ones, which others may have as well.
    #[serde(default)]
    pub other_emails: Vec<Email>,
    pub locale: Locale,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
    /// What the system they were imported from calls them.
    pub source: Option<SourceId>,
    #[serde(default)]
    pub external_ids: Vec<ExternalId>,
    /// The active account.
    pub account: Option<AccountId>,
    /// Since when they are in no directory.
    #[serde(default)]
    pub directory_opt_out: Option<Timestamp>,
    /// Who looks like them and is somebody else.
    #[serde(default)]
    pub distinct_from: Vec<Distinction>,
    /// The day for which the next name is on the schedule.
    #[serde(default)]
    pub next_name_on: Option<Date>,
    /// Whether they stand in the lists of people. Who was written before there were lists does not.
    #[serde(default)]
    pub is_listed: bool,
}

/// A legal name from a day on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalName {
    pub name: PersonName,
    /// Absent where it is the first one.
    pub valid_from: Option<Date>,
    /// Absent where no person did it.
    pub recorded_by: Option<PersonId>,
}

/// Somebody is not the same person, although they look alike.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinction {
    pub other: PersonId,
    pub reason: String,
    pub made_at: Timestamp,
    pub made_by: PersonId,
}

/// Personal data does not reach a log.
impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person({}, …)", self.id)
    }
}

/// A person as another system tells of them. What it leaves out, it says nothing about.
#[derive(Clone)]
pub struct ImportedPerson {
    pub source: SourceId,
    pub name: PersonName,
    pub preferred_name: Option<PersonName>,
    pub birth_date: Option<Date>,
    pub pronouns: Option<String>,
    pub email: Option<Email>,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
    pub external_ids: Vec<ExternalId>,
}

impl Person {
    pub const LEGAL_NAMES_MAX: usize = 32;
    pub const OTHER_EMAILS_MAX: usize = 5;
    pub const EXTERNAL_IDS_MAX: usize = 32;
    const DISTINCTIONS_MAX: usize = 50;

    pub fn new(id: PersonId, name: PersonName, locale: Locale) -> Self {
        Self {
            id,
            name,
            legal_names: Vec::new(),
            preferred_name: None,
            birth_date: None,
            pronouns: None,
            email: None,
            other_emails: Vec::new(),
            locale,
            student_number: None,
            staff_number: None,
            source: None,
            external_ids: Vec::new(),
            account: None,
            directory_opt_out: None,
            distinct_from: Vec::new(),
            next_name_on: None,
            is_listed: false,
        }
    }

    /// The person behind an account that nobody knew before. The id follows from the account's.
    pub fn behind(account: &Account) -> Self {
        let id = PersonId::derived_from(&account.id.to_string());
        let (email, account_id) = (Some(account.email.clone()), Some(account.id));
        let new = Self::new(id, account.name.clone(), account.locale);
        Self { email, account: account_id, ..new }
    }

    /// Links a proven account. The name stays as the registrar wrote it; the language is the one they chose.
    pub fn link(&mut self, account: &Account) {
        self.account = Some(account.id);
        self.email = Some(account.email.clone());
        self.locale = account.locale;
    }

    /// The person as they stand after the import of `row`. An address that they have proven is not overruled, and
    /// another name is one that begins today.
    pub fn imported(
        standing: Option<&Self>,
        row: ImportedPerson,
        today: Date,
    ) -> Result<Self, Refusal> {
        let mut person = standing
            .cloned()
            .unwrap_or_else(|| Self::new(row.source.id(), row.name.clone(), Locale::default()));
        if person.legal_name(today) != &row.name {
            person.change_legal_name(row.name, today, None)?;
        }
        if person.email.is_none() || person.account.is_none() {
            person.email = row.email.or(person.email);
        }
        person.preferred_name = row.preferred_name.or(person.preferred_name);
        person.birth_date = row.birth_date.or(person.birth_date);
        person.pronouns = row.pronouns.or(person.pronouns);
        person.student_number = row.student_number.or(person.student_number);
        person.staff_number = row.staff_number.or(person.staff_number);
        person.source = Some(row.source);
        for external_id in row.external_ids {
            person.add_external_id(external_id)?;
        }
        person.bring_up_to_date(today);
        Ok(person)
    }

    /// The legal name that holds on a day.
    pub fn legal_name(&self, day: Date) -> &PersonName {
        let mut latest_first = self.legal_names.iter().rev();
        let holding = latest_first.find(|one| one.valid_from.is_none_or(|from| from <= day));
        holding.map_or(&self.name, |one| &one.name)
    }

    /// What the person is called on a day: as they want to be, or else by their legal name.
    pub fn shown_name(&self, day: Date) -> &PersonName {
        self.preferred_name.as_ref().unwrap_or_else(|| self.legal_name(day))
    }

    /// What they are told of and found by until the record is written again.
    pub fn told_name(&self) -> &PersonName {
        self.preferred_name.as_ref().unwrap_or(&self.name)
    }

    /// Another legal name from `valid_from` on, in place of one that was to begin on the same day. A name that is the
    /// same as the one before it is no change, and so takes a change back.
    pub fn change_legal_name(
        &mut self,
        name: PersonName,
        valid_from: Date,
        recorded_by: Option<PersonId>,
    ) -> Result<(), Refusal> {
        if self.legal_names.is_empty() {
            let name = self.name.clone();
            self.legal_names.push(LegalName { name, valid_from: None, recorded_by: None });
        }
        self.legal_names.retain(|one| one.valid_from != Some(valid_from));
        self.legal_names.push(LegalName { name, valid_from: Some(valid_from), recorded_by });
        self.legal_names.sort_by_key(|one| one.valid_from);
        self.legal_names.dedup_by(|later, earlier| later.name == earlier.name);
        let is_bounded = self.legal_names.len() <= Self::LEGAL_NAMES_MAX;
        if is_bounded { Ok(()) } else { Err(Refusal::TooManyNames) }
    }

    /// Mends the spelling of the legal name that holds on a day; it holds as long as before.
    pub fn correct_legal_name(&mut self, name: PersonName, day: Date) {
        let mut latest_first = self.legal_names.iter_mut().rev();
        match latest_first.find(|one| one.valid_from.is_none_or(|from| from <= day)) {
            Some(holding) => holding.name = name,
            None => self.name = name,
        }
        self.legal_names.dedup_by(|later, earlier| later.name == earlier.name);
    }

    /// Makes the record that of `today`, as every write of it does.
    pub fn bring_up_to_date(&mut self, today: Date) {
        self.name = self.legal_name(today).clone();
        let mut beginnings = self.legal_names.iter().filter_map(|one| one.valid_from);
        self.next_name_on = beginnings.find(|from| *from > today);
        self.is_listed = true;
    }

    /// Who chooses the password of their account.
    pub fn chooser<'a>(&'a self, account: &'a Account) -> Chooser<'a> {
        let student_number = self.student_number.as_deref();
        Chooser { email: &account.email, name: &self.name, student_number }
    }

    /// Everything that may be one person's only.
    pub fn identifiers(&self) -> Vec<Identifier> {
        let email = self.email.as_ref().map(Identifier::email);
        let external_ids = self.all_external_ids();
        let external_ids = external_ids.iter().map(Identifier::external);
        email.into_iter().chain(external_ids).collect()
    }

    /// Those of them that are claimed for the person as they are stored.
    pub fn claimed(&self) -> Vec<Identifier> {
        let mut identifiers = self.identifiers();
        // Before there were lists, nobody claimed what the other system calls them.
        identifiers.retain(|identifier| self.is_listed || !identifier.is_external());
        identifiers
    }

    /// What every system calls them, our own numbers and the source of an import among them.
    pub fn all_external_ids(&self) -> Vec<ExternalId> {
        let number = |system: &str, value: &Option<String>| {
            value.as_deref().map(|value| ExternalId::new(system, value))
        };
        let source = self.source.as_ref().map(|source| ExternalId::new("oneroster", &source.0));
        let ours = [
            number("student-number", &self.student_number),
            number("staff-number", &self.staff_number),
            source,
        ];
        ours.into_iter().flatten().chain(self.external_ids.iter().cloned()).collect()
    }

    /// Has been added before: no change.
    pub fn add_external_id(&mut self, added: ExternalId) -> Result<(), Refusal> {
        let added = added.checked()?;
        if self.all_external_ids().iter().any(|held| held.folded() == added.folded()) {
            return Ok(());
        }
        let number = match added.system.as_str() {
            "student-number" => &mut self.student_number,
            "staff-number" => &mut self.staff_number,
            _ if added.opens_accounts() && !added.may_open(&self.external_ids) => {
                return Err(Refusal::ExternalIdHeld);
            }
            _ if self.external_ids.len() >= Self::EXTERNAL_IDS_MAX => {
                return Err(Refusal::TooManyExternalIds);
            }
            _ => {
                self.external_ids.push(added);
                return Ok(());
            }
        };
        if number.is_some() {
            return Err(Refusal::ExternalIdHeld);
        }
        *number = Some(added.value);
        Ok(())
    }

    /// The id of the import they came with stays: their own id follows from it.
    pub fn remove_external_id(&mut self, removed: &ExternalId) -> Result<(), Refusal> {
        let folded = removed.folded();
        let is_meant = |held: &ExternalId| held.folded() == folded;
        if !self.all_external_ids().iter().any(is_meant) {
            return Err(Refusal::ExternalIdUnknown);
        }
        match (removed.system.as_str(), removed.kind.as_str()) {
            ("student-number", KIND_DEFAULT) => self.student_number = None,
            ("staff-number", KIND_DEFAULT) => self.staff_number = None,
            _ if self.external_ids.iter().any(is_meant) => {
                self.external_ids.retain(|held| !is_meant(held));
            }
            _ => return Err(Refusal::ExternalIdOfImport),
        }
        Ok(())
    }

    /// Opts out of the directory, or in again; whether that changes anything.
    pub fn opt_out(&mut self, opted_out: bool, now: Timestamp) {
        if opted_out != self.directory_opt_out.is_some() {
            self.directory_opt_out = opted_out.then_some(now);
        }
    }

    pub fn is_distinct_from(&self, other: PersonId) -> bool {
        self.distinct_from.iter().any(|distinction| distinction.other == other)
    }

    /// Two people who look alike are not the same; said before, it stays as it is.
    pub fn distinguish(&mut self, distinction: Distinction) -> Result<(), Refusal> {
        if self.is_distinct_from(distinction.other) {
            return Ok(());
        }
        if self.distinct_from.len() >= Self::DISTINCTIONS_MAX {
            return Err(Refusal::TooManyDistinctions);
        }
        self.distinct_from.push(distinction);
        Ok(())
    }
}

/// A name without blanks around it, of which both parts are there.
pub fn checked_name(name: &PersonName) -> Result<PersonName, Refusal> {
    const NAME_CHARS_MAX: usize = 100;
    let name = PersonName { given: name.given.trim().into(), family: name.family.trim().into() };
    let is_name = |part: &str| {
        (1..=NAME_CHARS_MAX).contains(&part.chars().count()) && !part.chars().any(char::is_control)
    };
    if is_name(&name.given) && is_name(&name.family) { Ok(name) } else { Err(Refusal::NameInvalid) }
}

/// A day on which somebody alive may have been born.
pub fn check_birth_date(birth_date: Date, today: Date) -> Result<(), Refusal> {
    const YEARS_MAX: i16 = 130;
    let is_possible = birth_date <= today && birth_date.year() >= today.year() - YEARS_MAX;
    if is_possible { Ok(()) } else { Err(Refusal::BirthDateInvalid) }
}

impl ImportedPerson {
    /// Reads what another system wrote; blank is the same as absent.
    pub fn read(
        source: SourceId,
        name: &PersonName,
        email: Option<&str>,
        student_number: Option<&str>,
        staff_number: Option<&str>,
    ) -> Result<Self, Refusal> {
        const NUMBER_CHARS_MAX: usize = 64;
        let name = checked_name(name)?;
        let present = |text: Option<&str>| {
            text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let (student_number, staff_number) = (present(student_number), present(staff_number));
        let too_long = |number: &String| number.chars().count() > NUMBER_CHARS_MAX;
        if student_number.iter().chain(&staff_number).any(too_long) {
            return Err(Refusal::NumberInvalid);
        }
        let email = present(email).map(|text| text.parse()).transpose();
        let email = email.map_err(|_| Refusal::EmailInvalid)?;
        let (preferred_name, birth_date, pronouns, external_ids) = (None, None, None, Vec::new());
        Ok(Self {
            source,
            name,
            preferred_name,
            birth_date,
            pronouns,
            email,
            student_number,
            staff_number,
            external_ids,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn name(family: &str) -> PersonName {
        PersonName { given: "Ada".into(), family: family.into() }
    }

    fn ada() -> Person {
        Person::new(testkit::person("ada"), name("Byron"), Locale::En)
    }

    fn families(person: &Person) -> Vec<(&str, Option<Date>)> {
        let names = person.legal_names.iter();
        names.map(|one| (one.name.family.as_str(), one.valid_from)).collect()
    }

    #[test]
    fn a_name_holds_from_its_day_on_and_the_earlier_ones_are_kept() {
        let mut ada = ada();
        let (wedding, later) = (date(2027, 7, 8), date(2038, 6, 30));
        ada.change_legal_name(name("Lovelace"), later, None).expect("changes");
        ada.change_legal_name(name("King"), wedding, None).expect("changes");
        let on = |day| ada.legal_name(day).family.as_str();
        assert_eq!([on(date(2027, 7, 7)), on(wedding), on(later)], ["Byron", "King", "Lovelace"]);
        let mut told = ada.clone();
        told.bring_up_to_date(wedding);
        assert_eq!((told.name.family.as_str(), told.next_name_on), ("King", Some(later)));
        told.bring_up_to_date(later);
        assert_eq!((told.name.family.as_str(), told.next_name_on), ("Lovelace", None));
    }

    #[test]
    fn the_name_before_it_takes_a_change_back() {
        let mut ada = ada();
        let day = date(2027, 7, 8);
        ada.change_legal_name(name("King"), day, None).expect("changes");
        ada.change_legal_name(name("Byron"), day, None).expect("takes it back");
        assert_eq!(families(&ada), [("Byron", None)]);
    }

    #[test]
    fn a_corrected_name_holds_as_long_as_the_misspelt_one() {
        let mut ada = ada();
        let day = date(2027, 7, 8);
        ada.correct_legal_name(name("Biron"), day);
        assert_eq!(ada.legal_name(day), &name("Biron"));
        ada.change_legal_name(name("Kign"), day, None).expect("changes");
        ada.correct_legal_name(name("King"), day);
        assert_eq!(families(&ada), [("Biron", None), ("King", Some(day))]);
    }

    #[test]
    fn names_external_ids_and_distinctions_are_bounded() {
        let mut ada = ada();
        let changes = (1..=33).map(|year| (year, date(2000 + year, 1, 1)));
        let mut changed = changes
            .map(|(year, day)| ada.change_legal_name(name(&format!("Name{year}")), day, None));
        assert!(changed.by_ref().take(31).all(|changed| changed.is_ok()));
        assert_eq!(changed.next(), Some(Err(Refusal::TooManyNames)));
        let mut ada = self::ada();
        for number in 1..=32 {
            let added = ada.add_external_id(ExternalId::new("moodle:hr", &number.to_string()));
            assert_eq!(added, Ok(()));
        }
        let one_more = ada.add_external_id(ExternalId::new("moodle:hr", "33"));
        assert_eq!(one_more, Err(Refusal::TooManyExternalIds));
        let known = ada.add_external_id(ExternalId::new("moodle:hr", "32"));
        assert_eq!(known, Ok(()), "it is there already");
        let distinction = |number: u32| Distinction {
            other: testkit::person(&number.to_string()),
            reason: "twins".into(),
            made_at: testkit::now(),
            made_by: testkit::person("registrar"),
        };
        for number in 1..=50 {
            assert_eq!(ada.distinguish(distinction(number)), Ok(()));
        }
        assert_eq!(ada.distinguish(distinction(1)), Ok(()), "said before");
        assert_eq!(ada.distinguish(distinction(51)), Err(Refusal::TooManyDistinctions));
    }

    #[test]
    fn our_numbers_are_external_ids_too_and_the_one_of_an_import_stays() {
        let mut ada = ada();
        ada.source = Some(SourceId("u1".into()));
        ada.add_external_id(ExternalId::new("student-number", "S-1")).expect("added");
        assert_eq!(ada.student_number.as_deref(), Some("S-1"));
        let other = ExternalId::new("student-number", "S-2");
        assert_eq!(ada.add_external_id(other.clone()), Err(Refusal::ExternalIdHeld));
        assert_eq!(ada.remove_external_id(&other), Err(Refusal::ExternalIdUnknown));
        let of_import = ExternalId::new("oneroster", "u1");
        assert_eq!(ada.remove_external_id(&of_import), Err(Refusal::ExternalIdOfImport));
        ada.remove_external_id(&ExternalId::new("student-number", "s-1")).expect("removed");
        assert_eq!(ada.all_external_ids(), [of_import]);
    }

    #[test]
    fn nobody_is_born_tomorrow_or_in_another_age() {
        let today = date(2027, 1, 15);
        let refused = [date(2027, 1, 16), date(1815, 12, 10)];
        for born in refused {
            assert_eq!(check_birth_date(born, today), Err(Refusal::BirthDateInvalid));
        }
        assert_eq!(check_birth_date(date(1990, 2, 28), today), Ok(()));
    }
}
