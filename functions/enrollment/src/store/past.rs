//! What a student has taken and what rests on it: all that lies under the student's key, and the registrations whose
//! prerequisites are broken.

use kernel::{PersonId, RegistrationId, Timestamp};
use shell::Failure;
use table::{Key, Partition, Record, Stored, Table};

use super::{OVERRIDE_PREFIX, TERM_PREFIX, history_key, known_student_key, student_pk};
use crate::domain::{
    AcademicBackground, Background, BrokenPrerequisite, History, KnownStudent, Override,
    RegistrationPolicy, StudentTerm,
};

impl Record for BrokenPrerequisite {
    const KIND: &'static str = "broken-prerequisite";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        broken_prerequisite_key(self.registration)
    }

    fn index_key(&self) -> Option<(String, String)> {
        let drop_on = self.drop_on?;
        Some(("BROKEN-PREREQUISITES".to_owned(), format!("{drop_on}#{}", self.registration)))
    }
}

pub fn broken_prerequisite_key(registration: RegistrationId) -> Key<BrokenPrerequisite> {
    Key::new(format!("REGISTRATION#{registration}"), "BROKEN-PREREQUISITE")
}

/// Those after which something is done, the first due first.
pub fn broken_prerequisites() -> Partition<BrokenPrerequisite> {
    Partition::in_index("BROKEN-PREREQUISITES", "")
}

impl Record for RegistrationPolicy {
    const KIND: &'static str = "registration-policy";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        registration_policy_key()
    }
}

pub fn registration_policy_key() -> Key<RegistrationPolicy> {
    Key::new("POLICY", "REGISTRATION")
}

/// What lies under a student's key, as far as their past and what rests on it go.
pub struct AcademicStanding {
    pub history: History,
    pub history_version: Option<u64>,
    pub terms: Vec<Stored<StudentTerm>>,
    known: Option<KnownStudent>,
    overrides: Vec<Stored<Override>>,
}

pub async fn academic_standing(
    table: &Table,
    student: PersonId,
    now: Timestamp,
) -> Result<AcademicStanding, Failure> {
    let mut student_s = table.get_collection(&student_pk(student)).await?;
    let history = student_s.take(&history_key(student))?;
    let known = student_s.take(&known_student_key(student))?.map(|stored| stored.value);
    let mut overrides = student_s.take_all::<Override>(OVERRIDE_PREFIX)?;
    overrides.retain(|stored| stored.value.is_in_force(now));
    Ok(AcademicStanding {
        history_version: history.as_ref().map(|stored| stored.version),
        history: history.map_or_else(|| History::empty(student), |stored| stored.value),
        terms: student_s.take_all(TERM_PREFIX)?,
        known,
        overrides,
    })
}

impl AcademicStanding {
    /// What requirements of a section of this term are judged by.
    pub fn background(&self, term: &StudentTerm) -> Background {
        let terms: Vec<StudentTerm> =
            self.terms.iter().map(|stored| stored.value.clone()).collect();
        let (first_day, history) = (term.first_day, &self.history);
        let term = term.term;
        let taken =
            AcademicBackground { term, first_day, terms: &terms, history, held_counts: true };
        let mut record = taken.record();
        if let Some(known) = &self.known {
            known.record.add_to(&mut record);
        }
        Background {
            record,
            scale: history.scale.clone(),
            overrides: self.overrides.clone(),
            ..Background::default()
        }
    }
}
