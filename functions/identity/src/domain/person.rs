//! A person: a human being whom every context knows by one id.

use kernel::{AccountId, Email, Id, Locale, PersonId, PersonName, SourceId};
use serde::{Deserialize, Serialize};

use super::{Account, Identifier, Refusal};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    pub name: PersonName,
    /// Absent for somebody imported without one.
    pub email: Option<Email>,
    pub locale: Locale,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
    /// What the system they were imported from calls them.
    pub source: Option<SourceId>,
    /// The active account.
    pub account: Option<AccountId>,
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
    pub email: Option<Email>,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
}

impl Person {
    /// The person behind an account that nobody knew before. The id follows from the account's.
    pub fn behind(account: &Account) -> Self {
        Self {
            id: PersonId::derived_from(&account.id.to_string()),
            name: account.name.clone(),
            email: Some(account.email.clone()),
            locale: account.locale,
            student_number: None,
            staff_number: None,
            source: None,
            account: Some(account.id),
        }
    }

    /// Links a proven account. The name stays as the registrar wrote it; the language is the one they chose.
    pub fn link(&mut self, account: &Account) {
        self.account = Some(account.id);
        self.email = Some(account.email.clone());
        self.locale = account.locale;
    }

    /// The person as they stand after the import of `row`. An address that they have proven is not overruled.
    pub fn imported(standing: Option<&Self>, row: ImportedPerson) -> Self {
        let ImportedPerson { source, name, email, student_number, staff_number } = row;
        let id = source.id();
        let Some(standing) = standing.cloned() else {
            let source = Some(source);
            let locale = Locale::default();
            let account = None;
            return Self { id, name, email, locale, student_number, staff_number, source, account };
        };
        let proven = standing.email.clone().filter(|_| standing.account.is_some());
        Self {
            name,
            email: proven.or(email).or(standing.email),
            student_number: student_number.or(standing.student_number),
            staff_number: staff_number.or(standing.staff_number),
            source: Some(source),
            id: standing.id,
            locale: standing.locale,
            account: standing.account,
        }
    }

    /// Everything that may be one person's only.
    pub fn identifiers(&self) -> Vec<Identifier> {
        let email = self.email.as_ref().map(Identifier::email);
        let student_number = self.student_number.as_deref().map(Identifier::student_number);
        let staff_number = self.staff_number.as_deref().map(Identifier::staff_number);
        [email, student_number, staff_number].into_iter().flatten().collect()
    }
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
        const NAME_CHARS_MAX: usize = 100;
        const NUMBER_CHARS_MAX: usize = 64;
        let name =
            PersonName { given: name.given.trim().into(), family: name.family.trim().into() };
        let is_name = |part: &str| (1..=NAME_CHARS_MAX).contains(&part.chars().count());
        if !is_name(&name.given) || !is_name(&name.family) {
            return Err(Refusal::NameInvalid);
        }
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
        Ok(Self { source, name, email, student_number, staff_number })
    }
}
