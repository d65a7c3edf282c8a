//! A claim keeps an e-mail address or a number from being two people's, and leads from it to whose it is.

use kernel::{AccountId, Email, PersonId};
use serde::{Deserialize, Serialize};

use super::{ExternalId, Refusal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    Email,
    StudentNumber,
    StaffNumber,
    /// What another system calls a person.
    External,
}

/// What is claimed, in the form that it is compared by.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: ClaimKind,
    pub folded: String,
}

/// Personal data does not reach a log.
impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identifier({:?}, …)", self.kind)
    }
}

impl Identifier {
    pub fn email(email: &Email) -> Self {
        Self { kind: ClaimKind::Email, folded: email.folded() }
    }

    pub fn student_number(number: &str) -> Self {
        Self { kind: ClaimKind::StudentNumber, folded: number.trim().to_lowercase() }
    }

    pub fn staff_number(number: &str) -> Self {
        Self { kind: ClaimKind::StaffNumber, folded: number.trim().to_lowercase() }
    }

    pub fn external(id: &ExternalId) -> Self {
        match id.system.as_str() {
            "student-number" => Self::student_number(&id.value),
            "staff-number" => Self::staff_number(&id.value),
            _ => Self { kind: ClaimKind::External, folded: id.folded() },
        }
    }

    pub fn is_external(&self) -> bool {
        self.kind == ClaimKind::External
    }

    /// What somebody typed to log in: an e-mail address, or else a student number.
    pub fn of_login(login: &str) -> Self {
        if login.contains('@') {
            Self { kind: ClaimKind::Email, folded: login.trim().to_lowercase() }
        } else {
            Self::student_number(login)
        }
    }

    pub fn taken(&self) -> Refusal {
        match self.kind {
            ClaimKind::Email => Refusal::EmailTaken,
            ClaimKind::StudentNumber => Refusal::StudentNumberTaken,
            ClaimKind::StaffNumber => Refusal::StaffNumberTaken,
            ClaimKind::External => Refusal::ExternalIdTaken,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub identifier: Identifier,
    pub person: Option<PersonId>,
    /// The active account that this leads to; where there is one, there is its person too.
    pub account: Option<AccountId>,
    /// The account that was registered last with this address and has not been proven yet.
    pub pending: Option<AccountId>,
}

impl Claim {
    pub fn of_nobody(identifier: Identifier) -> Self {
        Self { identifier, person: None, account: None, pending: None }
    }

    /// Who logs in by this.
    pub fn holder(&self) -> Option<(AccountId, PersonId)> {
        self.account.zip(self.person)
    }

    /// The person has it no more, nor does their account lead here.
    pub fn give_up(&mut self) {
        self.person = None;
        self.account = None;
    }

    /// Gives it to a person, unless it is another one's.
    pub fn give_to(&mut self, person: PersonId, account: Option<AccountId>) -> Result<(), Refusal> {
        if self.person.is_some_and(|holder| holder != person) {
            return Err(self.identifier.taken());
        }
        self.person = Some(person);
        self.account = self.account.or(account);
        if self.pending == self.account {
            self.pending = None;
        }
        Ok(())
    }
}
